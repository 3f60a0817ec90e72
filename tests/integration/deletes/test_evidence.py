"""What is no evidence: lists that are short, empty, unreadable, lost, or read by somebody whose time is over."""

import pytest
from servers.systems.scripted import Said

from worker.engine.deletes import listing
from worker.engine.perform import carry_out
from worker.errors import LostLease
from worker.runs.claim import claim_run
from worker.runs.leases import Held
from worker.runs.rescue import rescue_lapsed

from .conftest import Desk, hiding  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


def keys(count: int, start: int = 0) -> list[str]:
    return [f"r{number:04}" for number in range(start, start + count)]


def test_a_list_that_is_shorter_than_the_systems_own_total_is_no_evidence(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.store.listing = lambda rows: rows[:-4]
    run = desk.sweep(stream)
    assert (run["state"], run["error_code"]) == ("partial", "sweep_short")
    assert "40" in run["error"]
    assert desk.suspects(stream) == {}
    assert desk.last_sweep(stream)["verdict"] == "incomplete"


def test_an_entry_without_a_readable_key_makes_a_sweep_incomplete(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.store.listing = lambda rows: [*rows[:4], {"id": None}, *rows[5:]]
    run = desk.sweep(stream)
    assert (run["state"], run["error_code"]) == ("partial", "sweep_unreadable")
    assert desk.suspects(stream) == {}


def test_an_empty_list_is_doubted_and_a_second_one_is_shown_to_a_person(desk: Desk) -> None:
    """Also of a stream so small that the fuse would let all of it pass."""
    stream = desk.synced(8, "parts")
    desk.store.listing = lambda _: []
    desk.store.total = lambda _: 0
    run = desk.sweep(stream)
    assert (run["state"], run["error_code"]) == ("suspicious_empty", "sweep_empty")
    assert desk.suspects(stream) == {}
    for _ in range(3):
        run = desk.sweep(stream)
        assert (run["state"], run["error_code"]) == ("partial", "deletes_held")
        assert len(desk.copy(stream)) == 8
    assert desk.row(stream)["fuse"]["count"] == 8


def test_an_error_dressed_as_an_empty_list_deletes_nothing_and_is_forgotten_when_it_is_over(
    desk: Desk,
) -> None:
    stream = desk.synced(40, "parts")
    hiding(desk, *keys(40))
    desk.sweep(stream)
    hiding(desk)
    assert desk.sweep(stream)["state"] == "succeeded"
    assert len(desk.copy(stream)) == 40
    assert desk.suspects(stream) == {}
    assert desk.row(stream)["fuse"] is None


def test_a_list_far_below_what_was_there_is_doubted_first(desk: Desk) -> None:
    stream = desk.synced(80, "parts")
    hiding(desk, *keys(41))
    run = desk.sweep(stream)
    assert (run["state"], run["error_code"]) == ("partial", "sweep_far_below")
    assert desk.suspects(stream) == {}
    hiding(desk, *keys(60))  # another list than before: still no picture to believe
    assert desk.sweep(stream)["error_code"] == "sweep_far_below"
    assert desk.sweep(stream)["error_code"] == "deletes_held"
    assert len(desk.suspects(stream)) == 60
    assert len(desk.copy(stream)) == 80


def test_keys_that_postgres_lost_make_the_sweep_begin_anew(desk: Desk) -> None:
    """As after a crash of Postgres: what was staged isn't logged, and what counts it is."""
    stream = desk.synced(40, "parts")
    desk.store.broken_pages = {3}
    run = desk.sweep(stream)
    desk.store.broken_pages = set()
    desk.do("TRUNCATE swept_pages")
    desk.do("UPDATE runs SET not_before = now()")
    desk.store.asked.clear()
    carry_out(desk.services, run["id"])
    assert any("offset=0&" in path for path in desk.store.asked)
    assert desk.outcome(run["id"])["state"] == "succeeded"
    assert desk.suspects(stream) == {}


def test_keys_that_postgres_lost_at_the_last_moment_are_no_evidence(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = desk.synced(40, "parts")
    read = listing.read_list

    def lost(*args: object) -> listing.Generation:
        found = read(*args)  # type: ignore[arg-type]
        desk.do("DELETE FROM swept_pages")
        return found

    monkeypatch.setattr("worker.engine.tracks.sweep.read_list", lost)
    run = desk.sweep(stream)
    assert (run["state"], run["error_code"]) == ("partial", "sweep_lost")
    assert desk.suspects(stream) == {}


def test_another_run_begins_a_generation_of_its_own(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.store.broken_pages = {3}
    run = desk.sweep(stream)
    desk.do("DELETE FROM runs WHERE id = %(r)s", r=run["id"])
    desk.store.broken_pages = set()
    hiding(desk, "r0001")  # on a page that the run before had read
    kept: set[int] = set()

    def look(page: int) -> None:
        del page
        kept.update(row["generation"] for row in desk.all("SELECT generation FROM swept_pages"))

    desk.store.between = look
    desk.sweep(stream)
    assert kept <= {desk.last_sweep(stream)["generation"]}, "what was seen before is gone"
    assert desk.suspects(stream) == {"r0001": 1}


def test_a_stale_worker_adds_nothing_and_judges_nothing(desk: Desk) -> None:
    """Killed or cut off in the middle: its run is claimed anew, and the next sweep is right."""
    stream = desk.synced(40, "parts")
    desk.store.drop("r0030")
    run = desk.request(stream, "sweep")
    stale = claim_run(desk.services.database, run, worker="dead:1", lease=30)
    assert stale is not None
    desk.do("UPDATE runs SET lease_until = now() WHERE id = %(r)s", r=run)
    rescue_lapsed(desk.services.database, max_attempts=3)
    desk.do("UPDATE runs SET not_before = now()")
    begun = []

    def meanwhile(page: int) -> None:
        if page == 3 and not begun:
            begun.append(page)
            with pytest.raises(LostLease):
                perform_stale(desk, stale)

    desk.store.between = meanwhile
    carry_out(desk.services, run)
    assert begun
    assert desk.outcome(run)["state"] == "succeeded"
    assert desk.suspects(stream) == {"r0030": 1}
    assert desk.one("SELECT count(*) AS n FROM sweeps")["n"] == 1


def perform_stale(desk: Desk, stale: object) -> None:
    """The rest of what a worker would do whose claim is over."""
    from worker.engine.job import Job  # noqa: PLC0415
    from worker.engine.tracks.sweep import sweep_stream  # noqa: PLC0415
    from worker.telemetry.steps import Steps  # noqa: PLC0415

    with desk.services.leases.holding(stale.id, stale.claim_no) as held:  # type: ignore[attr-defined]
        assert isinstance(held, Held)
        sweep_stream(desk.services, Job(stale, held, Steps(), 0))  # type: ignore[arg-type]


def test_a_worker_that_dies_between_reading_and_judging_counts_its_sweep_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = desk.synced(40, "parts")
    desk.store.drop("r0030")
    run = desk.request(stream, "sweep")

    def dies(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr("worker.engine.tracks.sweep._Sweep._decide", dies)
    with pytest.raises(SystemExit):
        carry_out(desk.services, run)
    monkeypatch.undo()
    assert desk.suspects(stream) == {"r0030": 1}
    desk.do("UPDATE runs SET lease_until = now() WHERE id = %(r)s", r=run)
    rescue_lapsed(desk.services.database, max_attempts=3)
    desk.do("UPDATE runs SET not_before = now()")
    desk.store.asked.clear()
    carry_out(desk.services, run)
    assert desk.store.asked == []
    assert desk.suspects(stream) == {"r0030": 1}
    assert desk.tombstones(stream) == {}


def test_pages_that_shift_while_they_are_swept_make_no_false_delete(desk: Desk) -> None:
    """With offsets, a record that goes from an early page moves one of a later page past the reader."""
    stream = desk.synced(60, "parts")
    for number in range(4):
        gone = f"r{number:04}"

        def meanwhile(page: int, gone: str = gone) -> None:
            if page == 3 and gone in desk.store.records:
                desk.store.drop(gone)

        desk.store.between = meanwhile
        desk.sweep(stream)
    desk.store.between = lambda _: None
    desk.sweep(stream)
    desk.sweep(stream)
    assert desk.copy(stream) == desk.store.records.keys()
    assert desk.tombstones(stream).keys() == {"r0000", "r0001", "r0002", "r0003"}


@pytest.mark.parametrize("status", [500, 403])
def test_a_page_that_the_system_refuses_ends_the_sweep_without_evidence(desk: Desk, status: int) -> None:
    stream = desk.synced(40, "parts")
    whole = desk.store._list

    def refused(query: dict[str, str]) -> Said:
        return Said(b"{}", status) if query.get("offset") == "20" else whole(query)

    desk.store._list = refused  # type: ignore[method-assign]
    for _ in range(3):
        desk.sweep(stream)
        desk.do("UPDATE runs SET not_before = now()")
    assert desk.suspects(stream) == {}
    assert len(desk.copy(stream)) == 40
