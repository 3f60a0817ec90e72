"""What does a run ask the system for, and how far may its cursor move?

Pure: plain data and the time go in, a plan comes out. Rules that hold everywhere:

- The lower bound is inclusive and looks back by the stream's overlap, or by as much as changes were seen to come late
  (`lateness`), so equal times and late arrivals aren't lost; what was read already costs nothing, because what is
  unchanged isn't written.
- The cursor never passes a bound that is fixed when the window opens: now minus the lag, by the source's own clock as far
  as that is known. Records above it are stored when they come, but the cursor stays below, so what is committed late at
  the source is read again. Where it is a number, what was seen early bounds it (`reach`).
- The very first sync starts the live cursor a day before now, and leaves everything older to the history, which has a
  cursor of its own and moves nobody else's. The day is for the source's clock, which may be behind ours or say local
  time as if it were UTC: from the first change that is seen, the cursor goes by what the source itself says.
- A token is the system's own: the last page's is kept, and what it asks for begins where that window ended. Where the
  system knows it no longer, everything is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from worker.connectors.contract import CursorValue, Page, Position, StreamTraits, Window
from worker.connectors.cursors import dump_cursor, load_cursor
from worker.engine.planning.lateness import look_back_of
from worker.engine.planning.reach import greatest_of, higher, is_beyond, is_unbounded
from worker.engine.planning.seams import Mark, goes_on, marks_of
from worker.errors import OF_THIS_ALONE, HeadraceError
from worker.runs.claim import Run, Stored

FIRST_LOOK_BACK = timedelta(days=1)
"""How far a source's clock may be behind ours at the very first sync without a change being missed."""
BELIEVED_SKEW = 86_400.0
"""A clock that is farther off than this bounds no cursor: it may be a proxy's, and would stop the stream for so long."""
LOST_PLACE = OF_THIS_ALONE | {"elsewhere"}
"""What a system, or we, may say to a page's place that was kept for too long."""
KEPT_PLACE = timedelta(hours=1)
KEPT_PAGE = timedelta(minutes=1)
"""So long a place among pages that shift is worth going on from, and longer where more pages were paid for it: a reading
that waits between its turns, for a day's limit or a plant's window, would never come to its end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One window to read, from `position` on."""

    window: Window
    position: Position | None = None
    watermark: CursorValue | None = None
    high: CursorValue | None = None
    """The greatest cursor value seen in this window, up to what a time may not pass."""
    cap: CursorValue | None = None
    """What the cursor may not pass, where that is less than the window's upper bound or than what was seen."""
    skew: float = 0.0
    """By how much the source's clock was thought to be ahead when that was reckoned."""
    marks: tuple[Mark, ...] = ()
    """The last records that were read, where pages may shift."""
    total: int | None = None
    """How many there were in all on the last page, where pages may shift."""
    turns_back: int = 0
    """How often, in this claim, a page didn't go on where the one before ended."""
    token: str | None = None
    """Where the cursor is a token: what the next window begins with."""
    starts_cursor: bool = False
    """The very first sync: the watermark must be kept before anything is read."""

    @property
    def resumes(self) -> bool:
        return self.position is not None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The cursor as it is committed with a page, in JSON."""

    since: Any
    until: Any
    position: Any
    watermark: Any
    finished: bool


def plan_run(run: Run, traits: StreamTraits, now: datetime) -> Plan:
    """The window of a run, or the rest of the one that was interrupted."""
    stale = is_stale(run, traits, now)
    if not traits.incremental or traits.token:
        token = _load_token(run.cursor.watermark) if traits.token else None
        window = Plan(Window(token=token), token=token)
        return window if stale else go_on(window, run.cursor.position, traits)
    stored = _load(run.cursor, traits)
    if run.cursor.position is not None and not stale:
        return go_on(replace(stored, skew=run.clock_skew), run.cursor.position, traits)
    return _next_live(stored, run, traits, now)


def plan_history(run: Run, traits: StreamTraits, now: datetime) -> Window | None:
    """The history that is still owed beside the live runs, or None: there is none to ask for, or it is done."""
    if run.history_done_at is not None or not has_history(traits):
        return None
    since = None if run.history_days is None else now - timedelta(days=run.history_days)
    return Window(since, now - timedelta(seconds=traits.lag))


def has_history(traits: StreamTraits) -> bool:
    """Where changes aren't ordered by time, or can't be asked for, the live run reads everything itself."""
    return traits.incremental and traits.timestamps


def has_lost_place(plan: Plan, error: HeadraceError, *, pages: int) -> bool:
    """Whether the system may no longer know the place that the plan goes on from: then its window is read from the beginning.

    Where `pages` were committed from there on, it knew the place.
    """
    return error.code in LOST_PLACE and plan.resumes and not pages


def restart(plan: Plan) -> Plan:
    """The same window from its beginning: the system no longer knows the position that was kept."""
    return replace(plan, position=None, high=None, marks=(), total=None)


def afresh(plan: Plan) -> Plan:
    """Everything: the system no longer knows the token that was kept."""
    return replace(restart(plan), window=Window(), token=None)


def advance(plan: Plan, page: Page, traits: StreamTraits) -> tuple[Plan, bool]:
    """The plan after this page, and whether the window is read to its end. The page goes on where the one before ended."""
    greatest, unbounded = greatest_of(page), is_unbounded(traits, plan.window)
    if unbounded and plan.position is None and not traits.details:
        plan = replace(plan, cap=higher(higher(plan.cap, greatest), page.given_out))
    bound = plan.window.until if plan.cap is None or unbounded else plan.cap
    high = None if traits.token else higher(plan.high, greatest, bound)
    done = page.next is None or (traits.ordered and is_beyond(greatest, plan.window.until))
    position = None if done else page.next
    watermark = plan.watermark
    if done or traits.ordered:
        watermark = higher(watermark, plan.cap if unbounded else high)
    token = page.token if traits.token and done and page.token is not None else plan.token
    followed = replace(plan, position=position, watermark=watermark, high=high, token=token)
    if traits.seam == "record":
        followed = replace(followed, marks=() if done else marks_of(page, plan.marks))
    elif traits.seam == "total":
        followed = replace(followed, total=page.total)
    return followed, done


def is_neighbour(plan: Plan, page: Page, traits: StreamTraits) -> bool:
    """Whether the page goes on where the one before ended."""
    return plan.position is None or goes_on(traits.seam, page, plan.marks, plan.total)


def turn_back(plan: Plan, page: Page, place: Position) -> Plan:
    """The plan after a page that isn't the neighbour of the one before: what lies between is at `place`, or behind it.

    The cursor stays where it is, since the page doesn't follow.
    """
    return replace(plan, position=place, total=page.total, turns_back=plan.turns_back + 1)


def on_clock(plan: Plan, skew: float) -> Plan:
    """The plan where the source's clock turns out to be behind what it was thought to be: its cursor stops earlier."""
    bound = plan.cap if plan.cap is not None else plan.window.until
    assumed = plan.skew if abs(plan.skew) <= BELIEVED_SKEW else 0.0
    if skew >= assumed or abs(skew) > BELIEVED_SKEW or not isinstance(bound, datetime):
        return plan
    return replace(plan, cap=bound + timedelta(seconds=skew - assumed), skew=skew)


