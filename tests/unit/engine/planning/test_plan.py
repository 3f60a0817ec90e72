"""Which window a run asks for, and how far its cursor may move."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.contract import CursorValue, Page, Position, Record, StreamTraits, Window
from worker.connectors.cursors import dump_cursor
from worker.engine.planning.plan import (
    Plan,
    advance,
    afresh,
    checkpoint,
    fresh_at,
    has_lost_place,
    is_neighbour,
    on_clock,
    plan_history,
    plan_run,
    restart,
)
from worker.errors import NeedsOperator
from worker.runs.claim import Run, Stored

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ORDERED = StreamTraits(incremental=True, ordered=True, timestamps=True, overlap=60.0, lag=5.0)
UNORDERED = replace(ORDERED, ordered=False)
NUMBERED = StreamTraits(incremental=True, ordered=True, timestamps=False, overlap=1.0)
WHOLE = StreamTraits(incremental=False, ordered=False, timestamps=True)


def run_with(cursor: Stored = Stored(), *, history_days: int | None = 90) -> Run:  # noqa: B008
    return Run(
        id=UUID(int=1),
        claim_no=1,
        stream_id=1,
        connection_id=1,
        account="demo:connection:1",
        track="live",
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
    kept = checkpoint(first, done=True)
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
    kept = checkpoint(after, done=done)
    stored = Stored(kept.watermark, kept.position, kept.since, kept.until)
    assert plan_run(run_with(stored), UNORDERED, NOW) == after


def test_an_unknown_position_is_given_up_without_moving_the_window() -> None:
    plan = Plan(Window(at(-60), at(-5)), {"cursor": "gone"}, at(-60), at(-10))
    assert restart(plan) == Plan(Window(at(-60), at(-5)), None, at(-60))


@pytest.mark.parametrize(
    ("code", "position", "pages", "lost"),
    [
        ("request_refused", {"page": 7}, 0, True),
        ("elsewhere", {"url": "https://erp.example.com/2"}, 0, True),
        ("request_refused", None, 0, False),
        ("request_refused", {"page": 7}, 1, False),
        ("auth_refused", {"page": 7}, 0, False),
    ],
)
def test_a_kept_place_that_is_refused_before_any_page_of_it_came_is_lost(
    code: str, position: Position | None, pages: int, *, lost: bool
) -> None:
    plan = Plan(Window(at(-60), at(-5)), position)
    assert has_lost_place(plan, NeedsOperator(code, "No."), pages=pages) is lost


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
    assert checkpoint(after, done=done).position is None


def test_nothing_new_leaves_the_cursor_where_it_is() -> None:
    plan = Plan(Window(at(-100), at(-5)), watermark=at(-100))
    assert advance(plan, page_of(), ORDERED)[0].watermark == at(-100)
    assert advance(plan, page_of(None, None), ORDERED)[0].watermark == at(-100)


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


def test_a_clock_too_far_ahead_to_be_believed_bounds_the_cursor_by_ours_and_the_window_by_its_own() -> None:
    """Else whoever sends nothing above the bound would keep all that is new to himself for as long as he is ahead."""
    run = replace(run_with(Stored(watermark=dump_cursor(at(0)))), clock_skew=200_000.0)
    plan = plan_run(run, UNORDERED, at(1000))
    assert plan.window.until == at(200_995)
    assert plan.cap == at(995)
    moved, _ = advance(plan, page_of(at(190_000)), UNORDERED)
    assert moved.watermark == at(995)
    assert fresh_at(plan, replace(run, claimed_at=at(5000))) == at(995)


TOKEN = StreamTraits(incremental=True, ordered=False, timestamps=False, token=True)
SHIFTING = replace(UNORDERED, seam="record")


def later_run(traits: StreamTraits = ORDERED, *, behind: float = 600, **more: Any) -> Plan:
    """A run whose watermark is so many seconds behind our now."""
    run = replace(run_with(Stored(watermark=dump_cursor(at(-behind)))), **more)
    return plan_run(run, traits, NOW)


def test_the_cursor_is_capped_by_the_sources_clock_where_that_is_behind() -> None:
    plan = later_run(clock_skew=-300.0)
    after, done = advance(plan, page_of(at(-400), at(-100)), UNORDERED)
    assert done
    assert after.watermark == at(-305), "the source's now less the lag"


def test_the_cursor_may_pass_our_now_where_the_sources_clock_is_ahead() -> None:
    plan = later_run(clock_skew=300.0)
    after, _ = advance(plan, page_of(at(200), at(400)), UNORDERED)
    assert after.watermark == at(295)


def test_an_ordered_window_does_not_end_early_for_a_clock_that_is_thought_to_be_behind() -> None:
    """The header may be a proxy's; then fresh records would wait for as long as it is off."""
    plan = later_run(clock_skew=-300.0)
    after, done = advance(plan, page_of(at(-400), at(-100), more=True), ORDERED)
    assert not done
    assert after.watermark == at(-305)


