"""Which first differences count after a second look."""

from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker.connectors.contract import Gone, Page, Record, Request, Window
from worker.engine.proof.asking import AllowanceSpent, Asker, Copy
from worker.engine.proof.compare import Difference, Due, Held
from worker.engine.proof.looks import Looks, Suspect
from worker.engine.proof.report import Findings
from worker.engine.proof.second import Again, Before, second_looks

BEGAN = datetime(2026, 11, 26, 12, tzinfo=UTC)
OLD = BEGAN - timedelta(days=2)


def record(key: str, digest: bytes = b"new", at: datetime | None = OLD) -> Record:
    return Record(key, b"{}", digest, cursor=at)


class Source:
    """Shows these records: whole, by slice, or one by one if it can."""

    def __init__(self, *records: Record, singles: bool = False, left: int = 50) -> None:
        self.records = {each.key: each for each in records}
        self.singles = singles
        self.allowance = self.bound = left
        self.asked: list[str] = []
        self.stream = self
        self.job = SimpleNamespace(run=SimpleNamespace(now=lambda: BEGAN))

    @property
    def left(self) -> int:
        return self.allowance - len(self.asked)

    def ask(self, what: str) -> None:
        if self.left < 1:
            raise AllowanceSpent
        self.asked.append(what)

    def page(self, window: Window, *_: Any) -> tuple[Page, datetime]:
        self.ask("page")
        return Page([each for each in self.records.values() if window.since is None or each.key < "5"]), BEGAN

    def single(self, key: str, request: Request | None = None) -> Any:
        if request is None:
            return Request("GET", f"/{key}") if self.singles else None
        self.ask(key)
        if key == "unreadable":
            return Page([], rejected=[cast("Any", None)]), BEGAN
        found = self.records.get(key)
        return (Page([found]) if found else Page([], gone=[Gone(key, "not_found")])), BEGAN


def looks(
    source: Source,
    held: dict[str, bytes],
    *suspects: Suspect,
    pages: int = 1,
    before: datetime | None = BEGAN,
) -> Looks:
    rows = {key: Held(key, digest, OLD, deleted=False) for key, digest in held.items()}
    copy = SimpleNamespace(held=lambda keys: {key: rows[key] for key in keys if key in rows})
    made = Looks(
        cast("Asker", source),
        cast("Copy", copy),
        Due(BEGAN, before),
        Findings(),
        Random(1),
        Window(),
        pages=pages,
    )
    made.suspects = {each.difference.key: each for each in suspects}
    return made


def suspect(
    key: str, first: Record | None = None, *, kind: Any = "different", window: Window | None = None
) -> Suspect:
    return Suspect(Difference(kind, key, first), window)


def test_what_is_there_twice_counts_and_what_is_not_does_not() -> None:
    source = Source(record("1"), record("2", b"changed again"))
    seen = looks(source, {"1": b"old", "2": b"old"}, suspect("1", record("1")), suspect("2", record("2")))
    second_looks(seen, Before())
    assert (set(seen.found.confirmed), seen.found.pending) == ({"1"}, {"2"})


def test_a_whole_stream_is_read_once_more_where_records_cannot_be_asked_for() -> None:
    source = Source(record("1"))
    seen = looks(source, {"1": b"old", "9": b"old"}, suspect("1", record("1")), suspect("9", kind="extra"))
    second_looks(seen, Before())
    assert (source.asked, set(seen.found.confirmed)) == (["page"], {"1", "9"})
    assert seen.found.confirmed["9"].gone is None


def test_records_are_asked_for_alone_where_that_works_and_the_answer_is_evidence() -> None:
    source = Source(record("1"), singles=True)
    seen = looks(source, {"1": b"old", "9": b"old"}, suspect("1", record("1")), suspect("9", kind="extra"))
    second_looks(seen, Before())
    assert source.asked == ["1", "9"]
    assert seen.found.confirmed["9"].gone == Gone("9", "not_found")


def test_a_record_that_is_there_and_cannot_be_read_is_not_gone() -> None:
    source = Source(singles=True)
    seen = looks(source, {"unreadable": b"old"}, suspect("unreadable", kind="extra"))
    second_looks(seen, Before())
    assert (seen.found.confirmed, seen.found.pending) == ({}, {"unreadable"})


def test_a_slice_shows_its_records_again_and_says_nothing_of_what_left_it() -> None:
    window = Window(OLD)
    source = Source(record("1"), record("7"))
    seen = looks(
        source,
        {"1": b"old", "7": b"old"},
        suspect("1", record("1"), window=window),
        suspect("7", record("7"), window=window),
        pages=0,
    )
    second_looks(seen, Before())
    assert (set(seen.found.confirmed), seen.found.pending) == ({"1"}, {"7"})


@pytest.mark.parametrize("left", [0, 1])
def test_what_nobody_could_look_at_twice_is_pending(left: int) -> None:
    source = Source(record("1"), record("2"), singles=True, left=left)
    seen = looks(
        source, {"1": b"old", "2": b"old"}, suspect("1", record("1")), suspect("2", record("2")), pages=9
    )
    second_looks(seen, Before())
    assert len(seen.found.confirmed) == left
    assert len(seen.found.pending) == 2 - left


def test_what_has_no_time_waits_and_counts_when_it_outlived_a_sync() -> None:
    timeless = record("1", at=None)

    def found(before: Before) -> Findings:
        seen = looks(Source(timeless), {"1": b"old"}, suspect("1", timeless))
        second_looks(seen, before)
        return seen.found

    assert found(Before()).waiting == {"1": b"new".hex()}
    assert found(Before({"1": b"new".hex()}, synced_since=False)).confirmed == {}
    assert set(found(Before({"1": b"new".hex()}, synced_since=True)).confirmed) == {"1"}
    assert found(Before({"1": b"other".hex()}, synced_since=True)).confirmed == {}


def test_what_is_gone_outlives_a_sweep_and_not_a_sync() -> None:
    gone = Again(None, BEGAN)
    assert Before({"1": ""}, swept_since=True).outlived("1", gone)
    assert not Before({"1": ""}, synced_since=True).outlived("1", gone)
