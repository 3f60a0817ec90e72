"""The history of a stream, slice by slice, against a server that counts what it is asked."""

from datetime import timedelta
from typing import Any

import pytest
from servers.systems.mill import SIZE, Works, is_whole, iso, past
from servers.systems.scripted import Asked, Said

from scheduler.connections.histories import refit_histories
from worker.engine.history import slices as cutting
from worker.engine.perform import carry_on, carry_out
from worker.runs.cancel import cancel_run
from worker.runs.claim import claim_run
from worker.runs.rescue import rescue_lapsed

pytestmark = pytest.mark.integration


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of a few pages."""
    monkeypatch.setattr(cutting, "FIRST_PAGES", 3)
    monkeypatch.setattr(cutting, "LEAST_PAGES", 3)
    monkeypatch.setattr(cutting, "WORK", 0.0)


def test_a_history_of_one_page_takes_one_request(works: Works) -> None:
    past(works, 8, days=60)
    stream = works.stream()
    works.live(stream)
    before = len(works.mill.asked)
    works.finish(stream)
    assert len(works.mill.asked) == before + 1
    assert works.copy(stream).keys() == works.mill.records.keys()
    assert works.row(stream)["history_done_at"] is not None


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["orders", "lots"])
def test_slices_come_newest_first_and_hold_everything(works: Works, name: str) -> None:
    works.mill.ordered = name == "orders"
    past(works, 150, days=100)
    stream = works.stream(name)
    works.live(stream)
    works.finish(stream)
    assert works.copy(stream) == works.mill.records
    slices = works.slices(stream)
    assert len(slices) > 2
    assert is_whole(slices)
    assert all(each.finished for each in slices)
    since = [asked["since"] for asked in works.mill.asked[1:] if "since" in asked]
    turns = list(dict.fromkeys(since))
    assert turns[1:] == sorted(turns[1:], reverse=True), "the newest slice comes first"


@pytest.mark.usefixtures("small")
def test_what_cant_be_sliced_is_read_as_one(works: Works) -> None:
    past(works, 150, days=100)
    stream = works.stream("tags", history_days=90)
    works.live(stream)
    works.finish(stream)
    assert len(works.slices(stream)) == 1
    oldest = iso(works.now() - timedelta(days=90))
    assert works.copy(stream).keys() == {
        key for key, each in works.mill.records.items() if each["at"] >= oldest
    }


@pytest.mark.usefixtures("small")
def test_records_that_never_had_a_time_come_with_all_of_the_history_where_they_are_expected(
    works: Works,
) -> None:
    past(works, 80, days=100)
    for key in range(15):
        works.mill.put(f"new-{key}", None)
    stream = works.stream("sheds")
    works.live(stream)
    works.turn(stream, slice_=0.0)
    works.finish(stream)
    assert works.copy(stream) == works.mill.records
    (only,) = works.slices(stream)
    assert only.finished
    assert is_whole([only])


@pytest.mark.usefixtures("small")
def test_a_history_goes_on_in_the_middle_of_a_slice(works: Works) -> None:
    past(works, 150, days=100)
    stream = works.stream()
    works.live(stream)
    turns = 0
    while works.history(stream) is not None:
        works.turn(stream, slice_=0.0)  # one page, or a few that came together, and somebody else's turn
        turns += 1
        assert turns < 100
    assert turns > 5
    assert works.copy(stream) == works.mill.records
    row = works.services.database.one("SELECT records_read FROM run_history WHERE track = 'history'")
    assert row is not None
    assert row["records_read"] <= 150 + SIZE * len(works.slices(stream)), "no committed page is read again"


@pytest.mark.usefixtures("small")
def test_a_worker_that_dies_in_a_slice_loses_nothing(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    past(works, 150, days=100)
    stream = works.stream()
    works.live(stream)
    works.turn(stream, slice_=0.0)
    works.turn(stream, slice_=0.0)
    run = works.history(stream)
    assert run is not None

    class Died(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Died

    works.services.database.run("UPDATE runs SET not_before = now()")
    with monkeypatch.context() as patched:
        patched.setattr("worker.engine.loading.load.Loader.load_pages", die)
        with pytest.raises(Died):
            carry_out(works.services, run)
    row = works.services.database.one("SELECT state FROM runs WHERE id = %(r)s", {"r": run})
    assert row == {"state": "running"}
    works.services.database.run("UPDATE runs SET lease_until = now()")
    rescue_lapsed(works.services.database, max_attempts=2)
    works.finish(stream)
    assert works.copy(stream) == works.mill.records


@pytest.mark.usefixtures("small")
def test_a_worker_whose_time_is_over_cuts_nothing(works: Works) -> None:
    past(works, 150, days=100)
    stream = works.stream()
    works.live(stream)
    run = works.history(stream)
    assert run is not None
    stale = claim_run(works.services.database, run, worker="dead:1", lease=30)
    assert stale is not None
    before = works.slices(stream)
    works.services.database.run("UPDATE runs SET claim_no = claim_no + 1 WHERE id = %(r)s", {"r": run})
    carry_on(works.services, stale)
    assert works.slices(stream) == before


@pytest.mark.usefixtures("small")
def test_a_slice_whose_place_the_system_has_forgotten_is_read_from_its_beginning(works: Works) -> None:
    past(works, 150, days=100)
    stream = works.stream()
    works.live(stream)
    works.turn(stream, slice_=0.0)
    works.turn(stream, slice_=0.0)
    refused: list[str] = []

    def forgetful(asked: Asked) -> Said:
        if not refused:
            refused.append(asked.path)
            return Said(b"{}", 400)
        return works.mill(asked)

    works.serve(forgetful)
    works.finish(stream)
    assert "cursor=" in refused[0]
    assert works.copy(stream) == works.mill.records


def test_a_place_among_pages_that_shift_is_good_for_a_while_only(works: Works) -> None:
    past(works, 150, days=100)
    stream = works.stream("bins")
    works.live(stream)
    works.turn(stream, slice_=0.0)
    works.services.database.run(
        "UPDATE cursors SET updated_at = now() - interval '30 days' WHERE track = 'history'"
    )
    asked = len(works.mill.asked)
    works.turn(stream, slice_=0.0)
    assert works.mill.asked[asked].get("cursor", "0") == "0"
    works.finish(stream)
    assert works.copy(stream) == works.mill.records


@pytest.mark.usefixtures("small")
def test_the_live_cursor_is_neither_moved_nor_blocked(works: Works) -> None:
    past(works, 150, days=100)
    stream = works.stream()
    works.live(stream)
    live = "SELECT watermark, window_since, position, updated_at FROM cursors WHERE stream_id = %(s)s AND track = 'live'"
    before = works.services.database.one(live, {"s": stream})
    works.turn(stream, slice_=0.0)
    works.turn(stream, slice_=0.0)
    assert works.services.database.one(live, {"s": stream}) == before
    works.mill.put("new", works.now())
    run = works.live(stream)
    ended = works.services.database.one("SELECT state FROM run_history WHERE id = %(r)s", {"r": run})
    assert ended == {"state": "succeeded"}
    assert "new" in works.copy(stream)
    assert works.history(stream) is not None


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["orders", "lots"])
def test_what_changes_while_the_history_is_read_is_found_by_the_live_cursor(works: Works, name: str) -> None:
    """At the seam of each slice, a record of the older side moves to now: the history misses it, the live run doesn't."""
    works.mill.ordered = name == "orders"
    past(works, 120, days=100)
    stream = works.stream(name)
    works.live(stream)
    number = 0
    while works.history(stream) is not None:
        works.turn(stream, slice_=0.0)
        oldest = min(works.mill.records.values(), key=lambda each: each["at"])
        works.mill.put(oldest["id"], works.now(), turn=number)
        works.live(stream)
        number += 1
        assert number < 100
    works.live(stream)
    assert works.copy(stream) == works.mill.records


