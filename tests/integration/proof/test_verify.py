"""The copy held against the source: what is planted is found, what merely isn't due yet is not, and what is mended stays so."""

import json
from datetime import UTC, datetime

import pytest
from integration.proof.compared import counts, of_stream, verify
from servers.systems.bench import Bench
from servers.systems.demo import Demo

from worker.connectors.protocols.rest_stream import RestStream
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.engine.job import Job
from worker.engine.perform import carry_out
from worker.engine.proof import second
from worker.errors import SliceEnded

pytestmark = pytest.mark.integration


def test_a_copy_that_is_right_is_proven_by_every_key_and_hash(bench: Bench, parts: int) -> None:
    bench.sync(parts)
    row = verify(bench, parts)
    assert (row["proven"], counts(row), row["methods"]) == (True, (0, 0, 0), ["complete"])
    assert row["checked"] >= row["copy_records"] > 1200
    assert row["words"].startswith("Proven: ")
    stream = of_stream(bench, parts)
    assert stream["drift"] == 0
    assert stream["proven_at"] is not None


def test_a_page_that_was_dropped_while_it_was_read_is_found_and_repaired(bench: Bench, parts: int) -> None:
    bench.demo.fault(dropped_page=True, entity="parts", count=1)
    bench.sync(parts)
    live, _ = bench.demo.truth("parts")
    lost = len(live) - len(bench.copy(parts))
    assert lost >= 400
    row = verify(bench, parts)
    assert (row["missing"], row["proven"]) == (lost, False)
    assert row["examples"][0]["kind"] == "missing"
    assert of_stream(bench, parts)["drift"] == lost
    row = verify(bench, parts, repair=True)
    assert row["repaired"] == lost
    assert of_stream(bench, parts)["drift"] == 0
    assert bench.copy(parts) == live
    assert verify(bench, parts)["proven"]


def test_records_that_a_broken_filter_hid_are_found(bench: Bench, parts: int) -> None:
    bench.demo.fault(broken_filter=7, entity="parts")
    bench.sync(parts)
    bench.demo.clear_faults()
    live, _ = bench.demo.truth("parts")
    lost = live.keys() - bench.copy(parts).keys()
    assert lost
    row = verify(bench, parts)
    assert row["missing"] == len(lost)
    assert {each["key"] for each in row["examples"]} <= lost


def test_a_field_that_was_mangled_is_found_by_its_name_and_repaired(bench: Bench, parts: int) -> None:
    bench.demo.fault(mangled_field="name", entity="parts")
    bench.sync(parts)
    bench.demo.clear_faults()
    row = verify(bench, parts)
    assert row["different"] > 0
    assert all(
        each == {"kind": "different", "key": each["key"], "fields": ["name"]} for each in row["examples"]
    )
    assert len(row["examples"]) == 20
    live, _ = bench.demo.truth("parts")
    verify(bench, parts, repair=True)
    bench.sync(parts)  # brings the latest, which was not due yet
    assert bench.copy(parts) == live


def test_what_a_comparison_says_holds_no_content(bench: Bench, parts: int) -> None:
    bench.demo.fault(mangled_field="name", entity="parts")
    bench.sync(parts)
    bench.demo.clear_faults()
    row = verify(bench, parts)
    names = [str(record["name"]) for record in bench.demo.truth("parts")[0].values()]
    said = json.dumps(row["examples"]) + row["words"] + json.dumps(row["scope"])
    assert not [name for name in names if name in said]


def test_edits_that_the_next_sync_is_to_bring_are_pending_and_no_drift(bench: Bench, parts: int) -> None:
    bench.sync(parts)
    for key in list(bench.copy(parts))[:3]:
        bench.demo.change("parts", key, name="Changed since")
    bench.demo.create("parts", name="Made since")
    row = verify(bench, parts)
    assert counts(row) == (0, 0, 0)
    assert row["pending"] == 4
    assert "4 differ, and the next sync is to bring them." in row["words"]


