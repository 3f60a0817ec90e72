"""Into which slices is a history cut? Pure: what was read so far decides how wide the next one is.

A history is a row of slices, the newest first, each with a cursor of its own; bounds are inclusive on both sides, so a record
at the seam is read twice rather than never. What isn't cut yet is one slice, the rest: when its turn comes, a slice of a few
minutes' work is cut off its newer end, and the rest waits. How many records there are a day is known from what was read;
at first from what the system says there is in all, else a month is tried, then three times as much, then the whole rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from worker.connectors.contract import CursorValue, StreamTraits, Window
from worker.connectors.cursors import dump_cursor, load_cursor

WORK = 180.0
"""Seconds of work that a slice should hold, at the pace of the ones before it."""
FIRST_PAGES = 100
"""So many pages, where no pace is known yet."""
LEAST_PAGES = 20
"""However slow the system is: the end of a slice costs a part of a page."""
FIRST_WIDTH = timedelta(days=30)
GROWTH = 3
"""A slice is at most so many times as wide as the one before: density may change with age."""
NARROWEST = timedelta(hours=1)
WIDEST = timedelta(days=5 * 365)
"""Whatever would be wider isn't cut any more: everything before comes in one."""
LAST_CUT = 1.5
"""A rest of up to so many widths isn't worth two slices."""
RECENT = 3
"""So many slices say what the next is like."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What reading a slice took so far; kept with each page's commit."""

    records: int = 0
    requests: int = 0
    seconds: float = 0.0
    left: int | None = None
    """Of the rest: about how many records it held with all slices above it, as the system said at the first page."""
    begin: datetime | None = None
    """Of the rest: nothing is older than this, where a page showed it."""

    def plus(self, *, records: int, requests: int, seconds: float) -> Self:
        """The tally with another page or several."""
        return replace(
            self,
            records=self.records + records,
            requests=self.requests + requests,
            seconds=self.seconds + seconds,
        )

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"records": self.records, "requests": self.requests}
        found["seconds"] = round(self.seconds, 3)
        if self.left is not None:
            found["left"] = self.left
        if self.begin is not None:
            found["begin"] = dump_cursor(self.begin)
        return found

    @classmethod
    def of(cls, stored: Any) -> Self:
        """From the cursor's row; what an older version left there counts for nothing."""
        if not isinstance(stored, Mapping):
            return cls()
        begin = stored.get("begin")
        return cls(
            records=int(stored.get("records", 0)),
            requests=int(stored.get("requests", 0)),
            seconds=float(stored.get("seconds", 0.0)),
            left=stored.get("left"),
            begin=None if begin is None else _time(begin),
        )


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of a history, both its bounds included. `since` None: whatever is older, too."""

    since: datetime | None
    until: datetime
    name: str = ""
    """Of its cursor: its end, so that the newest has the greatest."""
    tally: Tally = field(default_factory=Tally)
    position: Mapping[str, Any] | None = None
    """Where its paging stands; None: not begun."""
    finished: bool = False
    moved_at: datetime | None = None
    """When its cursor was last written."""

    @property
    def seconds(self) -> float | None:
        """How much time it covers; None: nobody knows."""
        begin = self.since or self.tally.begin
        return None if begin is None else max(0.0, (self.until - begin).total_seconds())


def slice_of(row: Mapping[str, Any]) -> Slice:
    """From its cursor's row, as `history_slices` gives it."""
    since, until = row["window_since"], row["window_until"]
    return Slice(
        since=None if since is None else _time(since),
        until=datetime.max.replace(tzinfo=UTC) if until is None else _time(until),
        name=row["slice"],
        tally=Tally.of(row["watermark"]),
        position=row["position"],
        finished=row["finished_at"] is not None,
        moved_at=row["updated_at"],
    )


def name_of(until: datetime) -> str:
    """What the cursor of the slice that ends there is called."""
    return str(dump_cursor(until))


def can_cut(traits: StreamTraits, piece: Slice) -> bool:
    """Whether a slice may end before now: its pages come in order, or the system can be asked for no more."""
    if piece.position is not None or is_endless(traits, piece.since):
        return False
    return traits.incremental and traits.timestamps and (traits.ordered or traits.bounded)