@pytest.mark.parametrize("skew", [-(10.0**6), 10.0**6])
def test_a_clock_that_is_days_off_bounds_no_cursor(skew: float) -> None:
    after, _ = advance(later_run(clock_skew=skew), page_of(at(-100)), UNORDERED)
    assert after.watermark == at(-100)
    capped, _ = advance(later_run(clock_skew=skew), page_of(at(10**7)), UNORDERED)
    assert capped.watermark == at(-5)


@pytest.mark.parametrize("behind", [3600, 2 * 86_400])
def test_a_cursor_ahead_of_the_sources_clock_is_not_waited_for(behind: int) -> None:
    """Its clock was put back, or the very first cursor went by ours: what changed since is stamped behind it."""
    plan = later_run(behind=1200, clock_skew=-float(behind))
    changed_since = at(-1200 - behind)
    assert plan.window.since is not None
    assert plan.window.since <= changed_since  # type: ignore[operator]


def test_a_cap_outlives_an_interruption() -> None:
    plan = later_run(UNORDERED, clock_skew=-300.0)
    after, done = advance(plan, page_of(at(-500), more=True), UNORDERED)
    kept = checkpoint(after, done=done)
    run = run_with(Stored(kept.watermark, kept.position, kept.since, kept.until))
    assert plan_run(replace(run, clock_skew=-300.0), UNORDERED, at(60)) == after


def test_a_clock_that_turns_out_to_be_behind_stops_the_cursor_of_the_window_that_is_open() -> None:
    plan = on_clock(later_run(), -20.0)
    assert plan.cap == at(-25)
    assert on_clock(plan, -20.0) == plan, "not once more with every page"
    assert on_clock(plan, -30.0).cap == at(-35)
    assert on_clock(plan, 50.0) == plan, "farther than was planned it never goes"
    assert on_clock(later_run(clock_skew=-(10.0**6)), -20.0).cap == at(-25)
    assert on_clock(later_run(), -(10.0**6)) == later_run()


def test_the_copy_is_said_to_be_fresh_by_our_clock() -> None:
    run = replace(run_with(Stored(watermark=dump_cursor(at(-600)))), clock_skew=3600.0)
    assert fresh_at(plan_run(run, ORDERED, NOW), run) == at(-5)
    behind = replace(run, clock_skew=-3600.0)
    assert fresh_at(plan_run(behind, ORDERED, NOW), behind) == at(-5)


@pytest.mark.parametrize(
    ("learned", "options", "back"),
    [
        (None, {}, 60), (10.0, {}, 60), (900.0, {}, 900), (10.0**7, {}, 86_400),
        (900.0, {"look_back": {"of": "time", "most": 300.0}}, 300),
        (None, {"look_back": {"of": "time", "least": 120.0}}, 120),
        (None, {"look_back": {"of": "time", "most": 1.0}}, 60),
        (None, {"look_back": {"of": "number", "least": 5000.0}}, 60),
    ],
)  # fmt: skip
def test_a_run_looks_back_by_what_was_measured_within_its_bounds(
    learned: float | None, options: dict[str, Any], back: float
) -> None:
    assert later_run(look_back=learned, options=options).window.since == at(-600 - back)