def fresh_at(plan: Plan, run: Run) -> datetime:
    """The time, by our clock, up to which the copy holds everything once this window is read."""
    until = plan.window.until
    if not isinstance(until, datetime):
        return run.claimed_at
    return min(run.claimed_at, until - timedelta(seconds=max(0.0, run.clock_skew)))


def is_last(page: Page, window: Window, traits: StreamTraits) -> bool:
    """Whether nothing in the window comes after this page."""
    return page.next is None or (traits.ordered and is_beyond(greatest_of(page), window.until))


def checkpoint(plan: Plan, *, done: bool) -> Checkpoint:
    """What to commit so that another worker can go on from here. Of numbers, also how far the window has seen."""
    seen = plan.high if done and isinstance(plan.high, int) else None
    return Checkpoint(
        since=_dump(plan.window.since),
        until=_dump(plan.window.until if seen is None else seen),
        position=None if done else _wrap(plan),
        watermark=_dump(plan.watermark) if plan.token is None else {"token": plan.token},
        finished=False,
    )


def _next_live(stored: Plan, run: Run, traits: StreamTraits, now: datetime) -> Plan:
    watermark, back = stored.watermark, look_back_of(traits, run.look_back, run.options)
    if not traits.timestamps:  # a number says nothing about now: the first run reads everything
        since = None if not isinstance(watermark, int) else watermark - int(back)
        seen = higher(watermark, stored.window.until) if is_unbounded(traits, Window(since)) else None
        return Plan(Window(since), watermark=watermark, cap=seen)
    ours = now - timedelta(seconds=traits.lag)
    theirs = ours + timedelta(seconds=run.clock_skew)
    believed = theirs if abs(run.clock_skew) <= BELIEVED_SKEW else ours
    until = max(ours, theirs)  # what is asked for too much is stored, and moves no cursor
    starts = not isinstance(watermark, datetime)
    reached = watermark if isinstance(watermark, datetime) else ours - FIRST_LOOK_BACK
    begin = reached
    # A cursor ahead of the source's clock would ask for what can't be yet, and miss what is: that clock was put back, or
    # always was behind.
    if reached > theirs:
        begin = min(theirs, reached + timedelta(seconds=min(0.0, run.clock_skew)))
    return Plan(
        Window(_earlier(begin, back), until),
        watermark=reached,
        cap=believed if believed < until else None,
        skew=run.clock_skew,
        starts_cursor=starts,
    )


