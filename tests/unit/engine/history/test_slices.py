"""How a history is cut: whatever was read so far, its slices cover exactly the window that was asked for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.connectors.contract import StreamTraits, Window
from worker.engine.history.slices import (
    FIRST_WIDTH,
    GROWTH,
    LAST_CUT,
    NARROWEST,
    WIDEST,
    WORK,
    Slice,
    Tally,
    can_cut,
    cut,
    first_width,
    missing,
    name_of,
    next_width,
    pending,
    slice_of,
    still_left,
    trimmed,
    window_of,
)

NOW = datetime(2026, 11, 26, 18, tzinfo=UTC)
DAY = timedelta(days=1)


def history(days: float | None) -> Slice:
    return Slice(None if days is None else NOW - days * DAY, NOW, name_of(NOW))


def traits(**more: bool) -> StreamTraits:
    return StreamTraits(**{"incremental": True, "ordered": False, "timestamps": True} | more)


def read(each: Slice, records: int, *, seconds: float = 1.0) -> Slice:
    tally = replace(each.tally, records=records, requests=max(1, records // 100), seconds=seconds)
    return replace(each, tally=tally, finished=True)


def carried_out(whole: Slice, counts: list[int]) -> list[Slice]:
    """All slices of a history, each with so many records, cut as the track cuts them."""
    slices, turn = [whole], 0
    while todo := pending(slices):
        piece = todo[0]
        width = next_width([each for each in slices if each.finished])
        parts = cut(piece, FIRST_WIDTH if width is None else width)
        if parts is not None:
            slices = [each for each in slices if each is not piece] + list(parts)
            piece = parts[0]
        slices = [each for each in slices if each is not piece] + [read(piece, counts[turn % len(counts)])]
        turn += 1
        assert turn < 2000, "it never ends"
    return slices


@settings(max_examples=200, deadline=None)
@given(
    days=st.none() | st.floats(0.01, 20_000),
    counts=st.lists(st.integers(0, 5_000_000), min_size=1, max_size=12),
)
def test_slices_cover_exactly_the_window_and_meet_at_their_seams(
    days: float | None, counts: list[int]
) -> None:
    whole = history(days)
    slices = sorted(carried_out(whole, counts), key=lambda each: each.until)
    assert slices[0].since == whole.since
    assert slices[-1].until == whole.until
    for older, newer in pairwise(slices):
        assert newer.since == older.until, "both hold the moment at which they meet"
    assert len({each.name for each in slices}) == len(slices)


@settings(max_examples=200, deadline=None)
@given(
    days=st.floats(1, 5000),
    more=st.none() | st.floats(0.0, 9000),
    counts=st.lists(st.integers(0, 100_000), min_size=1, max_size=5),
)
def test_a_longer_history_adds_exactly_what_is_missing(
    days: float, more: float | None, counts: list[int]
) -> None:
    before = carried_out(history(days), counts)
    since = None if more is None else NOW - timedelta(days=days + more)
    lacking = missing(before, since)
    oldest = NOW - days * DAY
    if since is not None and since >= oldest:
        assert lacking is None
        return
    assert lacking is not None
    assert (lacking.since, lacking.until) == (since, oldest)
    assert missing([*before, lacking], since) is None, "asked for twice, it is added once"


def test_the_newest_slice_comes_first_and_has_the_greatest_name() -> None:
    newer, rest = cut(history(90), 30 * DAY) or pytest.fail("it can be cut")
    assert pending([rest, newer]) == [newer, rest]
    assert newer.name > rest.name


def test_slices_grow_backwards_until_everything_before_comes_in_one() -> None:
    slices = sorted(carried_out(history(None), [0]), key=lambda each: each.until, reverse=True)
    widths = [each.seconds for each in slices]
    days = [None if seconds is None else seconds / 86400 for seconds in widths]
    assert days == [30, 90, 270, 810, None]


def test_a_slice_is_minutes_of_work_at_the_pace_of_those_before() -> None:
    before = Slice(
        NOW - 30 * DAY, NOW, tally=Tally(records=1_000_000, requests=2000, seconds=500), finished=True
    )
    width = next_width([before])
    assert width is not None
    records = 1_000_000 / 30 * (width / DAY)
    assert records / (1_000_000 / 500) == pytest.approx(WORK)


def test_a_slow_system_still_gets_twenty_pages_a_slice() -> None:
    before = Slice(
        NOW - 30 * DAY, NOW, tally=Tally(records=30_000, requests=300, seconds=30_000), finished=True
    )
    width = next_width([before])
    assert width is not None
    assert 30_000 / 30 * (width / DAY) == pytest.approx(2000)


def test_no_slice_is_much_wider_than_the_one_before() -> None:
    before = Slice(NOW - 10 * DAY, NOW, tally=Tally(records=1, requests=1, seconds=0.1), finished=True)
    assert next_width([before]) == GROWTH * 10 * DAY


def test_no_slice_is_narrower_than_an_hour() -> None:
    before = Slice(NOW - DAY, NOW, tally=Tally(records=10**9, requests=10**7, seconds=10**8), finished=True)
    assert next_width([before]) == NARROWEST


def test_what_little_would_be_left_over_isnt_cut_off() -> None:
    assert cut(history(30 * LAST_CUT), 30 * DAY) is None
    assert cut(history(30 * LAST_CUT + 1), 30 * DAY) is not None
    assert cut(history(None), WIDEST) is None


def test_a_slice_that_is_begun_is_not_cut() -> None:
    assert cut(replace(history(90), position={"page": {"offset": 500}}), 30 * DAY) is None


def test_the_rest_keeps_what_the_system_said_of_all() -> None:
    whole = replace(history(90), tally=Tally(left=900, begin=NOW - 80 * DAY))
    newer, rest = cut(whole, 30 * DAY) or pytest.fail("it can be cut")
    assert newer.tally == Tally()
    assert (rest.tally.left, rest.tally.begin) == (900, NOW - 80 * DAY)
    assert still_left(rest, [read(newer, 300), rest]) == 600


def test_the_first_page_says_how_wide_the_first_slice_is() -> None:
    month = 30 * 86400.0
    assert first_width(500, None, month) == FIRST_WIDTH
    assert first_width(500, 10**6, None) == FIRST_WIDTH
    assert first_width(500, 75_000, month) is None
    width = first_width(500, 500_000, month)
    assert width is not None
    assert width.total_seconds() == pytest.approx(month / 10)


def test_a_shorter_history_drops_and_shortens_only_what_is_not_read() -> None:
    newer, rest = cut(history(90), 30 * DAY) or pytest.fail("it can be cut")
    since = NOW - 45 * DAY
    begun = replace(rest, position={"page": {"offset": 500}})
    assert trimmed(newer, since) is newer
    assert trimmed(begun, since) == replace(rest, since=since)
    assert trimmed(rest, NOW - 10 * DAY) is None
    assert trimmed(read(rest, 1), NOW - 10 * DAY) == read(rest, 1)


def test_only_what_comes_in_order_or_can_be_bounded_is_cut() -> None:
    whole = history(None)
    assert can_cut(traits(ordered=True), whole)
    assert can_cut(traits(bounded=True), whole)
    assert not can_cut(traits(), whole)
    assert not can_cut(traits(ordered=True, timestamps=False), whole)
    assert not can_cut(traits(ordered=True, incremental=False), whole)
    assert not can_cut(traits(ordered=True), replace(whole, position={"page": 2})), "it has begun"


def test_what_has_no_time_is_read_with_all_that_goes_back_to_the_beginning() -> None:
    undated = traits(bounded=True, undated=True)
    assert not can_cut(undated, history(None))
    assert window_of(undated, None, NOW) == Window()
    assert can_cut(undated, history(90))
    assert window_of(undated, NOW - DAY, NOW) == Window(NOW - DAY, NOW)
    assert window_of(traits(bounded=True), None, NOW) == Window(None, NOW)


def test_a_slice_is_read_back_as_it_was_kept() -> None:
    tally = Tally(records=7, requests=2, seconds=0.5, left=100, begin=NOW - 9 * DAY)
    row = {
        "slice": name_of(NOW),
        "window_since": None,
        "window_until": name_of(NOW),
        "position": {"page": {"cursor": "x"}, "high": None},
        "watermark": tally.as_json(),
        "finished_at": None,
        "updated_at": NOW,
    }
    found = slice_of(row)
    assert (found.since, found.until, found.tally, found.finished) == (None, NOW, tally, False)
    assert slice_of(row | {"watermark": "2026-11-01T00:00:00.000000Z"}).tally == Tally()
