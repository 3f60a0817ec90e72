"""What a comparison counts, keeps and asks for: nothing of fields that aren't kept, nothing of a run that it has lost."""

from importlib import import_module
from typing import Any

import pytest
from integration.proof.compared import counts, of_stream, verify
from psycopg.types.json import Jsonb
from servers.systems.bench import Bench

from worker.connectors.protocols.rest_stream import RestStream
from worker.engine.job import Job
from worker.engine.perform import carry_out
from worker.engine.proof import looks
from worker.engine.proof.compare import Due
from worker.errors import RateLimited

pytestmark = pytest.mark.integration


def set_stream(bench: Bench, stream: int, assignments: str, **values: Any) -> None:
    bench.services.database.run(f"UPDATE streams SET {assignments} WHERE id = %(s)s", {"s": stream, **values})


def spoil(bench: Bench, stream: int) -> str:
    """One record of the copy is no longer what the source has."""
    row = bench.services.database.one(
        "UPDATE records SET content_hash = gen_random_uuid(), raw = '{}' WHERE stream_id = %(s)s AND key ="
        " (SELECT min(key) FROM records WHERE stream_id = %(s)s AND source_updated_at < now() - interval '1 day')"
        " RETURNING key",
        {"s": stream},
    )
    assert row is not None
    return str(row["key"])


def purge(bench: Bench, stream: int) -> str:
    """One record is gone at the source, and leaves no trace."""
    key = next(iter(bench.copy(stream)))
    bench.demo.control("POST", "purge", {"entity": "parts", "id": key})
    return str(key)


def a_sweep_ended(bench: Bench, stream: int, verdict: str, started: str = "now()") -> None:
    bench.services.database.run(
        "INSERT INTO sweeps (stream_id, run_id, verdict, started_at)"
        f" VALUES (%(s)s, headrace_uuid7(), %(verdict)s, {started})",
        {"s": stream, "verdict": verdict},
    )


def test_a_field_that_is_not_kept_is_no_difference(bench: Bench, parts: int) -> None:
    set_stream(bench, parts, "options = %(o)s", o=Jsonb({"exclude": [["name"]]}))
    bench.sync(parts)
    assert not [record for record in bench.copy(parts).values() if "name" in record]
    row = verify(bench, parts)
    assert (row["proven"], counts(row)) == (True, (0, 0, 0))
    assert row["scope"]["fields_not_kept"] == ["name"]


def test_a_repair_brings_no_field_that_is_not_kept(bench: Bench, parts: int) -> None:
    set_stream(bench, parts, "options = %(o)s", o=Jsonb({"exclude": [["name"]]}))
    bench.sync(parts)
    key = spoil(bench, parts)
    row = verify(bench, parts, repair=True)
    assert (counts(row), row["repaired"]) == ((0, 0, 1), 1)
    assert "name" not in row["examples"][0]["fields"]
    live = bench.demo.truth("parts")[0][key]
    assert bench.copy(parts)[key] == {name: value for name, value in live.items() if name != "name"}


def test_what_differs_is_mended_only_where_somebody_asks_for_it(bench: Bench, parts: int) -> None:
    bench.sync(parts)
    key = spoil(bench, parts)
    row = verify(bench, parts)
    assert (counts(row), row["repaired"]) == ((0, 0, 1), 0)
    assert bench.copy(parts)[key] == {}
    assert of_stream(bench, parts)["proven_at"] is None


