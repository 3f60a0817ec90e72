"""The ledger of open work: one door in, one claim, and nothing that stays stuck."""

import threading
from uuid import UUID, uuid4

import pytest
from servers.rows.ledger import Ledger

from worker.errors import Cancelled, LostLease, NotFound
from worker.runs.cancel import cancel_run
from worker.runs.finish import Failure, finish_run, give_back
from worker.runs.leases import Leases
from worker.runs.rescue import end_lease, rescue_lapsed
from worker.runs.states import Lane, State

pytestmark = pytest.mark.integration


def test_a_second_request_joins_the_queued_run_and_raises_its_lane(ledger: Ledger) -> None:
    first = ledger.request(Lane.SCHEDULED)
    second = ledger.request(Lane.ON_DEMAND)
    assert (first.created, second.created) == (True, False)
    assert second.id == first.id
    assert (first.queue, second.queue) == ("sync.demo", "sync.demo.live")
    assert ledger.open_run(first.id)["lane"] == Lane.ON_DEMAND


def test_a_less_urgent_request_does_not_lower_the_lane(ledger: Ledger) -> None:
    run = ledger.request(Lane.ON_DEMAND)
    assert ledger.request(Lane.SCHEDULED).queue == "sync.demo.live"
    assert ledger.open_run(run.id)["lane"] == Lane.ON_DEMAND


def test_a_request_never_joins_a_running_run(ledger: Ledger) -> None:
    running = ledger.claimed()
    assert ledger.request().id != running.id


def test_other_scopes_and_tracks_are_other_work(ledger: Ledger) -> None:
    ids = {
        ledger.request().id,
        ledger.request(track="records", scope={"ids": ["1"]}).id,
        ledger.request(track="records", scope={"ids": ["2"]}).id,
        ledger.request(track="history").id,
        ledger.request(stream=ledger.other).id,
    }
    assert len(ids) == 5


def test_a_scope_may_name_thousands_of_records_in_any_order_of_its_fields(ledger: Ledger) -> None:
    ids = [str(uuid4()) for _ in range(5000)]
    first = ledger.request(track="records", scope={"ids": ids, "why": "x"})
    assert ledger.request(track="records", scope={"why": "x", "ids": ids}).id == first.id


def test_a_run_of_a_stream_that_is_gone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="4711"):
        ledger.request(stream=4711)


def test_many_deliveries_at_once_are_one_claim(ledger: Ledger) -> None:
    requested = ledger.request()
    won: list[object] = []
    barrier = threading.Barrier(8)

    def deliver() -> None:
        barrier.wait()
        run = ledger.claim(requested.id)
        if run is not None:
            won.append(run)

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


@pytest.mark.parametrize("reached", [2_147_483_647, 2_147_483_646, 2_147_483_200])
def test_a_run_of_events_whose_claims_come_to_the_end_of_their_numbers_goes_on_with_the_first(
    ledger: Ledger, reached: int
) -> None:
    run = ledger.request(track="events")
    ledger.database.run("UPDATE runs SET claim_no = %(n)s WHERE id = %(id)s", {"n": reached, "id": run.id})
    claims = {reached}
    for _ in range(3):
        claimed = ledger.claim(run.id)
        assert claimed is not None
        assert claimed.claim_no not in claims
        with pytest.raises(LostLease):  # nobody who held it before still does
            finish_run(ledger.database, run.id, reached, State.SUCCEEDED)
        claims.add(claimed.claim_no)
        give_back(ledger.database, run.id, claimed.claim_no, wait=0, reason="slice", spent=False)
    assert min(claims) < 30_000


def test_a_successor_waits_until_the_stream_is_free_and_is_named_then(ledger: Ledger) -> None:
    running = ledger.claimed()
    successor = ledger.request()
    assert ledger.claim(successor.id) is None
    _, woken = finish_run(ledger.database, running.id, running.claim_no, State.SUCCEEDED)
    assert woken == (successor.id, successor.queue)
    assert ledger.claim(successor.id) is not None


def test_tracks_of_one_stream_run_side_by_side(ledger: Ledger) -> None:
    ledger.claimed()
    assert ledger.claimed(track="history") is not None


