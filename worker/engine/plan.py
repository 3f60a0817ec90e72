"""What does a run ask the system for, and how far may its cursor move?

Pure: plain data and the time go in, a plan comes out. Rules that hold everywhere:

- The lower bound is inclusive and looks back by the stream's overlap, so equal times and late arrivals aren't lost;
  what was read already costs nothing, because what is unchanged isn't written.
- The upper bound is fixed when the window opens: now minus the lag. Records above it are stored when they come, but the
  cursor never passes it, so what is committed late at the source is read again.
- The very first sync starts the live cursor a day before now, and leaves everything older to the history, which has a
  cursor of its own and moves nobody else's. The day is for the source's clock, which may be behind ours or say local
  time as if it were UTC: from the first change that is seen, the cursor goes by what the source itself says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from worker.connectors.contract import CursorValue, Page, Position, StreamTraits, Window
from worker.connectors.cursors import dump_cursor, load_cursor
from worker.runs.claim import Run, Stored

FIRST_LOOK_BACK = timedelta(days=1)
"""How far a source's clock may be behind ours at the very first sync without a change being missed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One window to read, from `position` on."""

    window: Window
    position: Position | None = None
    watermark: CursorValue | None = None
    high: CursorValue | None = None
    """The greatest cursor value seen in this window, up to its upper bound."""
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
    if not traits.incremental:
        position, high = _unwrap(run.cursor.position, traits)
        return Plan(Window(), position, None, high)
    stored = _load(run.cursor, traits)
    if run.cursor.position is not None or run.track == "history":
        position, high = _unwrap(run.cursor.position, traits)
        return replace(stored, position=position, high=high)
    return _next_live(stored.watermark, traits, now)


def plan_history(run: Run, traits: StreamTraits, now: datetime) -> Window | None:
    """The history that is still owed beside this live run, or None: there is none to ask for, or it is done."""
    if run.track != "live" or run.history_done_at is not None or not has_history(traits):
        return None
    since = None if run.history_days is None else now - timedelta(days=run.history_days)
    return Window(since, now - timedelta(seconds=traits.lag))


def has_history(traits: StreamTraits) -> bool:
    """Where changes aren't ordered by time, or can't be asked for, the live run reads everything itself."""
    return traits.incremental and traits.timestamps


def restart(plan: Plan) -> Plan:
    """The same window from its beginning: the system no longer knows the position that was kept."""
    return replace(plan, position=None, high=None)


def advance(plan: Plan, page: Page, traits: StreamTraits) -> tuple[Plan, bool]:
    """The plan after this page, and whether the window is read to its end."""
    greatest = _greatest(page)
    high = _highest(plan.high, greatest, plan.window.until)
    done = page.next is None or (traits.ordered and _beyond(greatest, plan.window.until))
    position = None if done else page.next
    watermark = plan.watermark
    if (done or traits.ordered) and high is not None:
        watermark = high if watermark is None else max(watermark, high)
    return replace(plan, position=position, watermark=watermark, high=high), done


def is_last(page: Page, window: Window, traits: StreamTraits) -> bool:
    """Whether nothing in the window comes after this page."""
    return page.next is None or (traits.ordered and _beyond(_greatest(page), window.until))


def checkpoint(plan: Plan, *, track: str, done: bool) -> Checkpoint:
    """What to commit so that another worker can go on from here."""
    finished = done and track == "history"
    return Checkpoint(
        since=_dump(plan.window.since),
        until=_dump(plan.window.until),
        position=None if done else {"page": plan.position, "high": _dump(plan.high)},
        watermark=_dump(plan.watermark),
        finished=finished,
    )


def _next_live(watermark: CursorValue | None, traits: StreamTraits, now: datetime) -> Plan:
    until = now - timedelta(seconds=traits.lag) if traits.timestamps else None
    if watermark is None:
        if not traits.timestamps:
            return Plan(Window())  # a number says nothing about now: the first run reads everything
        first = now - timedelta(seconds=traits.lag) - FIRST_LOOK_BACK
        return Plan(Window(_look_back(first, traits), until), watermark=first, starts_cursor=True)
    return Plan(Window(_look_back(watermark, traits), until), watermark=watermark)


def _look_back(value: CursorValue | None, traits: StreamTraits) -> CursorValue | None:
    if isinstance(value, datetime):
        try:
            return value - timedelta(seconds=traits.overlap)
        except OverflowError:
            return value
    return None if value is None else value - int(traits.overlap)


def _greatest(page: Page) -> CursorValue | None:
    cursors = [record.cursor for record in page.records if record.cursor is not None]
    return max(cursors, default=None)


def _highest(
    high: CursorValue | None, greatest: CursorValue | None, until: CursorValue | None
) -> CursorValue | None:
    if greatest is None:
        return high
    capped = greatest if until is None else min(greatest, until)
    return capped if high is None else max(high, capped)


def _beyond(greatest: CursorValue | None, until: CursorValue | None) -> bool:
    return until is not None and greatest is not None and greatest > until  # type: ignore[operator]


def _load(stored: Stored, traits: StreamTraits) -> Plan:
    since, until, watermark = (
        None if value is None else load_cursor(value, timestamps=traits.timestamps)
        for value in (stored.since, stored.until, stored.watermark)
    )
    return Plan(Window(since, until), watermark=watermark)


def _unwrap(
    position: Mapping[str, Any] | None, traits: StreamTraits
) -> tuple[Position | None, CursorValue | None]:
    if position is None:
        return None, None
    high = position.get("high")
    return position.get("page"), None if high is None else load_cursor(high, timestamps=traits.timestamps)


def _dump(value: CursorValue | None) -> Any:
    return None if value is None else dump_cursor(value)