def test_a_run_that_was_lost_to_another_says_nothing(
    bench: Bench, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.sync(parts)
    track = import_module("worker.engine.tracks.verify")
    look = track.second_looks

    def overtaken(*given: Any) -> None:
        bench.services.database.run("UPDATE runs SET claim_no = claim_no + 1 WHERE track = 'verify'")
        look(*given)

    monkeypatch.setattr(track, "second_looks", overtaken)
    carry_out(bench.services, bench.request(parts, "verify"))
    assert bench.services.database.all("SELECT run_id FROM verifications") == []
    stream = of_stream(bench, parts)
    assert (stream["proven_at"], stream["drift"]) == (None, None)


def test_what_a_limit_interrupts_begins_anew_and_the_third_time_ends_with_what_it_has(
    bench: Bench, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.sync(parts)
    asked: list[int] = []

    def check(job: Job) -> None:
        asked.append(job.run.claim_no)
        if asked.count(job.run.claim_no) > 2:
            raise RateLimited("budget_exhausted", "The account's limit is reached.", resume_at=job.run.now())

    monkeypatch.setattr(Job, "check", check)
    run = bench.request(parts, "verify")
    for _ in range(3):
        assert bench.outcome(run).get("finished_at") is None
        bench.services.database.run("UPDATE runs SET not_before = now()")
        carry_out(bench.services, run)
    (row,) = bench.services.database.all("SELECT * FROM verifications")
    assert not row["proven"]
    assert 0 < row["checked"] < row["copy_records"]
    assert row["words"].endswith("It ended early: The account's limit is reached.")


def test_for_what_the_source_no_longer_shows_a_sweep_is_asked_for(
    bench: Bench, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RestStream, "single", lambda *_: None)
    bench.sync(parts)
    set_stream(bench, parts, "next_sweep_at = now() + interval '1 day'")
    key = purge(bench, parts)
    assert verify(bench, parts, repair=True)["waiting"] == {key: ""}
    assert bench.services.database.all("SELECT FROM streams WHERE next_sweep_at > now()")
    a_sweep_ended(bench, parts, "complete")
    row = verify(bench, parts, repair=True)
    assert (counts(row), row["repaired"]) == ((0, 1, 0), 0)
    assert "a sweep was asked for" in row["words"]
    assert bench.services.database.all("SELECT FROM streams WHERE next_sweep_at <= now()")


def test_a_stream_that_is_not_swept_is_asked_for_no_sweep(
    bench: Bench, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RestStream, "single", lambda *_: None)
    bench.sync(parts)
    set_stream(bench, parts, "next_sweep_at = '9999-01-01'")
    purge(bench, parts)
    row = verify(bench, parts, repair=True)
    assert (counts(row), "sweep" in row["words"]) == ((0, 1, 0), False)
    assert bench.services.database.all("SELECT FROM streams WHERE next_sweep_at = '9999-01-01'")


def test_what_is_gone_counts_after_a_whole_sweep_that_began_since(bench: Bench, parts: int) -> None:
    bench.sync(parts)
    set_stream(bench, parts, "next_sweep_at = now() + interval '1 day'")
    purge(bench, parts)
    began = "(SELECT max(finished_at) FROM verifications) - interval '1 s'"
    assert verify(bench, parts)["extra"] == 0
    a_sweep_ended(bench, parts, "incomplete")
    a_sweep_ended(bench, parts, "complete", began)
    assert verify(bench, parts)["extra"] == 0
    a_sweep_ended(bench, parts, "complete")
    assert verify(bench, parts)["extra"] == 1


def test_what_has_no_time_counts_once_a_sync_has_not_mended_it(
    bench: Bench, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Due, "knows", lambda *_: None)
    bench.sync(parts)
    key = spoil(bench, parts)
    assert list(verify(bench, parts)["waiting"]) == [key]
    row = verify(bench, parts)
    assert (counts(row), list(row["waiting"])) == ((0, 0, 0), [key])
    set_stream(bench, parts, "last_success_at = clock_timestamp()")
    assert counts(verify(bench, parts)) == (0, 0, 1)


@pytest.fixture
def large(bench: Bench, parts: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Too large to be read whole, whatever the allowance."""
    monkeypatch.setattr(looks, "fits", lambda *_, **__: False)
    bench.sync(parts)
    return parts


def test_a_listing_of_keys_tells_which_are_missing_and_which_are_extra(bench: Bench, large: int) -> None:
    gone = purge(bench, large)
    lost = spoil(bench, large)
    bench.services.database.run("DELETE FROM records WHERE key = %(key)s", {"key": lost})
    row = verify(bench, large, requests=60)
    assert "ids" in row["methods"]
    assert (counts(row), row["proven"]) == ((1, 1, 0), False)
    assert {(each["kind"], each["key"]) for each in row["examples"]} == {("missing", lost), ("extra", gone)}


def test_asking_for_some_records_finds_what_the_source_no_longer_has(bench: Bench, large: int) -> None:
    bench.services.database.run(
        "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, source_updated_at, cause_kind,"
        " cause_id, change_kind)"
        " SELECT 3, %(s)s, 'PRT-never-' || n, '{}', gen_random_uuid(), now(), now() - interval '5 days', 'run',"
        " gen_random_uuid(), 'created' FROM generate_series(1, 9000) AS n",
        {"s": large},
    )
    row = verify(bench, large, requests=20)
    assert {"slices", "single"} <= set(row["methods"])
    assert row["extra"] > 0
    assert row["requests"] <= 20