def _earlier(value: datetime, seconds: float) -> datetime:
    try:
        return value - timedelta(seconds=seconds)
    except OverflowError:
        return value


def is_stale(run: Run, traits: StreamTraits, now: datetime) -> bool:
    """Among pages that shift, a place that was kept for long says little about what is there."""
    moved_at = run.cursor.moved_at
    kept = max(KEPT_PLACE, run.pages * KEPT_PAGE)
    return traits.seam != "none" and moved_at is not None and now - moved_at > kept


def _load(stored: Stored, traits: StreamTraits) -> Plan:
    since, until, watermark = (
        None if value is None else load_cursor(value, timestamps=traits.timestamps)
        for value in (stored.since, stored.until, stored.watermark)
    )
    return Plan(Window(since, until), watermark=watermark)


def _load_token(stored: Any) -> str | None:
    """Anything else was kept when the cursor was of another kind: then everything is read."""
    return str(stored["token"]) if isinstance(stored, Mapping) and "token" in stored else None


def _wrap(plan: Plan) -> dict[str, Any]:
    more = {
        "cap": _dump(plan.cap),
        "marks": [list(mark) for mark in plan.marks] or None,
        "total": plan.total,
    }
    told = {name: value for name, value in more.items() if value is not None}
    return {"page": plan.position, "high": _dump(plan.high), **told}


def go_on(plan: Plan, kept: Mapping[str, Any] | None, traits: StreamTraits) -> Plan:
    """The plan of this window with what a checkpoint kept as its position."""
    if kept is None:
        return plan
    high, cap = (
        None if value is None else load_cursor(value, timestamps=traits.timestamps)
        for value in (kept.get("high"), kept.get("cap"))
    )
    return replace(
        plan,
        position=kept.get("page"),
        high=high,
        cap=cap,
        marks=tuple((str(key), str(held)) for key, held in kept.get("marks", ())),
        total=kept.get("total"),
    )


def _dump(value: CursorValue | None) -> Any:
    return None if value is None else dump_cursor(value)
