"""Which window a run asks for, and how far its cursor may move."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.contract import CursorValue, Page, Record, StreamTraits, Window
from worker.connectors.cursors import dump_cursor
from worker.engine.plan import Plan, advance, checkpoint, fresh_at, plan_history, plan_run, restart
from worker.runs.claim import Run, Stored

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ORDERED = StreamTraits(incremental=True, ordered=True, timestamps=True, overlap=60.0, lag=5.0)
UNORDERED = replace(ORDERED, ordered=False)
NUMBERED = StreamTraits(incremental=True, ordered=True, timestamps=False, overlap=1.0)
WHOLE = StreamTraits(incremental=False, ordered=False, timestamps=True)


def run_with(cursor: Stored = Stored(), *, track: str = "live", history_days: int | None = 90) -> Run:  # noqa: B008
    return Run(
        id=UUID(int=1),
        claim_no=1,
        stream_id=1,
        connection_id=1,
        account="demo:connection:1",
        track=track,
        scope={},
        lane=3,
        cause="schedule",
        attempt=0,
        request_id="r",
        steps=None,
        pages=0,
        records_rejected=0,
        alone=False,
        waited=0.0,
        stream="work_orders",
        bucket=1,
        history_days=history_days,
        history_done_at=None,
        connection="c",
        system="demo",
        settings={},
        secrets={},
        cursor=cursor,
        claimed_at=NOW,
    )


def page_of(*cursors: CursorValue | None, more: bool = False) -> Page:
    records = [Record(str(n), b"{}", b"0" * 16, cursor=cursor) for n, cursor in enumerate(cursors)]
    return Page(records, next={"cursor": "more"} if more else None)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_the_first_sync_starts_the_live_cursor_a_day_back_for_clocks_that_are_behind() -> None:
    plan = plan_run(run_with(), ORDERED, NOW)
    assert plan.starts_cursor
    assert plan.watermark == at(-86400 - 5)
    assert plan.window == Window(at(-86400 - 65), at(-5))


@pytest.mark.parametrize("behind", [0, 600, 8 * 3600])
def test_what_changes_right_after_the_first_sync_is_asked_for_whatever_the_sources_clock(behind: int) -> None:
    first, _ = advance(plan_run(run_with(), ORDERED, NOW), page_of(), ORDERED)
    kept = checkpoint(first, track="live", done=True)
    changed = at(60 - behind)
    second = plan_run(run_with(Stored(watermark=kept.watermark)), ORDERED, at(120))
    assert second.window.since is not None
    assert second.window.since <= changed  # type: ignore[operator]


def test_the_history_reaches_up_to_the_live_window() -> None:
    assert plan_history(run_with(), ORDERED, NOW) == Window(NOW - timedelta(days=90), at(-5))


def test_all_of_the_history_has_no_lower_bound() -> None:
    assert plan_history(run_with(history_days=None), ORDERED, NOW) == Window(None, at(-5))


@pytest.mark.parametrize("traits", [WHOLE, NUMBERED])
def test_what_cant_be_asked_for_by_time_has_no_history_of_its_own(traits: StreamTraits) -> None:
    assert plan_history(run_with(), traits, NOW) is None
    assert plan_run(run_with(), traits, NOW).window == Window()


def test_a_later_run_looks_back_by_the_overlap_and_stops_at_now_less_the_lag() -> None:
    plan = plan_run(run_with(Stored(watermark=dump_cursor(at(-600)))), ORDERED, NOW)
    assert plan.window == Window(at(-660), at(-5))
    assert not plan.starts_cursor


def test_an_interrupted_window_goes_on_where_its_last_page_ended() -> None:
    first = plan_run(run_with(Stored(watermark=dump_cursor(at(-600)))), UNORDERED, at(-300))
    after, done = advance(first, page_of(at(-400), more=True), UNORDERED)
    kept = checkpoint(after, track="live", done=done)
    stored = Stored(kept.watermark, kept.position, kept.since, kept.until)
    assert plan_run(run_with(stored), UNORDERED, NOW) == after


def test_an_unknown_position_is_given_up_without_moving_the_window() -> None:
    plan = Plan(Window(at(-60), at(-5)), {"cursor": "gone"}, at(-60), at(-10))
    assert restart(plan) == Plan(Window(at(-60), at(-5)), None, at(-60))


def test_the_cursor_moves_page_by_page_only_where_pages_come_in_its_order() -> None:
    plan = Plan(Window(at(-100), at(-5)), watermark=at(-100))
    page = page_of(at(-90), at(-80), more=True)
    assert advance(plan, page, ORDERED)[0].watermark == at(-80)
    assert advance(plan, page, UNORDERED)[0].watermark == at(-100)


def test_the_cursor_never_passes_the_upper_bound_of_the_window() -> None:
    plan = Plan(Window(at(-100), at(-5)), watermark=at(-100))
    after, done = advance(plan, page_of(at(-50), at(3600)), UNORDERED)
    assert done
    assert after.watermark == at(-5)


def test_an_ordered_window_ends_at_the_first_record_beyond_it() -> None:
    plan = Plan(Window(at(-100), at(-5)), watermark=at(-100))
    after, done = advance(plan, page_of(at(-50), at(-4), more=True), ORDERED)
    assert done
    assert checkpoint(after, track="live", done=done).position is None


def test_nothing_new_leaves_the_cursor_where_it_is() -> None:
    plan = Plan(Window(at(-100), at(-5)), watermark=at(-100))
    assert advance(plan, page_of(), ORDERED)[0].watermark == at(-100)
    assert advance(plan, page_of(None, None), ORDERED)[0].watermark == at(-100)


def test_only_the_end_of_a_history_finishes_its_cursor() -> None:
    plan = Plan(Window(None, at(-5)))
    assert checkpoint(plan, track="history", done=True).finished
    assert not checkpoint(plan, track="history", done=False).finished
    assert not checkpoint(plan, track="live", done=True).finished


moments = st.integers(-5000, 5000).map(at)
pages = st.lists(st.lists(st.one_of(st.none(), moments), max_size=5), min_size=1, max_size=6)


@given(pages=pages, ordered=st.booleans(), start=moments)
def test_the_watermark_never_falls_and_never_passes_the_window(
    pages: list[list[Any]], ordered: bool, start: datetime
) -> None:
    traits = replace(ORDERED, ordered=ordered)
    until = max(start, at(-5))
    plan = Plan(Window(start, until), watermark=start)
    for number, cursors in enumerate(pages):
        after, done = advance(plan, page_of(*cursors, more=number + 1 < len(pages)), traits)
        assert start <= plan.watermark <= after.watermark <= until  # type: ignore[operator]
        plan = after
        if done:
            break


def test_a_history_that_is_done_is_not_asked_for_again() -> None:
    assert plan_history(replace(run_with(), history_done_at=NOW), ORDERED, NOW) is None
    assert plan_history(run_with(track="history"), ORDERED, NOW) is None


def test_a_clock_too_far_ahead_to_be_believed_bounds_the_cursor_by_ours_and_the_window_by_its_own() -> None:
    """Else whoever sends nothing above the bound would keep all that is new to himself for as long as he is ahead."""
    run = replace(run_with(Stored(watermark=dump_cursor(at(0)))), clock_skew=200_000.0)
    plan = plan_run(run, UNORDERED, at(1000))
    assert plan.window.until == at(200_995)
    assert plan.cap == at(995)
    moved, _ = advance(plan, page_of(at(190_000)), UNORDERED)
    assert moved.watermark == at(995)
    assert fresh_at(plan, replace(run, claimed_at=at(5000))) == at(995)