def test_records_at_the_seam_belong_to_both_slices(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many of one moment, at which the window is cut: neither side may leave them to the other."""
    monkeypatch.setattr(cutting, "FIRST_PAGES", 1)
    now = works.now()
    stream = works.stream(history_days=90)
    works.live(stream)
    (whole,) = works.slices(stream)
    for number in range(60):
        works.mill.put(f"r{number:04}", now - timedelta(days=1 + number))
    seam = whole.until - timedelta(seconds=(whole.seconds or 0) * SIZE / 90)
    for number in range(30):
        works.mill.put(f"s{number:04}", seam)
    works.finish(stream)
    assert works.copy(stream) == works.mill.records


@pytest.mark.usefixtures("small")
def test_a_history_that_fails_is_shown_and_left_alone_for_a_while(works: Works) -> None:
    past(works, 60, days=60)
    stream = works.stream()
    works.live(stream)
    works.mill.fails = set(range(len(works.mill.asked) + 1, 10_000))
    works.turn(stream)
    works.turn(stream)  # the second and last attempt
    works.mill.fails = set()
    assert works.history(stream) is None
    row = works.row(stream)
    assert (row["history_failures"], row["history_error_code"]) == (1, "system_error")
    assert row["history_next_at"] > works.now()
    works.live(stream)
    after = works.row(stream)
    assert works.history(stream) is None, "a live run doesn't ask for it again before its time"
    assert after["history_error"] == row["history_error"], "nor hide its error"
    assert after["last_error"] is None
    works.services.database.run("UPDATE streams SET history_next_at = now()")
    works.live(stream)
    works.finish(stream)
    assert works.copy(stream) == works.mill.records
    assert works.row(stream)["history_failures"] == 0
    assert works.row(stream)["history_error"] is None


@pytest.mark.parametrize("running", [False, True])
def test_a_cancelled_history_stays_cancelled_until_it_is_asked_for(works: Works, running: bool) -> None:
    past(works, 60, days=60)
    stream = works.stream()
    works.live(stream)
    run = works.history(stream)
    assert run is not None
    if running:
        works.services.database.run("UPDATE runs SET cancel_requested_at = now() WHERE track = 'history'")
        carry_out(works.services, run)
    else:
        assert cancel_run(works.services.database, run) == "cancelled"
    assert works.history(stream) is None
    assert works.row(stream)["history_paused_at"] is not None
    works.live(stream)
    assert works.history(stream) is None


def refit(works: Works, stream: int, days: int | None) -> None:
    """As an apply of the connections file does it."""
    with works.services.database.transaction() as tx:
        refit_histories(tx, {stream: days}, works.now())
    works.services.database.run("UPDATE streams SET history_days = %(d)s", {"d": days})


@pytest.mark.parametrize(("name", "pages"), [("orders", 7), ("lots", 6)])
def test_a_longer_history_reads_exactly_what_is_missing(works: Works, name: str, pages: int) -> None:
    """From 30 to 90 days: sixty records of the missing sixty days, in six pages, and none of the thirty before.

    Where the system can't be told an end, one page more shows that the seam is passed.
    """
    past(works, 100, days=100)
    stream = works.stream(name, history_days=30)
    works.live(stream)
    works.finish(stream)
    assert len(works.copy(stream)) == 30
    seam = min(each.since for each in works.slices(stream) if each.since is not None)
    refit(works, stream, 90)
    assert works.row(stream)["history_done_at"] is None
    works.live(stream)
    asked = len(works.mill.asked)
    works.finish(stream)
    asks = works.mill.asked[asked:]
    assert len(asks) == pages
    assert {each["since"] for each in asks} == {iso(works.slices(stream)[-1].since or seam)}
    if name == "lots":
        assert {each["until"] for each in asks} == {iso(seam)}
    assert len(works.copy(stream)) == 90
    assert is_whole(works.slices(stream))
    assert works.row(stream)["history_done_at"] is not None


def test_what_a_stream_leaves_out_is_left_out_of_its_history(works: Works) -> None:
    works.mill.put("r0003", works.now() - timedelta(days=60), name="planted", state="done")
    stream = works.stream()
    works.services.database.run('UPDATE streams SET options = \'{"exclude": [["name"]]}\'')
    works.live(stream)
    works.finish(stream)
    raw = works.copy(stream)["r0003"]
    assert (raw["state"], "name" in raw) == ("done", False)


def test_a_shorter_history_reads_nothing_and_deletes_nothing(works: Works) -> None:
    past(works, 100, days=100)
    stream = works.stream("lots", history_days=90)
    works.live(stream)
    works.finish(stream)
    refit(works, stream, 30)
    asked = len(works.mill.asked)
    works.live(stream)
    assert works.history(stream) is None
    assert len(works.mill.asked) == asked + 1, "the live run's own"
    assert len(works.copy(stream)) == 90


@pytest.mark.usefixtures("small")
def test_a_history_that_grows_while_it_is_read_reads_on_to_the_new_end(works: Works) -> None:
    past(works, 120, days=120)
    stream = works.stream(history_days=60)
    works.live(stream)
    works.turn(stream, slice_=0.0)
    works.turn(stream, slice_=0.0)
    refit(works, stream, None)
    assert works.history(stream) is None, "whoever worked on it gives up"
    works.live(stream)
    works.finish(stream)
    assert works.copy(stream) == works.mill.records
    assert is_whole(works.slices(stream))
