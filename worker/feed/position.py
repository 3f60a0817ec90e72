"""What does a position in the feed mean, and may its reader go on from it? Pure.

A place is (epoch, transaction, number). It is given out only below the oldest transaction that is still open, so nothing
can appear before it later on; and it is that of a change which was committed, so that a crash of Postgres can't give its
number to another. To a client a position is text without meaning.

The feed holds the latest state of every record, so reading it from the beginning is a snapshot. Tombstones are forgotten
after a while. That harms a reader who held the record and has not come to its deletion; not one who began with nothing
when the record was gone already, so such a position also says what the end of the feed was then.
"""

import re
from dataclasses import dataclass
from functools import total_ordering

from worker.errors import InvalidInput

_TEXT = re.compile(r"([0-9]{1,9})\.([0-9]{1,20})\.([0-9]{1,19})(?:-([0-9]{1,20})\.([0-9]{1,19}))?", re.ASCII)
MOST_XID = 2**64 - 1
MOST_SEQ = 2**63 - 1
_START_AGAIN = (
    "Read again from the beginning, without a position, and replace what you hold: that is a snapshot, since the feed"
    " has the latest state of every record."
)


@total_ordering
@dataclass(frozen=True, slots=True)
class Place:
    """Where a change stands."""

    epoch: int
    xid: int
    seq: int

    def __lt__(self, other: "Place") -> bool:
        return (self.epoch, self.xid, self.seq) < (other.epoch, other.xid, other.seq)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a reader has come. `began`: the end of the feed when it began with nothing, until it has come there."""

    place: Place
    began: Place | None = None

    def __str__(self) -> str:
        here = f"{self.place.epoch}.{self.place.xid}.{self.place.seq}"
        return here if self.began is None else f"{here}-{self.began.xid}.{self.began.seq}"

    def moved(self, to: Place) -> "Position":
        """The position further on."""
        return Position(to, None if self.began is None or to >= self.began else self.began)

    @property
    def knows(self) -> Place:
        """What was gone before this can't be missed by its reader."""
        return self.place if self.began is None else max(self.place, self.began)


@dataclass(frozen=True, slots=True)
class Feed:
    """What the feed is at a moment."""

    epoch: int
    floor: Place
    """Up to this, tombstones were forgotten."""
    horizon: int
    """The oldest transaction that is still open: only what is below it is served."""
    end: Place
    """The last change below the horizon."""

    @property
    def snapshot(self) -> Position:
        """Where a reader begins who holds nothing."""
        return Position(self._zero, self.end if self.end > self._zero else None)

    @property
    def latest(self) -> Position:
        """Where a reader begins who wants only what comes."""
        return Position(self.end)

    @property
    def _zero(self) -> Place:
        return Place(self.epoch, 0, 0)


def parse_position(text: str, *, place: str | None = None) -> Position:
    """Read a position that was given out, or raise `InvalidInput`; `place` is where it stood."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise bad_position("That is no position of the feed.", place)
    epoch, *numbers = (int(part) for part in found.groups() if part is not None)
    if epoch > 2**31 - 1 or max(numbers[::2]) > MOST_XID or max(numbers[1::2]) > MOST_SEQ:
        raise bad_position("That is no position of the feed.", place)
    here, *began = (Place(epoch, *pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))
    return Position(here, began[0] if began else None)


def going_on(position: Position, feed: Feed) -> Position:
    """Where a reader with this position goes on: there, or at the beginning if the epoch is another one by now.

    Raises `position_expired` where something was forgotten that the reader may not have seen, and `bad_position` for a
    place that the feed has not come to: reading on from there would skip what comes.
    """
    if is_expired(position, feed):
        raise InvalidInput(
            "position_expired",
            "The feed no longer goes back to this position: deletions that came after it were forgotten.",
            hint=_START_AGAIN,
        )
    here = position.place
    if here.epoch > feed.epoch or (here.epoch == feed.epoch and position.knows.xid >= feed.horizon):
        raise bad_position("The feed has not come to this position; it is none that was given out.")
    return Position(Place(feed.epoch, 0, 0)) if here.epoch < feed.epoch else position


def is_expired(position: Position, feed: Feed) -> bool:
    """Whether a reader with this position must start again."""
    return position.knows < feed.floor


def bad_position(words: str, place: str | None = None) -> InvalidInput:
    return InvalidInput(
        "bad_position",
        words,
        place=place,
        hint="Give a position exactly as it was received, `beginning` or `now`.",
    )
