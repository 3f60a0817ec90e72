"""Which pages can be told unread, and how a stream is asked for smaller ones."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.contract import Position, Response
from worker.connectors.paging.chained import ByCursor, ByLink, OnePage
from worker.connectors.paging.counted import ByNumber, ByOffset
from worker.connectors.paging.paging import Paging
from worker.connectors.reading.reader import Seen

ANSWER = Response(200, {}, b"", "https://erp.example.com/api/sites")
OFFSET = ByOffset("offset", "limit", 10, stable=True)
NUMBER = ByNumber("page", "per_page", 10, stable=True)
CURSOR = ByCursor("cursor", ("next",), "limit", 10)
LINK = ByLink("https://erp.example.com/api", ("next",), "limit", 10)


def walk(paging: Paging, records: int, size: int, total: int | None) -> list[Position | None]:
    """Every position that is asked for one after the other where a system holds so many records."""
    places: list[Position | None] = []
    position: Position | None = None
    left = records
    while True:
        places.append(position)
        count = min(size, left)
        left -= count
        position = paging.following(position, Seen(count, total=total), ANSWER)
        if position is None:
            return places


@given(
    paging=st.sampled_from([OFFSET, NUMBER]),
    records=st.integers(0, 200),
    size=st.sampled_from([10, 7]),
    knows_total=st.booleans(),
    most=st.integers(0, 9),
)
def test_what_is_named_is_what_would_have_come_one_by_one(
    paging: Paging, records: int, size: int, knows_total: bool, most: int
) -> None:
    """Also where a system sends fewer than it is asked for, every time."""
    total = records if knows_total else None
    places = walk(paging, records, size, total)
    for at, (here, following) in enumerate(pairwise(places)):
        assert following is not None
        named = list(paging.onward(here, following, total, most))
        expected = places[at + 2 : at + 2 + most]
        assert named[: len(expected)] == expected
        if knows_total:
            assert named == expected, "asked beyond a total that is known"
        else:
            assert len(named) == most


@pytest.mark.parametrize("paging", [OFFSET, NUMBER])
def test_a_manifest_can_forbid_pages_side_by_side(paging: ByOffset | ByNumber) -> None:
    forbidden = type(paging)(**{**{f: getattr(paging, f) for f in paging.__slots__}, "side_by_side": False})
    following = forbidden.following(None, Seen(10), ANSWER)
    assert following is not None
    assert forbidden.onward(None, following, None, 5) == ()


def test_a_total_below_what_was_read_names_nothing() -> None:
    assert list(OFFSET.onward(None, {"offset": 10}, 3, 5)) == []


@pytest.mark.parametrize("paging", [CURSOR, LINK, OnePage()])
def test_where_only_the_answer_says_what_comes_next_nothing_is_named(paging: Paging) -> None:
    assert paging.onward(None, {"cursor": "a"}, 100, 5) == ()


def test_smaller_pages_go_on_at_the_same_place_where_the_place_does_not_depend_on_the_size() -> None:
    for paging, place in ((OFFSET, {"offset": 30}), (CURSOR, {"cursor": "x"})):
        changed = paging.resized(2, place)
        assert changed is not None
        smaller, kept = changed
        assert kept == place
        assert dict(smaller.params(kept))["limit"] == 5


@pytest.mark.parametrize("paging", [NUMBER, LINK])
def test_numbers_and_links_begin_anew_since_their_places_depend_on_the_size(
    paging: ByNumber | ByLink,
) -> None:
    changed = paging.resized(2, {"page": 3, "so_far": 20, "size": 10, "url": "https://erp.example.com/x"})
    assert changed is not None
    smaller, kept = changed
    assert kept is None
    assert 5 in dict(smaller.params(None)).values()


def test_a_numbered_place_keeps_its_size_whatever_the_manifest_says_later() -> None:
    smaller, _ = NUMBER.resized(2, None) or pytest.fail("not resized")
    second = smaller.following(None, Seen(5), ANSWER)
    assert second is not None
    assert NUMBER.params(second) == (("page", 2), ("per_page", 5))
    assert NUMBER.following(second, Seen(5), ANSWER) == {"page": 3, "so_far": 10, "size": 5}
    assert NUMBER.params({"page": 4, "so_far": 30}) == (("page", 4), ("per_page", 10))


def test_pages_are_never_asked_for_without_a_record() -> None:
    sizes = []
    for power in range(10):
        changed = OFFSET.resized(2**power, None)
        if changed is None:
            break
        sizes.append(dict(changed[0].params(None))["limit"])
    assert sizes == [10, 5, 2, 1]
    for fixed in (ByNumber("page", None, 10), ByCursor("cursor", ("next",)), ByLink(), OnePage()):
        assert fixed.resized(2, None) is None