def test_numbers_look_back_by_units() -> None:
    run = replace(run_with(Stored(watermark=5000)), look_back=250.0)
    assert plan_run(run, NUMBERED, NOW).window == Window(4750)


def test_a_token_is_kept_from_the_last_page_alone_and_asked_with_next() -> None:
    first = plan_run(run_with(), TOKEN, NOW)
    assert first.window == Window()
    middle, done = advance(first, Page([], next={"cursor": "2"}, token="early"), TOKEN)
    assert (done, middle.token) == (False, None)
    last, done = advance(middle, Page([], token="t1"), TOKEN)
    kept = checkpoint(last, done=done)
    assert kept.watermark == {"token": "t1"}
    assert plan_run(run_with(Stored(watermark=kept.watermark)), TOKEN, NOW).window == Window(token="t1")


def test_a_window_that_ends_without_a_token_is_asked_for_again() -> None:
    plan = plan_run(run_with(Stored(watermark={"token": "t1"})), TOKEN, NOW)
    after, done = advance(plan, Page([]), TOKEN)
    assert checkpoint(after, done=done).watermark == {"token": "t1"}


def test_everything_is_read_where_a_token_is_refused_also_after_an_interruption() -> None:
    plan = afresh(plan_run(run_with(Stored(watermark={"token": "old"})), TOKEN, NOW))
    assert plan.window == Window()
    middle, done = advance(plan, Page([], next={"cursor": "2"}), TOKEN)
    kept = checkpoint(middle, done=done)
    again = plan_run(run_with(Stored(kept.watermark, kept.position)), TOKEN, NOW)
    assert (again.window, again.position) == (Window(), {"cursor": "2"})


def test_a_cursor_of_another_kind_is_no_token() -> None:
    assert plan_run(run_with(Stored(watermark=dump_cursor(NOW))), TOKEN, NOW).window == Window()


@pytest.mark.parametrize("traits", [SHIFTING, replace(WHOLE, seam="record"), replace(WHOLE, seam="total")])
@pytest.mark.parametrize(("age", "goes_on"), [(30, True), (3 * 86_400, False)])
def test_a_place_among_pages_that_shift_is_not_worth_going_on_from_for_long(
    traits: StreamTraits, age: int, goes_on: bool
) -> None:
    position = {"page": {"offset": 70}, "high": None}
    since, until = dump_cursor(at(-9000)), dump_cursor(at(-age))
    stored = Stored(since, position, since, until, moved_at=at(-age))
    plan = plan_run(run_with(stored), traits, NOW)
    assert plan.resumes is goes_on


def test_a_place_that_is_fixed_is_gone_on_from_however_old() -> None:
    stored = Stored(None, {"page": {"after": 70}, "high": None}, moved_at=at(-(10**6)))
    assert plan_run(run_with(stored), WHOLE, NOW).position == {"after": 70}


def test_what_was_read_last_is_remembered_over_an_interruption() -> None:
    page = page_of(at(-50), at(-40), more=True)
    after, done = advance(Plan(Window(at(-100), at(-5)), watermark=at(-100)), page, SHIFTING)
    kept = checkpoint(after, done=done)
    stored = Stored(kept.watermark, kept.position, kept.since, kept.until, moved_at=NOW)
    again = plan_run(run_with(stored), SHIFTING, NOW)
    assert len(again.marks) == 2
    assert is_neighbour(again, page, SHIFTING)
    assert not is_neighbour(again, page_of(), SHIFTING)


def test_a_place_among_shifting_pages_is_kept_the_longer_the_more_was_read_to_reach_it() -> None:
    """With a limit of so many pages a day it is reached again each day, until it is worth going on from."""
    shifting = replace(WHOLE, seam="record")
    cursor = Stored(position={"page": {"offset": 900}, "high": None}, moved_at=at(-86_400))
    early = run_with(cursor)
    assert not plan_run(early, shifting, NOW).resumes
    assert plan_run(replace(early, pages=1500), shifting, NOW).resumes
    assert plan_run(replace(early, cursor=replace(cursor, moved_at=at(-60))), shifting, NOW).resumes
