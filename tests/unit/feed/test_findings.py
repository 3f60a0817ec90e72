"""What the doctor says of the feed."""

from datetime import UTC, datetime

from scheduler.feed.changes import feed_findings, status_json
from worker.feed.consumers import Consumer
from worker.feed.horizon import LONG, Holder, Status
from worker.feed.position import Feed, Place, Position

FEED = Feed(epoch=2, floor=Place(2, 100, 5), horizon=900, end=Place(2, 850, 3))
IDENTITY = "7/00000001/5/9"
THEN = datetime(2026, 3, 1, tzinfo=UTC)


def holder(seconds: float | None, *, pid: int | None = 4711, prepared: str | None = None) -> Holder:
    return Holder(pid, "payroll", "report.py", "idle in transaction", prepared, seconds)


def reader(*, expired: bool = False) -> Consumer:
    return Consumer("warehouse", Position(Place(2, 5, 5)), THEN, THEN, 3, 90.0, expired)


def test_all_is_well_in_a_sentence() -> None:
    [found] = feed_findings(Status(FEED, 0, []), [reader()], IDENTITY)
    assert (found.level, "1m30s behind" in found.words) == ("ok", True)


def test_a_transaction_that_was_left_open_is_named_with_its_database() -> None:
    [found] = feed_findings(Status(FEED, 3, [holder(LONG), holder(5.0)]), [], IDENTITY)
    assert found.level == "warn"
    assert "process 4711 (report.py) in database payroll, for 1m" in found.words
    assert feed_findings(Status(FEED, 3, [holder(LONG - 1)]), [], IDENTITY)[0].level == "ok"


def test_a_prepared_transaction_and_one_of_a_stranger_are_named_too() -> None:
    assert "prepared transaction 'tx1'" in str(holder(LONG, pid=None, prepared="tx1"))
    assert "isn't ours to see" in str(holder(None))
    assert Status(FEED, 3, [holder(None), holder(7.0)]).seconds == 7.0


def test_a_reader_that_must_begin_again_is_named() -> None:
    [found] = feed_findings(Status(FEED, 0, []), [reader(expired=True)], IDENTITY)
    assert "warehouse" in found.words
    assert "consumers delete warehouse" in str(found.hint)


def test_what_a_server_hides_is_said_with_its_reason() -> None:
    [found] = feed_findings(Status(FEED, 0, []), [], "-/00000001/5/9")
    assert "pg_control_system" in found.words


def test_nothing_held_back_has_no_age() -> None:
    assert status_json(Status(FEED, 0, [holder(90.0)]))["held_back_seconds"] == 0.0
    assert status_json(Status(FEED, 2, [holder(90.0)]))["held_back_seconds"] == 90.0
