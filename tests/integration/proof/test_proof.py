"""Comparisons, quarantine, drift and explanations, as people and programs meet them: a demo system, real runs, real commands."""

# ruff: noqa: RUF001 - a times sign

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from integration.proof.compared import set_aside
from psycopg.types.json import Jsonb
from servers.installation.application import Application
from servers.installation.commands import Command
from servers.systems.bench import Bench
from servers.systems.demo import Demo

from scheduler.beat.verifying import plan, request_due, retry_quarantines
from scheduler.cli.errors import Exit
from worker.engine.ending import outcome
from worker.engine.perform import carry_out
from worker.engine.proof import retry

pytestmark = pytest.mark.integration


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    system = Demo(tmp_path / "demo", "--rate", "0", "--factor", "0.1", "--requests", "0").start()
    yield system
    system.client.close()
    system.kill()


@pytest.fixture
def api(bench: Bench) -> Application:
    return Application(bench.services.database)


def test_a_comparison_is_asked_for_by_command_and_its_result_shown(
    bench: Bench,
    headrace: Command,
) -> None:
    stream = bench.stream("parts")
    bench.sync(stream)
    bench.services.database.run("UPDATE records SET content_hash = gen_random_uuid()")
    asked = headrace("verify", "d", "parts", "--no-wait", "--json")
    assert asked.code == Exit.OK
    run = UUID(asked.json["runs"][0]["id"])
    carry_out(bench.services, run)
    shown = headrace("verify", "d", "--last")
    assert "different" in shown.out
    assert headrace("verify", "d", "nothing").code == Exit.NOT_FOUND
    listed = headrace("runs", "show", str(run))
    assert "(drift)" in listed.out