def test_a_paused_connection_begins_nothing(ledger: Ledger) -> None:
    requested = ledger.request()
    ledger.database.run("UPDATE connections SET paused_at = now()")
    assert ledger.claim(requested.id) is None


def test_a_finished_run_leaves_the_ledger_and_its_stream_knows(ledger: Ledger) -> None:
    run = ledger.claimed()
    finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED, fresh_at=run.claimed_at)
    ended = ledger.ended(run.id)
    assert ledger.open_run(run.id) is None
    assert ended is not None
    assert ended["state"] == "succeeded"
    stream = ledger.database.one("SELECT * FROM streams WHERE id = %(s)s", {"s": ledger.stream})
    assert stream is not None
    assert (stream["last_outcome"], stream["last_success_at"]) == ("succeeded", run.claimed_at)


def test_a_run_cant_be_finished_twice(ledger: Ledger) -> None:
    run = ledger.claimed()
    finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED)
    with pytest.raises(LostLease):
        finish_run(ledger.database, run.id, run.claim_no, State.FAILED)


def test_a_stream_that_fails_in_a_row_is_asked_less_and_less_often(ledger: Ledger) -> None:
    ledger.database.run("UPDATE streams SET next_run_at = now()")
    waits = []
    for _ in range(9):
        run = ledger.claimed()
        finish_run(ledger.database, run.id, run.claim_no, State.FAILED, failure=Failure("x", "No."))
        row = ledger.database.one(
            "SELECT extract(epoch FROM next_run_at - now())::float8 AS wait FROM streams WHERE id = %(s)s",
            {"s": ledger.stream},
        )
        assert row is not None
        waits.append(round(row["wait"]))
        ledger.database.run("UPDATE streams SET next_run_at = now()")
    assert waits == sorted(waits)
    assert (waits[0], waits[1], waits[-1]) == (30, 60, 3600)


def test_a_run_that_waits_is_not_claimed_before_its_time(ledger: Ledger) -> None:
    run = ledger.claimed()
    give_back(ledger.database, run.id, run.claim_no, wait=60, reason="limit", spent=False)
    assert ledger.claim(run.id) is None
    row = ledger.open_run(run.id)
    assert row is not None
    assert (row["state"], row["wait_reason"], row["attempt"]) == ("queued", "limit", 0)


def test_an_on_demand_request_ends_the_wait_for_a_retry_but_not_for_a_limit(ledger: Ledger) -> None:
    retry = ledger.claimed()
    give_back(ledger.database, retry.id, retry.claim_no, wait=60, reason="retry", spent=True)
    assert ledger.request(Lane.ON_DEMAND).ready
    limited = ledger.claimed(stream=ledger.other)
    give_back(ledger.database, limited.id, limited.claim_no, wait=60, reason="limit", spent=False)
    assert not ledger.request(Lane.ON_DEMAND, stream=ledger.other).ready


def test_a_run_given_back_merges_into_the_successor_that_waits_already(ledger: Ledger) -> None:
    run = ledger.claimed()
    successor = ledger.request(Lane.SCHEDULED)
    went_on, _ = give_back(ledger.database, run.id, run.claim_no, wait=0, reason="drain", spent=False)
    assert went_on == successor.id
    ended = ledger.ended(run.id)
    assert ended is not None
    assert (ended["state"], ended["merged_into"]) == ("merged", successor.id)
    joined = ledger.open_run(successor.id)
    assert joined is not None
    assert joined["lane"] == Lane.ON_DEMAND


def test_a_lapsed_lease_goes_back_to_the_queue_and_spends_nothing(ledger: Ledger) -> None:
    """One of the runs that a dead process held may have ended it: nobody knows which."""
    run = ledger.claimed()
    ledger.lapse(run.id)
    rescued = rescue_lapsed(ledger.database, max_attempts=1)
    assert (rescued.saved, rescued.wakeups) == (1, ((run.id, "sync.demo.live"),))
    again = ledger.claim(run.id)
    assert again is not None
    assert (again.claim_no, again.attempt, again.alone) == (run.claim_no + 1, 0, False)