def test_a_comparison_while_the_source_lives_finds_nothing(bench: Bench, parts: int) -> None:
    bench.sync(parts)
    bench.demo.thaw(400)
    try:
        for _ in range(4):
            row = verify(bench, parts)
            assert counts(row) == (0, 0, 0), row
            bench.sync(parts)
    finally:
        bench.demo.freeze()
    bench.sync(parts)
    assert verify(bench, parts)["proven"]


def test_what_the_source_says_is_not_there_is_extra_and_buried_on_request(bench: Bench, parts: int) -> None:
    bench.sync(parts)
    key = next(iter(bench.copy(parts)))
    bench.demo.control("POST", "purge", {"entity": "parts", "id": key})
    row = verify(bench, parts, repair=True)
    assert (counts(row), row["examples"], row["repaired"]) == ((0, 1, 0), [{"kind": "extra", "key": key}], 1)
    gone = bench.services.database.one("SELECT delete_reason FROM records WHERE key = %(key)s", {"key": key})
    assert gone == {"delete_reason": "not_found"}


def test_what_a_list_does_not_show_is_never_buried_blindly(
    bench: Bench,
    parts: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RestStream, "single", lambda *_: None)
    bench.sync(parts)
    key = next(iter(bench.copy(parts)))
    bench.demo.control("POST", "purge", {"entity": "parts", "id": key})
    row = verify(bench, parts, repair=True)
    assert (counts(row), row["repaired"]) == ((0, 1, 0), 0)
    assert key in bench.copy(parts)  # two looks at a list aren't evidence enough to delete by


def test_what_is_gone_where_it_is_swept_is_the_next_sweeps_to_find(bench: Bench, parts: int) -> None:
    bench.sync(parts)
    bench.services.database.run("UPDATE streams SET next_sweep_at = now() + interval '1 day'")
    key = next(iter(bench.copy(parts)))
    bench.demo.control("POST", "purge", {"entity": "parts", "id": key})
    row = verify(bench, parts)
    assert (counts(row), row["pending"], row["waiting"]) == ((0, 0, 0), 1, {key: ""})
    assert not row["proven"]
    assert verify(bench, parts)["extra"] == 0  # no sweep has been there since
    bench.services.database.run(
        "INSERT INTO sweeps (stream_id, run_id, verdict) VALUES (%(s)s, headrace_uuid7(), 'complete')",
        {"s": parts},
    )
    assert verify(bench, parts)["extra"] == 1


def test_an_allowance_is_kept_and_a_sample_is_never_called_a_proof(bench: Bench, parts: int) -> None:
    bench.sync(parts)
    asked = bench.requests_of(lambda: verify(bench, parts, requests=2))
    row = bench.services.database.one("SELECT * FROM verifications ORDER BY run_id DESC LIMIT 1")
    assert row is not None
    assert asked <= 2
    assert row["requests"] == asked
    assert not row["proven"]
    assert row["words"].startswith(f"Checked ({row['checked']} of ")


def test_samples_find_a_mangled_field_and_count_it_after_a_second_look(bench: Bench, parts: int) -> None:
    bench.demo.control("POST", "bulk?entity=parts&count=6000&days=10")
    bench.sync(parts)
    bench.services.database.run(
        "UPDATE records SET content_hash = gen_random_uuid(),"
        " raw = replace(raw::text, '\"name\"', '\"title\"')::json WHERE stream_id = %(s)s",
        {"s": parts},
    )
    row = verify(bench, parts, requests=8)
    assert "complete" not in row["methods"]
    assert "slices" in row["methods"]
    assert row["different"] > 100
    assert set(row["examples"][0]["fields"]) == {"name", "title"}
    assert row["requests"] <= 8


def test_a_hole_in_a_large_copy_is_told_by_count_alone(bench: Bench, parts: int) -> None:
    bench.demo.control("POST", "bulk?entity=parts&count=6000&days=10")
    bench.sync(parts)
    bench.services.database.run(
        "DELETE FROM records WHERE stream_id = %(s)s AND key IN (SELECT key FROM records WHERE stream_id = %(s)s"
        " ORDER BY source_updated_at OFFSET 2000 LIMIT 2500)",
        {"s": parts},
    )
    row = verify(bench, parts, requests=10)
    assert "count" in row["methods"]
    assert row["missing"] == 2500


