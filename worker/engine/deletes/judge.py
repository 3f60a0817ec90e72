"""Is what a sweep didn't see gone? Pure: counts go in, a verdict comes out.

Absence counts only from a complete sweep: one generation, every entry's key read, and a count that makes sense. Who is
missing then is suspected; a re-read that finds nothing, or a second complete sweep that misses it too, confirms it. More at
once than the fuse allows is shown to a person, and nothing is deleted meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["complete", "doubtful", "incomplete", "refuted"]

ENOUGH = 2
"""So many complete sweeps in a row confirm what none of them saw."""
TOLERANCE = 0.005
FEW = 2
"""What the system's own total may exceed what was seen by: a share of it, or this many. Records come and go meanwhile."""
FAR_BELOW = 0.5
"""A list that is shorter than this share of what was there before is doubted, until a second look shows the same."""
LIMIT = 0.05
LEAST = 20
"""The fuse lets as many pass as this share of the stream, and these few in any case."""
ALLOWANCE = 20
MOST_ALLOWED = 200
"""Re-reads for one sweep: a tenth of its pages, within these."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A sweep that was read to its end, and the copy beside it."""

    whole: bool
    """All that it saw is still there to be compared."""
    unreadable: int
    total: int | None
    seen: int
    held: int
    """Records of the copy that aren't deleted."""
    missing: int


@dataclass(frozen=True, slots=True)
class Past:
    """What came before it."""

    complete: int | None = None
    """What the last complete sweep saw."""
    verdict: str | None = None
    seen: int | None = None
    again: bool = False
    """The one before this asked for this one."""
    deleted: int = 0
    """What sweeps deleted in the last day without asking."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a sweep is worth."""

    verdict: Verdict
    code: str = ""
    words: str = ""
    ask: bool = False
    """Its count is believed by now, but whatever follows from it is shown to a person first."""


def judge(sweep: Weighed, past: Past) -> Judged:
    """Whether its silence about a record says anything."""
    if not sweep.whole:
        return Judged(
            "incomplete", "sweep_lost", "What the sweep had seen was lost when Postgres was restarted."
        )
    if sweep.unreadable:
        words = f"{sweep.unreadable:,} of the listed records have no key that can be read, so nothing counts as missing."
        return Judged("incomplete", "sweep_unreadable", words)
    if sweep.total is not None and sweep.total - sweep.seen > max(FEW, TOLERANCE * sweep.total):
        words = f"The system says that there are {sweep.total:,} records, and its list held {sweep.seen:,}."
        return Judged("incomplete", "sweep_short", words)
    before = max(past.complete or 0, sweep.held)
    if sweep.seen >= FAR_BELOW * before or not sweep.missing:
        return Judged("complete")
    words = f"The list held {sweep.seen:,} records where there were {before:,}."
    if past.verdict in {"doubtful", "complete"} and past.seen is not None and _alike(past.seen, sweep.seen):
        return Judged("complete", "sweep_far_below", words, ask=True)
    code = "sweep_empty" if sweep.seen == 0 else "sweep_far_below"
    return Judged("doubtful", code, f"{words} Nothing counts as missing until a second look shows the same.")


def allowance(pages: int) -> int:
    """How many suspects may be asked for by their keys after a sweep of so many pages."""
    return min(MOST_ALLOWED, max(ALLOWANCE, pages // 10))


def may_pass(held: int, share: float) -> int:
    """So many may be deleted in a day without asking; with a share of 0 none."""
    return max(LEAST, int(share * held)) if share > 0 else 0


def share_of(options: Mapping[str, Any]) -> float:
    """`delete_limit` of the connections file."""
    found = options.get("delete_limit")
    return float(found) if isinstance(found, int | float) else LIMIT


def trips(suspected: int, past: Past, *, held: int, share: float, ask: bool) -> bool:
    """Whether so many suspects at once are for a person to decide. A limit that is used in slices is still a limit."""
    return suspected > 0 and (ask or suspected + past.deleted > may_pass(held, share))


def wants_another(judged: Judged, past: Past, *, unconfirmed: int) -> bool:
    """Whether a second look is asked for soon. Never a third: what is still open then waits for its interval."""
    return not past.again and (judged.verdict != "complete" or unconfirmed > 0)


def _alike(one: int, other: int) -> bool:
    return abs(one - other) <= max(FEW, TOLERANCE * max(one, other))
