"""A run from claim to end, in this process, against the demo system: what it reads, keeps and does when told no."""

from typing import Any

import pytest
from servers.systems.bench import Bench
from servers.systems.demo import Demo

from scheduler.beat.dispatch.pacing import Pacing
from scheduler.beat.dispatch.streams import dispatch_due
from worker.engine.ending import commit as endings
from worker.engine.loading.load import Loader
from worker.engine.perform import carry_out
from worker.errors import Transient
from worker.runs.cancel import cancel_run

pytestmark = pytest.mark.integration


def test_the_first_sync_brings_all_of_the_history_beside_the_live_cursor(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("work_orders")
    run = bench.sync(stream)
    assert run["state"] == "succeeded"
    live, _ = demo.truth("work_orders")
    assert bench.copy(stream) == live
    assert bench.cursor(stream, "history")["finished_at"] is not None
    tracks = bench.services.database.all("SELECT track, count(*) AS n FROM run_history GROUP BY 1 ORDER BY 1")
    assert [(row["track"], row["n"]) for row in tracks] == [("history", 1), ("live", 1)]


def test_a_history_in_days_leaves_out_what_is_older(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("work_orders", history_days=30)
    bench.sync(stream)
    live, _ = demo.truth("work_orders")
    copied = bench.copy(stream)
    assert 0 < len(copied) < len(live)
    oldest = min(record["updated_at"] for record in copied.values())
    assert {key for key, record in live.items() if record["updated_at"] >= oldest} == set(copied)


def test_an_increment_reads_what_changed_and_writes_nothing_else(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("work_orders")
    bench.sync(stream)
    key = next(iter(bench.copy(stream)))
    demo.change("work_orders", int(key), title="Changed by hand")
    run = bench.sync(stream)
    assert run["records_updated"] == 1
    assert run["records_created"] == run["records_refused"] == 0
    assert bench.copy(stream)[key]["title"] == "Changed by hand"
    assert bench.sync(stream)["records_updated"] == 0


def test_a_deletion_at_the_source_leaves_a_tombstone(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("work_orders")
    bench.sync(stream)
    key = next(iter(bench.copy(stream)))
    demo.control("POST", "delete", {"entity": "work_orders", "id": int(key)})
    assert bench.sync(stream)["records_deleted"] == 1
    assert key not in bench.copy(stream)


def test_an_interrupted_window_reads_no_committed_page_again(bench: Bench, demo: Demo) -> None:
    demo.control("POST", "bulk?entity=parts&count=2600&days=10")
    stream = bench.stream("parts")
    carry_out(bench.services, bench.request(stream))
    history = bench.services.database.one("SELECT id FROM runs WHERE track = 'history'")
    assert history is not None
    object.__setattr__(bench.services.settings, "slice", 0.0)  # stops after its first page
    carry_out(bench.services, history["id"])
    object.__setattr__(bench.services.settings, "slice", 60.0)
    pages = bench.outcome(history["id"])["pages"]
    assert bench.outcome(history["id"])["wait_reason"] == "slice"
    demo.fault(error_rate=1.0, error_status=500, count=1)
    carry_out(bench.services, history["id"])  # meets the error, and waits for a retry
    waiting = bench.outcome(history["id"])
    assert (waiting["state"], waiting["wait_reason"], waiting["attempt"]) == ("queued", "retry", 1)
    bench.services.database.run("UPDATE runs SET not_before = now()")
    bench.carry_out_ready()
    live, _ = demo.truth("parts")
    assert bench.copy(stream) == live
    assert pages == 1
    assert bench.outcome(history["id"])["records_read"] == len(live) + len(demo.truth("parts")[1])


def test_a_committed_page_ends_a_row_of_failures(bench: Bench, demo: Demo) -> None:
    demo.control("POST", "bulk?entity=parts&count=2600&days=10")
    stream = bench.stream("parts")
    carry_out(bench.services, bench.request(stream))
    history = bench.services.database.one("SELECT id FROM runs WHERE track = 'history'")
    assert history is not None
    object.__setattr__(bench.services.settings, "slice", 0.0)  # one page a turn
    for _ in range(2):  # two attempts are all that the settings of this test allow
        demo.fault(error_rate=1.0, error_status=500, count=1)
        carry_out(bench.services, history["id"])
        assert bench.outcome(history["id"])["attempt"] == 1
        bench.services.database.run("UPDATE runs SET not_before = now()")
        carry_out(bench.services, history["id"])
        assert bench.outcome(history["id"])["attempt"] == 0


def test_a_page_that_the_system_no_longer_knows_restarts_its_window(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("work_orders")
    bench.sync(stream)
    bench.services.database.run(
        'UPDATE cursors SET position = \'{"page": {"cursor": "no-such-page"}}\' WHERE track = \'live\''
    )
    key = next(iter(bench.copy(stream)))
    demo.change("work_orders", int(key), title="Not lost")
    assert bench.sync(stream)["state"] == "succeeded"
    assert bench.copy(stream)[key]["title"] == "Not lost"


def test_a_bad_record_is_set_aside_and_the_run_says_so(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("sites")
    demo.fault(bad_record="missing_id", count=1)
    run = bench.sync(stream)
    states = bench.services.database.all("SELECT state, records_rejected FROM run_history ORDER BY id")
    assert "partial" in {row["state"] for row in states}, run
    assert sum(row["records_rejected"] for row in states) == 1
    row = bench.services.database.one("SELECT code, reason FROM quarantine")
    assert row is not None
    assert row["code"] == "bad_key"


def test_a_system_that_says_wait_is_not_asked_again_before(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("sites")
    demo.fault(storm_429=60)
    run = bench.sync(stream)
    assert (run["state"], run["wait_reason"], run["attempt"]) == ("queued", "limit", 0)
    other = bench.stream("vendors")
    assert bench.requests_of(lambda: bench.sync(other)) == 0


def test_a_refused_secret_ends_the_run_with_the_systems_words(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("sites")
    demo.fault(auth_revoked=True)
    run = bench.sync(stream)
    assert (run["state"], run["error_code"]) == ("failed", "auth_refused")
    demo.clear_faults()
    assert bench.sync(stream)["state"] == "succeeded"


def test_an_unresolved_secret_is_named_and_nothing_is_sent(bench: Bench) -> None:
    bench.services.database.run('UPDATE connections SET secrets = \'{"token": "file:///nowhere/at/all"}\'')
    stream = bench.stream("sites")
    assert bench.requests_of(lambda: bench.sync(stream)) == 0
    row = bench.services.database.one("SELECT error_code, error FROM run_history")
    assert row is not None
    assert row["error_code"] == "secret_unresolved"
    assert "/nowhere/at/all" in row["error"]


def test_attempts_in_a_row_end_a_run_that_never_works(bench: Bench, demo: Demo) -> None:
    stream = bench.stream("sites")
    demo.fault(error_rate=1.0, error_status=502)
    run = bench.request(stream)
    for _ in range(2):
        carry_out(bench.services, run)
        bench.services.database.run("UPDATE runs SET not_before = now()")
    ended = bench.outcome(run)
    assert (ended["state"], ended["error_code"], ended["attempt"]) == ("failed", "system_error", 1)


def test_a_worker_that_drains_gives_runs_back_unspent_and_begins_none(bench: Bench) -> None:
    stream = bench.stream("work_orders")
    run = bench.request(stream)
    bench.services.leases.drain()
    carry_out(bench.services, run)
    left = bench.outcome(run)
    assert (left["state"], left["claim_no"]) == ("queued", 0)


def test_a_history_in_slices_gives_its_place_back_and_goes_on(bench: Bench, demo: Demo) -> None:
    demo.control("POST", "bulk?entity=parts&count=3000&days=10")
    stream = bench.stream("parts")
    carry_out(bench.services, bench.request(stream))
    history = bench.services.database.one("SELECT id FROM runs WHERE track = 'history'")
    assert history is not None
    object.__setattr__(bench.services.settings, "slice", 0.0)
    turns = 0
    while bench.outcome(history["id"])["state"] == "queued":
        carry_out(bench.services, history["id"])
        turns += 1
    ended = bench.outcome(history["id"])
    assert turns > 3
    assert (ended["state"], ended["attempt"]) == ("succeeded", 0)
    live, _ = demo.truth("parts")
    assert bench.copy(stream) == live


def test_beat_asks_for_each_due_stream_once_however_long_it_was_away(bench: Bench) -> None:
    streams = [bench.stream(name) for name in ("sites", "vendors", "parts")]
    bench.services.database.run(
        """UPDATE streams SET next_run_at = now() - interval '3 days', schedule = '{"every": 3600}'"""
    )
    assert dispatch_due(bench.services.database, Pacing()) == len(streams)
    assert dispatch_due(bench.services.database, Pacing()) == 0
    assert bench.services.database.one("SELECT count(*) AS n FROM runs") == {"n": len(streams)}
    row = bench.services.database.one(
        "SELECT min(next_run_at) > now() AS later, max(next_run_at) <= now() + interval '1 h' AS soon FROM streams"
    )
    assert row == {"later": True, "soon": True}


def answers_get_lost(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """The next call does its work, and its caller is told that Postgres went away."""
    real = getattr(owner, name)
    lost: list[bool] = []

    def cut(*args: Any, **more: Any) -> Any:
        answer = real(*args, **more)
        if not lost:
            lost.append(True)
            raise Transient("database_unavailable", "The connection was cut after COMMIT was sent.")
        return answer

    monkeypatch.setattr(owner, name, cut)


def test_a_run_whose_end_was_committed_unheard_stays_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_get_lost(monkeypatch, endings, "finish_run")
    run = bench.request(bench.stream("sites"))
    carry_out(bench.services, run)
    carry_out(bench.services, run)
    assert (bench.outcome(run)["state"], bench.outcome(run)["claim_no"]) == ("succeeded", 1)


def test_a_run_that_found_nothing_and_was_cancelled_meanwhile_ends_as_cancelled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = bench.stream("sites")
    bench.sync(stream)
    run = bench.request(stream)
    real = endings.finish_run

    def cancelled_just_before(*args: Any, **more: Any) -> Any:
        if more.get("last") is not None:
            assert cancel_run(bench.services.database, run) == "cancelling"
        return real(*args, **more)

    monkeypatch.setattr(endings, "finish_run", cancelled_just_before)
    bench.services.database.run("UPDATE cursors SET watermark = to_jsonb('2099-01-01T00:00:00Z'::text)")
    carry_out(bench.services, run)
    ended = bench.outcome(run)
    assert (ended["state"], ended["error_code"], ended["pages"]) == ("cancelled", "cancelled", 1)


def test_a_page_that_was_committed_unheard_is_counted_once(
    bench: Bench, demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = bench.stream("work_orders")
    bench.sync(stream)
    demo.control("POST", "bulk?entity=work_orders&count=700")
    answers_get_lost(monkeypatch, Loader, "load_pages")
    run = bench.request(stream)
    carry_out(bench.services, run)
    assert bench.outcome(run)["wait_reason"] == "retry"
    bench.services.database.run("UPDATE runs SET not_before = now()")
    carry_out(bench.services, run)
    live, _ = demo.truth("work_orders")
    assert bench.copy(stream) == live
    assert (bench.outcome(run)["state"], bench.outcome(run)["records_created"]) == ("succeeded", 700)


def test_a_return_that_was_committed_unheard_leaves_the_run_in_the_queue(
    bench: Bench, demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_get_lost(monkeypatch, endings, "give_back")
    demo.fault(error_rate=1.0, error_status=500, count=1)
    run = bench.request(bench.stream("sites"))
    with pytest.raises(Transient):
        carry_out(bench.services, run)
    assert (bench.outcome(run)["state"], bench.outcome(run)["attempt"]) == ("queued", 1)