def test_what_is_older_than_the_history_is_not_missed(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("work_orders", history_days=30)
    bench.sync(stream)
    live, _ = demo.truth("work_orders")
    assert len(bench.copy(stream)) < len(live)
    row = verify(bench, stream)
    assert (counts(row), row["proven"]) == ((0, 0, 0), True)
    assert row["scope"]["updated_since"] < datetime.now(UTC).isoformat()


def test_a_copy_whose_first_history_is_still_coming_in_misses_nothing(bench: Bench, parts: int) -> None:
    carry_out(bench.services, bench.request(parts))  # the live run alone
    row = verify(bench, parts)
    assert (counts(row), row["proven"]) == ((0, 0, 0), False)
    assert row["pending"] > 1000
    assert "The first history is still being read." in row["words"]


def test_a_repair_counts_whatever_version_the_copy_holds(bench: Bench, parts: int) -> None:
    bench.sync(parts)
    bench.services.database.run(
        "UPDATE records SET version = version + 1000, content_hash = gen_random_uuid(), raw = '{}'"
        " WHERE key = (SELECT min(key) FROM records WHERE source_updated_at < now() - interval '1 day')"
    )
    row = verify(bench, parts, repair=True)
    assert (counts(row), row["repaired"]) == ((0, 0, 1), 1)
    assert bench.copy(parts) == bench.demo.truth("parts")[0]


def test_a_repair_does_not_overwrite_what_was_seen_later(bench: Bench, parts: int) -> None:
    bench.demo.fault(mangled_field="name", entity="parts")
    bench.sync(parts)
    bench.demo.clear_faults()
    bench.services.database.run(
        "UPDATE records SET observed_at = now() + interval '1 hour' WHERE stream_id = %(s)s", {"s": parts}
    )
    row = verify(bench, parts, repair=True)
    assert (counts(row), row["repaired"]) == ((0, 0, 0), 0)
    assert row["pending"] > 0


def test_a_comparison_moves_no_cursor(bench: Bench, parts: int) -> None:
    bench.sync(parts)
    before = bench.cursor(parts)
    verify(bench, parts, repair=True)
    assert bench.cursor(parts) == before


def test_one_whose_time_is_up_ends_with_what_it_has(
    bench: Bench, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps no place: given back, it would begin anew until its time is up again."""
    bench.sync(parts)
    sent = 0

    def check(self: Job) -> None:
        nonlocal sent
        sent += 1
        if sent > 2:
            raise SliceEnded("The run's time in one worker is up.")

    monkeypatch.setattr(Job, "check", check)
    row = verify(bench, parts)
    assert not row["proven"]
    assert 0 < row["checked"] < row["copy_records"]
    assert row["words"].endswith("It ended early: its time was up.")


def test_what_nobody_looked_at_twice_is_not_proven(
    bench: Bench, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.demo.fault(dropped_page=True, entity="parts", count=1)
    bench.sync(parts)
    monkeypatch.setattr(second, "_look_again", lambda _looks: {})
    row = verify(bench, parts)
    assert (row["proven"], counts(row)) == (False, (0, 0, 0))
    assert row["pending"] >= 400


def test_a_large_copy_is_counted_without_reading_its_records(bench: Bench) -> None:
    stream = bench.stream("parts")
    bench.services.database.run(
        "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, cause_kind, cause_id, change_kind)"
        " SELECT 3, %(s)s, 'k' || n, '{}', gen_random_uuid(), now(), 'run', gen_random_uuid(), 'created'"
        " FROM generate_series(1, 3000) AS n",
        {"s": stream},
    )
    bench.services.database.run("VACUUM ANALYZE records_03")
    with bench.services.database.connection() as connection:
        connection.execute(sql.begin_loading)
        asked = {"bucket": 3, "stream": stream}
        plan = connection.execute(f"EXPLAIN {in_partition(sql.count_held, 3)}", asked).fetchall()
        connection.execute("RESET ALL")
        (found,) = connection.execute(in_partition(sql.count_held, 3), asked).fetchall()
    assert found == {"records": 3000, "tombstones": 0}
    assert any("Index Only Scan" in row["QUERY PLAN"] for row in plan)