def test_a_run_that_was_rescued_twice_goes_alone_and_only_then_spends_attempts(ledger: Ledger) -> None:
    run_id = rescued_alone(ledger)
    for attempt in range(2):
        run = ledger.claim(run_id)
        assert run is not None
        assert (run.alone, run.attempt) == (True, attempt)
        ledger.lapse(run_id)
        rescue_lapsed(ledger.database, max_attempts=3)
        ledger.database.run("UPDATE runs SET not_before = now()")
    run = ledger.claim(run_id)
    assert run is not None
    end_lease(ledger.database, run_id, run.claim_no, "that process ended with SIGSEGV")
    assert rescue_lapsed(ledger.database, max_attempts=3).exhausted == 1
    ended = ledger.ended(run_id)
    assert ended is not None
    assert (ended["state"], ended["error_code"]) == ("failed", "ends_its_worker")
    assert "3 times in a row" in ended["error"]
    assert "SIGSEGV" in ended["error"]


def test_after_a_run_that_ended_its_workers_the_next_of_its_stream_is_alone_until_one_succeeds(
    ledger: Ledger,
) -> None:
    for outcome, alone in ((State.FAILED, False), (State.SUCCEEDED, True), (State.SUCCEEDED, False)):
        run = ledger.claimed()
        assert run.alone is alone
        failure = Failure("ends_its_worker", "…") if outcome is State.FAILED else None
        finish_run(ledger.database, run.id, run.claim_no, outcome, failure=failure)


def test_a_run_that_worked_alone_for_a_whole_slice_goes_among_the_others_again(ledger: Ledger) -> None:
    run = ledger.claim(rescued_alone(ledger))
    assert run is not None
    give_back(ledger.database, run.id, run.claim_no, wait=0, reason="slice", spent=False)
    again = ledger.claim(run.id)
    assert again is not None
    assert not again.alone


def test_a_successor_that_takes_over_a_run_goes_alone_too(ledger: Ledger) -> None:
    run = ledger.claim(rescued_alone(ledger))
    assert run is not None
    successor = ledger.request()
    ledger.lapse(run.id)
    rescue_lapsed(ledger.database, max_attempts=5)
    ledger.database.run("UPDATE runs SET not_before = now()")
    again = ledger.claim(successor.id)
    assert again is not None
    assert (again.alone, again.attempt) == (True, 1)


def rescued_alone(ledger: Ledger) -> UUID:
    """A run that was rescued twice."""
    requested = ledger.request()
    for _ in range(2):
        run = ledger.claim(requested.id)
        assert run is not None
        assert not run.alone
        ledger.lapse(requested.id)
        assert rescue_lapsed(ledger.database, max_attempts=1).saved == 1
    return requested.id


def test_a_live_lease_is_left_alone(ledger: Ledger) -> None:
    ledger.claimed()
    assert rescue_lapsed(ledger.database, max_attempts=5).saved == 0


