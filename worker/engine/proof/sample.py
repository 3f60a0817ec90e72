"""How is a small allowance of requests spent, where not everything can be read? Pure: the dice are passed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

SECOND_LOOKS = 0.25
"""A share of the allowance that is kept for looking again at what differs."""
COUNTS_DIFFER = 0.01
LEAST_DIFFERENCE = 20
"""Counts of a living source are never quite those of its copy: what is fewer, or a smaller share, says nothing."""
AMONG_COPIED = 0.5
"""A share of the slices that begins where records of the copy are; the others begin anywhere, so that holes are met, too."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many requests each way of looking may take."""

    slices: int
    singles: int


def first_looks(allowance: int) -> int:
    """What may be spent before anything is looked at again."""
    return max(1, allowance - max(1, round(allowance * SECOND_LOOKS))) if allowance > 1 else 1


def fits(pages: float, allowance: int, *, singles: bool) -> bool:
    """Whether all of the stream can be read, and what differs looked at again: one by one, or all of it once more."""
    return pages <= (first_looks(allowance) if singles else max(1, allowance // 2))


def gap(total: int, live: int, tombstones: int) -> int:
    """How many records must be missing (or extra, if negative) by count alone, whether or not deleted ones are counted."""
    tolerance = max(LEAST_DIFFERENCE, round(total * COUNTS_DIFFER))
    missing, extra = total - live - tombstones, live - total
    if missing > tolerance:
        return missing
    return -extra if extra > tolerance else 0


def share(left: int, *, slices: bool, singles: bool) -> Share:
    """What is left for first looks, over the ways that the stream knows. A slice tells of a page of records, a re-read of
    one, and only a re-read finds what the source no longer has.
    """
    if not slices or not singles:
        return Share(left if slices else 0, left if singles else 0)
    most = left // 2
    return Share(left - most, most)


def beginnings(
    copied: Sequence[datetime], count: int, until: datetime | None, dice: Random
) -> list[datetime]:
    """Where slices begin: at times of copied records, and anywhere between the first and the last."""
    times = sorted(at for at in copied if until is None or at < until)
    if not times or count < 1:
        return []
    among = [dice.choice(times) for _ in range(round(count * AMONG_COPIED))]
    span = times[-1] - times[0]
    anywhere = [times[0] + span * dice.random() for _ in range(count - len(among))]
    return sorted({*among, *anywhere})
