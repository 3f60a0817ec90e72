"""Positions: what they say, and who may go on from one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import InvalidInput
from worker.feed.epoch import same_cluster, unreadable
from worker.feed.position import (
    MOST_SEQ,
    MOST_XID,
    Feed,
    Place,
    Position,
    going_on,
    is_expired,
    parse_position,
)

PLACES = st.builds(Place, st.just(2), st.integers(0, MOST_XID), st.integers(0, MOST_SEQ))
FEED = Feed(epoch=2, floor=Place(2, 100, 5), horizon=900, end=Place(2, 850, 3))


@given(PLACES, st.none() | PLACES)
def test_a_position_is_read_as_it_was_written(place: Place, began: Place | None) -> None:
    position = Position(place, began)
    assert parse_position(str(position)) == position


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "1.2.3.4", "1.2.3-", "1.2.3-4", "-1.2.3", "1.2.3 ", "1.2.٣", "9999999999.1.1", f"1.{2**64}.1",
     f"1.1.{2**63}", "1.2.3-4.5-6.7", "\x00"],
)  # fmt: skip
def test_what_was_never_given_out_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_position(text)
    assert refusal.value.code == "bad_position"


def test_who_has_passed_the_floor_goes_on() -> None:
    for place in (Place(2, 100, 5), Place(2, 100, 6), Place(2, 899, 0)):
        assert going_on(Position(place), FEED) == Position(place)


def test_who_has_not_come_to_the_floor_begins_again() -> None:
    for place in (Place(2, 100, 4), Place(2, 0, 0), Place(1, 5000, 1)):
        assert is_expired(Position(place), FEED)
        with pytest.raises(InvalidInput) as refusal:
            going_on(Position(place), FEED)
        assert refusal.value.code == "position_expired"


def test_who_began_after_the_floor_may_be_before_it() -> None:
    assert going_on(Position(Place(2, 3, 1), began=Place(2, 100, 5)), FEED)
    with pytest.raises(InvalidInput):
        going_on(Position(Place(2, 3, 1), began=Place(2, 100, 4)), FEED)


def test_in_a_new_epoch_an_old_position_begins_at_the_beginning() -> None:
    feed = Feed(epoch=2, floor=Place(1, 100, 5), horizon=20, end=Place(2, 15, 3))
    assert going_on(Position(Place(1, 5000, 7)), feed) == Position(Place(2, 0, 0))
    assert is_expired(Position(Place(1, 99, 7)), feed)


def test_a_place_that_is_not_there_yet_is_refused() -> None:
    for position in (
        Position(Place(2, 900, 0)),
        Position(Place(3, 1, 1)),
        Position(Place(2, 200, 0), Place(2, 950, 1)),
    ):
        with pytest.raises(InvalidInput) as refusal:
            going_on(position, FEED)
        assert refusal.value.code == "bad_position"


def test_a_snapshot_remembers_where_it_began_until_it_has_come_there() -> None:
    start = FEED.snapshot
    assert start == Position(Place(2, 0, 0), Place(2, 850, 3))
    assert start.moved(Place(2, 40, 1)).began == Place(2, 850, 3)
    assert start.moved(Place(2, 850, 3)).began is None
    empty = Feed(epoch=1, floor=Place(0, 0, 0), horizon=9, end=Place(1, 0, 0))
    assert empty.snapshot == Position(Place(1, 0, 0))


def test_a_cluster_is_another_where_anything_known_differs() -> None:
    assert same_cluster("7/00000001/5/9", "7/00000001/5/9")
    for other in ("8/00000001/5/9", "7/00000002/5/9", "7/00000001/6/9", "7/00000001/5/8"):
        assert not same_cluster("7/00000001/5/9", other)
    assert not same_cluster(None, "7/00000001/5/9")


def test_what_a_server_keeps_to_itself_says_nothing_and_is_said() -> None:
    assert same_cluster("-/00000001/5/9", "7/00000001/5/9")
    assert same_cluster("7/00000001/5/9", "-/-/5/9")
    assert not same_cluster("-/-/5/9", "-/-/5/10")
    assert len(unreadable("-/-/5/9")) == 2
    assert unreadable("7/00000001/5/9") == []
