"""How far a history is, and how long the rest will take: what the system said, else what was read, decides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worker.engine.history.forecast import Forecast, at_rate, forecast, progress
from worker.engine.history.slices import Slice, Tally, cut
from worker.limits.policy import Limits, Rule

NOW = datetime(2026, 11, 26, 18, tzinfo=UTC)
DAY = timedelta(days=1)


def nobody_knows(_: int) -> float | None:
    return None


def part(
    newest: float, oldest: float | None, *, records: int = 0, finished: bool = False, left: int | None = None
) -> Slice:
    """From so many days ago to so many days ago; a hundred records are a request and take a second."""
    tally = Tally(records=records, requests=records // 100, seconds=records / 100, left=left)
    since = None if oldest is None else NOW - oldest * DAY
    return Slice(since, NOW - newest * DAY, f"{1000 - newest:04}", tally, finished=finished)


def test_nothing_is_known_before_anything_was_read() -> None:
    found = progress([part(0, 90)], nobody_knows)
    assert (found.slices_done, found.slices, found.records, found.share) == (0, None, 0, None)
    assert found.left == Forecast(None, None, None)


def test_the_density_of_what_was_read_says_what_is_left() -> None:
    found = progress([part(0, 30, records=3000, finished=True), part(30, 90)], nobody_knows)
    assert found.left == Forecast(6000, 60, 60.0)
    assert found.share == pytest.approx(1 / 3)
    assert found.read_back_to == NOW - 30 * DAY


def test_what_is_read_of_the_slice_under_way_counts() -> None:
    under_way = replace(part(30, 90, records=2000), position={"page": {}})
    found = progress([part(0, 30, records=3000, finished=True), under_way], nobody_knows)
    assert found.left.records == 4000
    assert (found.records, found.slices_done, found.slices) == (5000, 1, 2)


def test_no_end_is_promised_where_more_came_than_density_foretold() -> None:
    under_way = replace(part(30, 90, records=6500), position={"page": {}})
    found = progress([part(0, 30, records=3000, finished=True), under_way], nobody_knows)
    assert found.left == Forecast(None, None, None)
    assert found.share is None


def test_what_the_system_said_there_is_in_all_comes_before_density() -> None:
    whole = replace(part(0, None), tally=Tally(left=10_000))
    newer, rest = cut(whole, 30 * DAY) or pytest.fail("it can be cut")
    rest = replace(rest, tally=whole.tally)
    done = replace(newer, finished=True, tally=Tally(records=3000, requests=30, seconds=30))
    assert progress([done, rest], nobody_knows).left.records == 7000
    begun = replace(newer, tally=Tally(records=1000, requests=10, seconds=10))
    assert progress([begun, rest], nobody_knows).left.records == 9000


def test_no_number_is_made_up_for_a_past_without_an_end() -> None:
    found = progress([part(0, 30, records=3000, finished=True), part(30, None)], nobody_knows)
    assert found.left.records is None
    assert found.since is None


def test_the_time_left_is_the_pace_or_what_the_account_may_send_whichever_is_longer() -> None:
    paid = Tally(records=1000, requests=10, seconds=20)
    assert forecast(500, paid, nobody_knows) == Forecast(500, 5, 10.0)
    assert forecast(500, paid, lambda requests: requests * 60.0) == Forecast(500, 5, 300.0)
    assert forecast(500, paid, lambda _: 1.0) == Forecast(500, 5, 10.0)
    assert forecast(0, Tally(), nobody_knows) == Forecast(0, 0, 0.0)


def test_limits_alone_say_how_long_requests_take() -> None:
    assert at_rate(Limits(), 100) is None
    assert at_rate(Limits(requests=60, per=60.0, burst=10), 100) == 90.0
    rules = (Rule(requests=10, per=1.0), Rule(requests=60, per=60.0, streams=("parts",)))
    assert at_rate(Limits(rules=rules), 101) == 10.0


def test_what_is_done_has_nothing_left() -> None:
    found = progress(
        [part(0, 30, records=10, finished=True), part(30, 90, records=20, finished=True)], nobody_knows
    )
    assert found.left == Forecast(0, 0, 0.0)
    assert (found.share, found.slices_done, found.slices) == (1.0, 2, 2)
    assert found.read_back_to == NOW - 90 * DAY


def test_a_gap_ends_what_is_read_without_one() -> None:
    slices = [part(0, 30, records=10, finished=True), part(30, 60), part(60, 90, records=1, finished=True)]
    assert progress(slices, nobody_knows).read_back_to == NOW - 30 * DAY


def test_while_nothing_was_read_a_sample_says_how_dense_it_is() -> None:
    sample = part(0, 1, records=200, finished=True)
    assert progress([part(0, 90)], nobody_knows, sample).left == Forecast(18_000, 180, 180.0)
    read = [part(0, 30, records=3000, finished=True), part(30, 90)]
    assert progress(read, nobody_knows, sample).left.records == 6000
    assert progress([part(0, None)], nobody_knows, sample).left.records is None