def test_two_rescuers_at_once_save_a_run_once(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.lapse(run.id)
    saved: list[int] = []
    barrier = threading.Barrier(4)

    def rescue() -> None:
        barrier.wait()
        saved.append(rescue_lapsed(ledger.database, max_attempts=5).saved)

    threads = [threading.Thread(target=rescue) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = ledger.open_run(run.id)
    assert row is not None
    assert (sum(saved), row["rescues"]) == (1, 1)


def test_a_worker_learns_that_its_run_was_taken_when_it_renews(ledger: Ledger) -> None:
    leases = Leases(ledger.database, lease=LEASE_LONG)
    run = ledger.claimed()
    with leases.holding(run.id, run.claim_no) as held:
        leases.renew()
        held.check()
        ledger.lapse(run.id)
        rescue_lapsed(ledger.database, max_attempts=5)
        leases.renew()
        with pytest.raises(LostLease):
            held.check()
    leases.close()


LEASE_LONG = 3600.0


def test_renewing_moves_the_lease_on(ledger: Ledger) -> None:
    leases = Leases(ledger.database, lease=LEASE_LONG)
    run = ledger.claimed(lease=5)
    with leases.holding(run.id, run.claim_no):
        leases.renew()
    leases.close()
    row = ledger.database.one("SELECT lease_until > now() + interval '1 minute' AS long FROM runs")
    assert row == {"long": True}


def test_a_queued_run_is_cancelled_at_once_and_a_running_one_at_its_next_check(ledger: Ledger) -> None:
    queued = ledger.request(stream=ledger.other)
    assert cancel_run(ledger.database, queued.id) == "cancelled"
    ended = ledger.ended(queued.id)
    assert ended is not None
    assert ended["state"] == "cancelled"
    leases = Leases(ledger.database, lease=LEASE_LONG)
    run = ledger.claimed()
    with leases.holding(run.id, run.claim_no) as held:
        assert cancel_run(ledger.database, run.id) == "cancelling"
        leases.renew()
        with pytest.raises(Cancelled):
            held.check()
    leases.close()


@pytest.mark.parametrize("run_id", [uuid4(), UUID(int=0)])
def test_cancelling_what_is_not_there_says_so(ledger: Ledger, run_id: UUID) -> None:
    with pytest.raises(NotFound, match=str(run_id)):
        cancel_run(ledger.database, run_id)


def test_ids_of_runs_grow_with_time(ledger: Ledger) -> None:
    first = ledger.request()
    second = ledger.request(stream=ledger.other)
    assert first.id.version == second.id.version == 7
    assert first.id < second.id or first.id.int >> 80 == second.id.int >> 80


def test_a_stream_may_fail_for_ever_and_each_run_still_ends(ledger: Ledger) -> None:
    ledger.database.run("UPDATE streams SET failures = 100000, next_run_at = now()")
    run = ledger.claimed()
    finish_run(ledger.database, run.id, run.claim_no, State.FAILED, failure=Failure("x", "No."))
    row = ledger.database.one("SELECT next_run_at <= now() + interval '1 hour' AS soon FROM streams LIMIT 1")
    assert row == {"soon": True}


def test_a_history_that_fails_does_not_slow_the_live_runs(ledger: Ledger) -> None:
    ledger.database.run("UPDATE streams SET failures = 5, next_run_at = now()")
    run = ledger.claimed(track="history")
    finish_run(ledger.database, run.id, run.claim_no, State.FAILED, failure=Failure("x", "No."))
    asked = "SELECT failures, next_run_at <= now() AS due, last_error_code, history_error_code FROM streams"
    row = ledger.database.one(f"{asked} WHERE id = %(s)s", {"s": ledger.stream})
    assert row == {"failures": 5, "due": True, "last_error_code": None, "history_error_code": "x"}


def test_a_live_run_that_goes_well_does_not_hide_what_stops_the_history(ledger: Ledger) -> None:
    history = ledger.claimed(track="history")
    finish_run(ledger.database, history.id, history.claim_no, State.FAILED, failure=Failure("x", "No."))
    live = ledger.claimed()
    finish_run(ledger.database, live.id, live.claim_no, State.SUCCEEDED)
    row = ledger.database.one(
        "SELECT last_outcome, history_error, history_next_at > now() AS waits FROM streams WHERE id = %(s)s",
        {"s": ledger.stream},
    )
    assert row == {"last_outcome": "succeeded", "history_error": "No.", "waits": True}


def test_words_that_postgres_cannot_hold_do_not_keep_a_run_from_ending(ledger: Ledger) -> None:
    run = ledger.claimed()
    words = "It says \0 and half a character: \ud83d."
    give_back(
        ledger.database, run.id, run.claim_no, wait=0, reason="retry", spent=True, failure=Failure("x", words)
    )
    row = ledger.open_run(run.id)
    assert row is not None
    assert row["error"] == "It says \ufffd and half a character: ?."


@pytest.mark.parametrize("lapses", [True, False])
def test_a_run_that_is_to_be_cancelled_ends_when_it_comes_back(ledger: Ledger, lapses: bool) -> None:
    run = ledger.claimed()
    assert cancel_run(ledger.database, run.id) == "cancelling"
    if lapses:
        ledger.lapse(run.id)
        rescue_lapsed(ledger.database, max_attempts=5)
    else:
        give_back(ledger.database, run.id, run.claim_no, wait=3600, reason="limit", spent=False)
    assert ledger.open_run(run.id) is None
    ended = ledger.ended(run.id)
    assert ended is not None
    assert ended["state"] == "cancelled"