def test_a_script_hears_of_drift_by_the_exit_code(
    bench: Bench,
    headrace: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = bench.stream("sites")
    bench.sync(stream)

    def watched(_: Any, wanted: Any, **__: Any) -> list[dict[str, Any]]:
        for run in wanted:
            carry_out(bench.services, run.id)
        return [bench.outcome(run.id) for run in wanted]

    monkeypatch.setattr("scheduler.cli.watch.watch", watched)
    assert headrace("verify", "d", "sites").code == Exit.OK
    bench.services.database.run("UPDATE records SET content_hash = gen_random_uuid()")
    found = headrace("verify", "d", "sites")
    assert found.code == Exit.DRIFT
    assert "different" in found.out
    looks = headrace("doctor", "--json").json
    assert [look["level"] for look in looks if "d / sites differs from its source" in look["words"]] == [
        "warn"
    ]
    assert headrace("verify", "d", "sites", "--repair").code == Exit.OK


def test_a_comparison_is_asked_for_and_read_through_the_api(bench: Bench, api: Application) -> None:
    bench.sync(bench.stream("sites"))
    asked = api.post("/v1/connections/d/verifications", {"streams": ["sites"], "requests": 5}).json()
    carry_out(bench.services, UUID(asked["runs"][0]["id"]))
    (row,) = api.read("/v1/connections/d/verifications?stream=sites")["verifications"]
    assert (row["proven"], row["drift"], row["allowance"]) == (True, 0, 5)


def test_beat_asks_for_comparisons_in_their_turn_and_for_none_that_are_not_wanted(bench: Bench) -> None:
    stream, other = bench.stream("sites"), bench.stream("vendors")
    bench.sync(stream)
    bench.sync(other)
    bench.services.database.run(
        "UPDATE streams SET options = %(never)s WHERE id = %(s)s", {"never": Jsonb({"verify": 0}), "s": other}
    )
    plan(bench.services)
    times = bench.services.database.all("SELECT id, next_verify_at > now() AS later FROM streams ORDER BY id")
    assert times == [{"id": stream, "later": True}, {"id": other, "later": None}]
    bench.services.database.run("UPDATE streams SET next_verify_at = now() WHERE next_verify_at IS NOT NULL")
    request_due(bench.services)
    assert bench.services.database.all("SELECT id FROM streams WHERE next_verify_at > now()") == [
        {"id": stream}
    ]
    request_due(bench.services)
    rows = bench.services.database.all(
        "SELECT stream_id, cause, lane, queue FROM runs WHERE track = 'verify'"
    )
    assert rows == [{"stream_id": stream, "cause": "verify", "lane": 4, "queue": "sync.demo.bulk"}]


def test_beat_compares_nothing_of_a_paused_connection_nor_before_the_history_is_in(bench: Bench) -> None:
    stream, new = bench.stream("sites"), bench.stream("vendors")
    bench.sync(stream)
    plan(bench.services)
    times = bench.services.database.all("SELECT id FROM streams WHERE next_verify_at IS NOT NULL")
    assert (times, stream < new) == ([{"id": stream}], True)
    bench.services.database.run("UPDATE streams SET next_verify_at = now() WHERE next_verify_at IS NOT NULL")
    bench.services.database.run("UPDATE connections SET paused_at = now()")
    request_due(bench.services)
    assert bench.services.database.all("SELECT FROM runs WHERE track = 'verify'") == []


def test_a_shorter_interval_brings_the_next_comparison_forward(bench: Bench) -> None:
    stream = bench.stream("sites")
    bench.sync(stream)
    bench.services.database.run("UPDATE streams SET next_verify_at = now() + interval '6 days'")
    plan(bench.services)
    soon = "SELECT id FROM streams WHERE next_verify_at < now() + interval '1 hour 1 minute'"
    assert bench.services.database.all(soon) == []
    bench.services.database.run("UPDATE streams SET options = %(o)s", {"o": Jsonb({"verify": 3600.0})})
    plan(bench.services)
    assert bench.services.database.all(soon) == [{"id": stream}]


def good(key: str, at: str = "2026-11-20T08:00:00Z") -> bytes:
    return json.dumps({"id": key, "updated_at": at, "name": "Kept aside"}).encode()


def test_what_was_set_aside_is_listed_retried_and_leaves_when_it_can_be_taken(
    bench: Bench,
    headrace: Command,
) -> None:
    stream = bench.stream("sites")
    bench.sync(stream)
    set_aside(bench, stream, good("new"), "new")
    set_aside(bench, stream, b'{"id": "bad", "updated_at": "never"}', "bad")
    assert "bad_cursor" in headrace("quarantine").out
    rows = headrace("quarantine", "d", "sites", "--json").json
    assert {row["key"] for row in rows} == {"new", "bad"}
    shown = headrace("quarantine", "--show", rows[0]["id"][:12])
    assert "It was no time." in shown.out
    run = UUID(headrace("quarantine", "d", "sites", "--retry", "--json").json["run"])
    carry_out(bench.services, run)
    ended = bench.outcome(run)
    assert (ended["state"], ended["error_code"]) == ("partial", "records_set_aside")
    (left,) = headrace("quarantine", "d", "sites", "--json").json
    assert left["key"] == "bad"
    assert left["retried_at"] is not None
    row = bench.services.database.one(
        "SELECT observed_at < now() - interval '23 hours' AS then FROM records WHERE key = 'new'"
    )
    assert row == {"then": True}
    assert headrace("quarantine", "d", "sites", "--discard").code == Exit.OK
    assert headrace("quarantine", "d", "sites", "--json").json == []


def test_what_comes_badly_once_more_while_it_is_tried_again_stays_aside(
    bench: Bench, headrace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_aside(bench, bench.stream("sites"), good("new"), "new")
    run = UUID(headrace("quarantine", "d", "sites", "--retry", "--json").json["run"])
    try_again = retry.try_again

    def meanwhile(*given: Any) -> retry.Tried:
        bench.services.database.run("UPDATE quarantine SET seen = seen + 1, last_seen_at = now()")
        return try_again(*given)

    monkeypatch.setattr(retry, "try_again", meanwhile)
    carry_out(bench.services, run)
    assert [row["key"] for row in headrace("quarantine", "d", "sites", "--json").json] == ["new"]


def test_a_retried_record_does_not_replace_what_came_since(bench: Bench, api: Application) -> None:
    stream = bench.stream("sites")
    bench.sync(stream)
    key = next(iter(bench.copy(stream)))
    before = bench.copy(stream)[key]
    set_aside(bench, stream, good(key, "2020-01-01T00:00:00Z"), key)
    # Later than what the copy holds, and of an older version.
    bench.services.database.run("UPDATE quarantine SET last_seen_at = now()")
    asked = api.post("/v1/connections/d/streams/sites/quarantine", {"action": "retry"}).json()
    carry_out(bench.services, UUID(asked["run"]))
    assert bench.copy(stream)[key] == before
    assert api.read("/v1/quarantine") == {"quarantine": [], "next": None}


def test_only_those_named_are_retried(bench: Bench, headrace: Command) -> None:
    stream = bench.stream("sites")
    for key in ("a", "b"):
        set_aside(bench, stream, good(key), key)
    first = headrace("quarantine", "d", "sites", "--json").json[0]
    asked = headrace("quarantine", "d", "sites", "--retry", "--only", first["id"], "--json")
    carry_out(bench.services, UUID(asked.json["run"]))
    assert set(bench.copy(stream)) == {first["key"]}


def test_what_was_set_aside_is_tried_again_when_its_stream_is_read_in_another_way(bench: Bench) -> None:
    stream = bench.stream("sites")
    set_aside(bench, stream, good("7"))
    retry_quarantines(bench.services)  # notes how it is read
    retry_quarantines(bench.services)
    count: Callable[[], int] = lambda: len(bench.services.database.all("SELECT id FROM runs"))  # noqa: E731
    assert count() == 0
    bench.services.database.run("UPDATE streams SET quarantine_shape = 'as it was read before'")
    retry_quarantines(bench.services)
    retry_quarantines(bench.services)
    assert count() == 1
    bench.carry_out_ready()
    assert set(bench.copy(stream)) == {"7"}


def test_drift_of_fields_is_shown_until_somebody_accepts_it(
    bench: Bench,
    headrace: Command,
    api: Application,
) -> None:
    stream = bench.stream("sites")
    bench.sync(stream)
    fields = {row["field"] for row in api.read("/v1/connections/d/streams/sites/fields")["fields"]}
    assert {"id", "name", "address.city"} <= fields
    assert headrace("drift").out.startswith("No field appeared")
    bench.services.database.run(
        "UPDATE stream_fields SET state = 'retyped', was = '{integer}', types = '{integer,text}', changed_at = now()"
        " WHERE path = '{name}'"
    )
    assert "was integer, now also text" in headrace("drift", "d").out
    assert headrace("drift", "d", "sites", "--accept").code == Exit.OK
    assert headrace("drift", "d", "--json").json == []
    assert api.read("/v1/drift") == {"fields": [], "next": None}


def test_a_record_is_explained_and_so_is_one_that_is_not_there(
    bench: Bench,
    headrace: Command,
    api: Application,
) -> None:
    stream = bench.stream("sites")
    bench.sync(stream)
    key = next(iter(bench.copy(stream)))
    assert f"{key} of d / sites came into the copy by the" in headrace("explain", "d", "sites", key).out
    told = api.read(f"/v1/connections/d/streams/sites/records/{key}/explain")
    assert (told["found"], told["record"]["key"]) == (True, key)
    assert headrace("explain", "d", "sites", "nowhere", "--json").json["found"] is False
    assert api.ask("GET", "/v1/connections/d/streams/sites/records/a%00b/explain").status_code == 422


def test_partial_says_what_was_set_aside_and_why(bench: Bench, demo: Demo) -> None:
    demo.fault(bad_record="missing_id", count=1)
    bench.sync(bench.stream("sites"))
    row = bench.services.database.one(
        "SELECT state, error_code, error FROM run_history WHERE state = 'partial'"
    )
    assert row is not None
    assert row["error_code"] == "records_set_aside"
    assert row["error"].startswith(
        "1 record was set aside: bad_key ×1 (page 1). `headrace quarantine d sites`"
    )


def test_nothing_where_there_has_always_been_something_is_suspicious_once_and_moves_nothing(
    bench: Bench,
    demo: Demo,
) -> None:
    stream = bench.stream("sites")
    bench.sync(stream)
    bench.services.database.run("UPDATE streams SET runs_with_records = %(n)s", {"n": outcome.ALWAYS})
    fresh = "SELECT last_success_at FROM streams"
    before, copied, fresh_at = bench.cursor(stream), bench.copy(stream), bench.services.database.all(fresh)
    demo.fault(empty_list=True)
    ended = bench.sync(stream)
    assert (ended["state"], ended["error_code"]) == ("suspicious_empty", "suspicious_empty")
    assert bench.services.database.all(fresh) == fresh_at
    assert bench.cursor(stream) == before
    assert bench.copy(stream) == copied
    assert bench.sync(stream)["state"] == "succeeded"


def test_runs_that_read_something_are_counted_in_a_row_that_no_failure_ends(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("sites")
    bench.sync(stream)
    bench.services.database.run("UPDATE streams SET runs_with_records = 0")
    key = next(iter(bench.copy(stream)))

    def synced() -> tuple[str, int]:
        state = bench.sync(stream)["state"]
        row = bench.services.database.one("SELECT runs_with_records AS n FROM streams")
        assert row is not None
        return state, row["n"]

    for number in (1, 2):
        demo.change("sites", key, name=f"Name {number}")
        assert synced() == ("succeeded", number)
    demo.fault(error_rate=1.0, error_status=403)
    assert synced() == ("failed", 2)
    demo.clear_faults()
    demo.fault(empty_list=True)
    assert synced() == ("succeeded", 0)
