"""How is a long list read?"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.api.lists.paging import moment_of, page_of, read_cursor, write_cursor
from worker.errors import InvalidInput

ROWS = [{"name": f"c{number}", "id": number} for number in range(5)]


def by(row: Mapping[str, Any]) -> Sequence[Any]:
    return (row["name"], row["id"])


def test_a_page_with_more_behind_it_says_where_that_begins() -> None:
    page = page_of("connections", ROWS[:3], 2, by=by)
    assert page["connections"] == ROWS[:2]
    assert read_cursor(page["next"], str, int) == ("c1", 1)


@pytest.mark.parametrize("rows", [ROWS[:2], ROWS[:1], []])
def test_the_last_page_has_no_next(rows: list[dict[str, Any]]) -> None:
    assert page_of("connections", rows, 2, by=by)["next"] is None


def test_without_a_cursor_nothing_was_shown_yet() -> None:
    assert read_cursor(None, str, UUID) == (None, None)


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63 - 1),
    st.uuids(),
)
def test_whatever_a_cursor_holds_comes_back(text: str, number: int, identity: UUID) -> None:
    assert read_cursor(write_cursor(text, number, identity), str, int, UUID) == (text, number, identity)


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "nonsense", "ä", "a\0b", "=" * 9, write_cursor("c1"), write_cursor("c1", 1, 2), write_cursor(1, "c1"),
        write_cursor("c1", True), write_cursor("c\0", 1), "WyJcdWQ4MDAiLDFd", write_cursor("c1", 2**63), "W" * 2000, "W1tb" * 500,
    ],
)  # fmt: skip
def test_what_no_page_gave_out_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_cursor(cursor, str, int)
    assert refused.value.code == "bad_cursor"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_cursor_whatsoever_breaks_the_reading(given: bytes) -> None:
    with suppress(InvalidInput):
        read_cursor(given.decode("latin-1"), UUID, str)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_from_a_cursor_as_it_was(moment: datetime) -> None:
    [key] = read_cursor(write_cursor(moment), str)
    assert moment_of(key) == moment


@pytest.mark.parametrize("key", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00", "infinity"])
def test_what_is_no_time_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        moment_of(key)
    assert refused.value.code == "bad_cursor"
