"""Up to where is a copy due to know every change?"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.connectors.contract import StreamTraits
from worker.connectors.cursors import dump_cursor
from worker.engine.proof.compare import Due
from worker.engine.tracks.verify import MARGIN, due_of

BEGAN = datetime(2026, 11, 26, 12, tzinfo=UTC)
MARK = BEGAN - timedelta(minutes=5)
TIMES = StreamTraits(incremental=True, ordered=True, timestamps=True, overlap=60.0)


def due(traits: StreamTraits, *, back: float = 60.0, skew: float = 0.0, **facts: Any) -> Due:
    return due_of(facts, traits, began=BEGAN, back=back, skew=skew)


def test_a_stream_with_a_cursor_is_due_up_to_it_less_what_is_read_again() -> None:
    found = due(TIMES, watermark=dump_cursor(MARK))
    assert (found.before, found.by_update) == (MARK - timedelta(seconds=60), False)
    assert due(TIMES, back=600.0, watermark=dump_cursor(MARK)).before == MARK - timedelta(seconds=600)


def test_a_number_is_a_place_as_well_as_a_time() -> None:
    numbers = StreamTraits(incremental=True, ordered=True, timestamps=False)
    assert due(numbers, back=5.0, watermark=100).before == 95


def test_before_the_first_sync_nothing_is_due() -> None:
    assert due(TIMES).before is None
    assert due(StreamTraits(incremental=False, ordered=False, timestamps=True)).before is None


@pytest.mark.parametrize(
    "traits",
    [
        StreamTraits(incremental=False, ordered=False, timestamps=True),
        StreamTraits(incremental=True, ordered=False, timestamps=True, token=True),
    ],
)
def test_without_a_cursor_the_last_sync_counts_by_the_clock_of_the_source(traits: StreamTraits) -> None:
    found = due(traits, skew=30.0, last_success_at=MARK)
    assert (found.before, found.by_update) == (MARK + timedelta(seconds=30) - MARGIN, True)


def test_a_stream_that_is_swept_says_so() -> None:
    assert due(TIMES, watermark=dump_cursor(MARK), swept=True).swept
    assert not due(TIMES, watermark=dump_cursor(MARK), swept=None).swept


def test_a_copy_whose_history_is_not_in_yet_says_so() -> None:
    assert not due(TIMES, watermark=dump_cursor(MARK)).all_in
    assert due(TIMES, watermark=dump_cursor(MARK), history_done_at=BEGAN).all_in