def is_endless(traits: StreamTraits, since: CursorValue | None) -> bool:
    """Whether a window that begins there is read without an end, since some of its records have no time at all."""
    return traits.undated and since is None


def window_of(traits: StreamTraits, since: CursorValue | None, until: CursorValue) -> Window:
    """What is asked for of a history between these bounds."""
    return Window(since, None if is_endless(traits, since) else until)


def pending(slices: Sequence[Slice]) -> list[Slice]:
    """What is still to be read, the newest first."""
    return sorted((each for each in slices if not each.finished), key=lambda each: each.until, reverse=True)


def next_width(finished: Sequence[Slice]) -> timedelta | None:
    """How wide the next slice should be, by those that were read; None: nothing was."""
    known = sorted((each for each in finished if each.seconds), key=lambda each: each.until)[:RECENT]
    if not known:
        return None
    oldest, span = known[0], sum(each.seconds or 0.0 for each in known)
    records = sum(each.tally.records for each in known)
    before = timedelta(seconds=oldest.seconds or 0.0)
    grown = min(GROWTH * before, GROWTH * WIDEST)
    if not records:
        return max(NARROWEST, grown)
    wanted = _seconds_for(worth(known), records / span)
    return max(NARROWEST, min(timedelta(seconds=wanted), grown))


def worth(known: Sequence[Slice]) -> float:
    """How many records are a slice's work, at the pace of these."""
    records = sum(each.tally.records for each in known)
    seconds = sum(each.tally.seconds for each in known)
    requests = sum(each.tally.requests for each in known)
    least = LEAST_PAGES * records / max(1, requests)
    return max(least, WORK * records / seconds) if seconds else max(least, records)


def first_width(page: int, total: int | None, span: float | None) -> timedelta | None:
    """How wide the first slice should be, by the first page of all: its records, all that there are, over so many seconds.

    None: all of it is one slice's work.
    """
    if total is None or span is None:
        return FIRST_WIDTH
    if total <= FIRST_PAGES * page * LAST_CUT:
        return None
    return max(NARROWEST, timedelta(seconds=_seconds_for(FIRST_PAGES * page, total / max(1.0, span))))


def cut(whole: Slice, width: timedelta) -> tuple[Slice, Slice] | None:
    """The newer part of that width, and the rest; None where it isn't worth cutting. They meet in one moment."""
    if width >= WIDEST or whole.position is not None:
        return None
    seconds = whole.seconds
    if seconds is not None and seconds <= LAST_CUT * width.total_seconds():
        return None
    try:
        seam = whole.until - width
    except OverflowError:
        return None
    rest = Slice(whole.since, seam, name_of(seam), whole.tally)
    return replace(whole, since=seam, tally=Tally()), rest


def still_left(rest: Slice, slices: Sequence[Slice]) -> int | None:
    """About how many records are left, by what the system said at first; None: it said nothing."""
    if rest.tally.left is None:
        return None
    read = sum(each.tally.records for each in slices if each.finished and each.until > rest.until)
    return max(0, rest.tally.left - read)


def missing(slices: Sequence[Slice], since: datetime | None) -> Slice | None:
    """What a history that begins at `since` lacks beside these slices, finished or not; None: nothing."""
    if not slices or any(each.since is None for each in slices):
        return None
    oldest = min(each.since for each in slices if each.since is not None)
    if since is not None and since >= oldest:
        return None
    return Slice(since, oldest, name_of(oldest))


def trimmed(each: Slice, since: datetime) -> Slice | None:
    """What is left of a slice where the history shall begin at `since`; None: nothing."""
    if each.finished:
        return each
    if each.until <= since:
        return None
    if each.since is None or each.since < since:
        return replace(each, since=since, position=None)
    return each


def _seconds_for(records: float, density: float) -> float:
    return min(records / density, 2 * GROWTH * WIDEST.total_seconds()) if density > 0 else 0.0


def _time(stored: Any) -> datetime:
    found = load_cursor(stored, timestamps=True)
    assert isinstance(found, datetime)  # noqa: S101 - that is what a time is
    return found
