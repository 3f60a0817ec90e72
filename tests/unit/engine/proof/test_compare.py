"""When is a difference one that counts?"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.connectors.contract import Record
from worker.engine.proof.compare import (
    Difference,
    Due,
    Held,
    compare,
    differing_fields,
    judge_again,
    not_shown,
    outlived,
)

BEGAN = datetime(2026, 11, 26, 12, tzinfo=UTC)
DUE = Due(BEGAN, BEGAN - timedelta(hours=1))
OLD = BEGAN - timedelta(days=2)
FRESH = BEGAN - timedelta(minutes=1)


def record(
    digest: bytes = b"new", *, at: datetime | None = OLD, deleted: bool = False, **more: Any
) -> Record:
    return Record("7", b"{}", digest, cursor=at, deleted=deleted, **more)


def held(digest: bytes = b"old", *, at: datetime = OLD, deleted: bool = False) -> Held:
    return Held("7", digest, at, deleted)


def kinds(found: list[Difference]) -> list[str]:
    return [each.kind for each in found]


@pytest.mark.parametrize(
    ("shown", "row", "found"),
    [
        (record(b"old"), held(), []),
        (record(), held(), ["different"]),
        (record(), None, ["missing"]),
        (record(), held(deleted=True), ["missing"]),
        (record(deleted=True), held(), ["extra"]),
        (record(deleted=True), held(deleted=True), []),
        (record(deleted=True), None, []),
    ],
)
def test_a_record_is_held_against_its_row(shown: Record, row: Held | None, found: list[str]) -> None:
    assert kinds(compare({"7": shown}, {} if row is None else {"7": row})) == found


@pytest.mark.parametrize(
    ("row", "found"),
    [(held(), ["extra"]), (held(deleted=True), []), (held(at=BEGAN), [])],
)
def test_what_a_whole_source_does_not_show_is_extra_unless_it_is_gone_or_came_since(
    row: Held, found: list[str]
) -> None:
    assert kinds(not_shown({}, {"7": row}, BEGAN)) == found


def test_what_is_shown_is_not_extra() -> None:
    assert not_shown({"7": None}, {"7": held()}, BEGAN) == []


def second(
    again: Record | None,
    row: Held | None,
    *,
    first: Record | None = None,
    kind: Any = "different",
    due: Due = DUE,
) -> str:
    return judge_again(Difference(kind, "7", first or record()), again, row, due)


def test_a_difference_that_is_there_twice_and_was_due_counts() -> None:
    assert second(record(), held()) == "counts"
    assert second(record(), None, kind="missing") == "counts"


def test_a_difference_that_is_gone_at_the_second_look_is_none() -> None:
    assert second(record(), held(b"new")) == "equal"
    assert second(None, held(deleted=True), kind="extra") == "equal"


def test_what_changed_behind_the_place_that_was_read_up_to_is_pending() -> None:
    assert second(record(at=FRESH), held(), first=record(at=FRESH)) == "pending"


def test_what_changes_while_we_look_is_pending() -> None:
    assert second(record(b"newer"), held()) == "pending"


def test_what_the_copy_was_given_since_the_comparison_began_is_pending() -> None:
    assert second(record(), held(at=BEGAN)) == "pending"


def test_what_the_source_shows_after_all_is_not_extra() -> None:
    assert second(record(), held(), kind="extra") == "pending"


def test_what_is_gone_without_a_trace_counts_or_waits_for_a_sweep() -> None:
    assert second(None, held(), kind="extra") == "counts"
    assert second(None, held(), kind="extra", due=Due(BEGAN, DUE.before, swept=True)) == "waiting"


def test_a_tombstone_says_whether_it_was_due() -> None:
    assert second(record(deleted=True), held(), kind="extra") == "counts"
    assert second(record(deleted=True, at=FRESH), held(), kind="extra") == "pending"


@pytest.mark.parametrize("due", [Due(BEGAN, None), Due(BEGAN, DUE.before, by_update=True)])
def test_a_difference_whose_time_is_not_known_waits(due: Due) -> None:
    assert second(record(), held(), due=due) == "waiting"


def test_a_stream_without_a_cursor_goes_by_when_a_record_was_updated() -> None:
    due = Due(BEGAN, DUE.before, by_update=True)
    assert due.knows(record(at=None, updated_at=OLD)) is True
    assert due.knows(record(at=None, updated_at=FRESH)) is False


def test_while_the_first_history_comes_in_nothing_is_missed_and_what_is_there_must_be_right() -> None:
    due = Due(BEGAN, DUE.before, all_in=False)
    assert second(record(), None, kind="missing", due=due) == "pending"
    assert second(record(), held(), due=due) == "counts"


def test_what_waited_counts_once_a_sync_has_not_mended_it() -> None:
    assert outlived("7", b"new", {"7": b"new".hex()}, synced_since=True)
    assert not outlived("7", b"new", {"7": b"new".hex()}, synced_since=False)
    assert not outlived("7", b"new", {"7": b"other".hex()}, synced_since=True)
    assert not outlived("8", b"new", {"7": b"new".hex()}, synced_since=True)


def test_fields_that_differ_are_named_and_never_quoted() -> None:
    one = {"id": 1, "name": "Dora", "asset": {"zone": "N", "level": 1}, "same": [1], "flag": True}
    other = {"id": 1, "name": "Dor", "asset": {"zone": "S", "level": 1}, "same": [1], "flag": 1, "more": None}
    assert differing_fields(one, other) == ["name", "asset.zone", "flag", "more"]
    assert differing_fields(one, dict(one)) == []
    assert differing_fields([1], {"a": 1}) == []
