"""Which words of a person mean which records are read again."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.runs.resync import MOST_IDS, Scope, scope_of
from worker.errors import InvalidInput

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_a_whole_day_ends_with_its_last_moment() -> None:
    found = scope_of(since="2026-03-01", until="2026-03-01", now=NOW)
    assert found.since == datetime(2026, 3, 1, tzinfo=UTC)
    assert found.until == datetime(2026, 3, 2, tzinfo=UTC) - timedelta(microseconds=1)
    assert scope_of(until="2026-03-01T00:00:00Z", now=NOW).until == found.since


def test_so_many_ids_are_read_at_once_and_no_more() -> None:
    ids = [f"{number}" for number in range(MOST_IDS)]
    assert len(scope_of(ids=[*ids, *ids], now=NOW).ids or ()) == 2 * MOST_IDS  # each once, in the end
    with pytest.raises(InvalidInput) as refusal:
        scope_of(ids=[*ids, "one more"], now=NOW)
    assert refusal.value.code == "too_many_ids"


def test_the_same_request_has_the_same_scope() -> None:
    assert Scope(ids=["b", "a", "b"]).as_json() == Scope(ids=["a", "b"]).as_json() == {"ids": ["a", "b"]}
    assert Scope().as_json() == {"all": True}
