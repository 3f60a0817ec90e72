"""A model of a source and of the runs that follow it: whatever its clock, its commits and its pages, nothing is missed.

The source stamps a change by its own clock when the transaction begins, to the second, and shows it later: by the lag that
it is known for, or by as much again as the overlap covers.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.engine.planning.test_plan import NOW, run_with

from worker.connectors.contract import Page, Record, StreamTraits
from worker.connectors.cursors import format_cursor, parse_cursor
from worker.engine.planning.plan import (
    BELIEVED_SKEW,
    FIRST_LOOK_BACK,
    advance,
    checkpoint,
    on_clock,
    plan_history,
    plan_run,
)
from worker.engine.watching.skew import skew_after
from worker.runs.claim import Stored

EDGE = 5.0
"""What a Date header can't tell, and a unit of the source's precision."""
BEHIND = int(min(FIRST_LOOK_BACK.total_seconds(), BELIEVED_SKEW)) - 60
"""A clock that is farther behind isn't believed, and the first run can't know before it has begun what it would have to ask
for. Clocks are heard to the second, so a minute less.
"""


@dataclass
class Source:
    """Times are seconds of our clock."""

    skew: float
    changes: list[tuple[float, float]]
    """When each was made, and when it showed."""
    ordered: bool
    bounded: bool

    def stamp(self, made: float) -> datetime:
        return (NOW + timedelta(seconds=made + self.skew)).replace(microsecond=0)

    def shown(self, now: float) -> list[Record]:
        seen = [
            Record(str(number), b"{}", b"0" * 16, cursor=self.stamp(made))
            for number, (made, shows) in enumerate(self.changes)
            if shows <= now
        ]
        return sorted(seen, key=lambda record: record.cursor) if self.ordered else seen  # type: ignore[arg-type, return-value]

    def date(self, now: float) -> str:
        return format_datetime(self.stamp(now).replace(tzinfo=UTC), usegmt=True)


@dataclass
class Follower:
    """Keeps what a stream's row, cursor and copy would."""

    source: Source
    traits: StreamTraits
    stored: Stored = field(default_factory=Stored)
    skew: float = 0.0
    copy: set[str] = field(default_factory=set)
    history_done: bool = False

    def run(self, now: float) -> None:
        at = NOW + timedelta(seconds=now)
        run = replace(run_with(self.stored, history_days=None), clock_skew=self.skew)
        plan = plan_run(run, self.traits, at)
        if not self.history_done and (owed := plan_history(run, self.traits, at)) is not None:
            until = owed.until
            self.copy |= {each.key for each in self.source.shown(now) if each.cursor <= until}  # type: ignore[operator]
            self.history_done = True
        self.skew = skew_after({"date": self.source.date(now)}, self.skew, sent=at, received=at)
        plan = on_clock(plan, self.skew)
        said = format_cursor(plan.window.since, "datetime", precision="s")  # type: ignore[arg-type]
        most = format_cursor(plan.window.until, "datetime", precision="s", round_up=True)  # type: ignore[arg-type]
        found = [
            record
            for record in self.source.shown(now)
            if record.cursor >= parse_cursor(said, "datetime")  # type: ignore[operator]
            and (not self.source.bounded or record.cursor <= parse_cursor(most, "datetime"))  # type: ignore[operator]
        ]
        done = False
        while not done:
            page, found = found[:2], found[2:]
            following = {"left": len(found)} if found else None
            plan, done = advance(plan, Page(page, next=following), self.traits)
            self.copy |= {record.key for record in page}
        kept = checkpoint(plan, done=done)
        self.stored = Stored(kept.watermark, kept.position, kept.since, kept.until)


@given(
    skew=st.one_of(st.integers(-300, 300), st.integers(-BEHIND, 200_000)),
    lag=st.sampled_from([0, 30, 90]),
    covered=st.sampled_from([0, 60]),
    wide=st.sampled_from([60, 200, 4000]),
    changes=st.lists(st.tuples(st.floats(-1, 1), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=12),
    runs=st.lists(st.floats(-1, 1), min_size=1, max_size=8),
    ordered=st.booleans(),
    bounded=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_what_shows_within_lag_and_overlap_is_read_whatever_the_clock(
    skew: int,
    lag: int,
    covered: int,
    wide: int,
    changes: list[tuple[float, float]],
    runs: list[float],
    ordered: bool,
    bounded: bool,
) -> None:
    late = lag + covered
    source = Source(
        skew, [(wide * made, wide * made + share * late) for made, share in changes], ordered, bounded
    )
    traits = StreamTraits(
        incremental=True, ordered=ordered, timestamps=True, overlap=EDGE + covered, lag=float(lag)
    )
    follower = Follower(source, traits)
    end = wide + 2 * late + 10
    for now in [*sorted(wide * moment for moment in runs), end, end + 60]:
        follower.run(now)
    assert follower.copy == {str(number) for number in range(len(changes))}


@given(
    seconds=st.lists(st.integers(0, 5), min_size=1, max_size=30),
    runs=st.lists(st.integers(0, 6), min_size=1, max_size=6),
)
def test_equal_times_across_pages_and_runs_are_all_read(seconds: list[int], runs: list[int]) -> None:
    """Many in one second, which a run may look into in the middle of."""
    changes = [(float(second), second + number / 40) for number, second in enumerate(seconds)]
    source = Source(0, changes, ordered=True, bounded=True)
    traits = StreamTraits(incremental=True, ordered=True, timestamps=True, overlap=1.0, lag=0.0)
    follower = Follower(source, traits)
    for now in [*sorted(runs), 20, 40]:
        follower.run(float(now))
    assert follower.copy == {str(number) for number in range(len(changes))}
