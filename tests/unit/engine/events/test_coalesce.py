"""What many events come down to."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.events.coalesce import Event, How, coalesce

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def event(number: int, kind: str = "record", key: str | None = "a", *, said: float | None = None) -> Event:
    """The `number`-th that came, a second after the one before."""
    return Event(
        UUID(int=number),
        kind,
        key,
        None if said is None else NOON + timedelta(seconds=said),
        NOON + timedelta(seconds=number),
        0,
        "r",
        b"{}" if kind == "full" else None,
    )


def test_many_of_one_record_are_one_piece_of_work_in_the_order_of_the_first() -> None:
    works = coalesce([event(1, key="b"), event(2), event(3, key="b"), event(4)], askable=True, believed=False)
    assert [(work.key, len(work.events)) for work in works] == [("b", 2), ("a", 2)]


def test_words_of_the_stream_alone_are_one_live_run() -> None:
    works = coalesce(
        [event(1, "stream", None), event(2), event(3, "stream", None)], askable=True, believed=False
    )
    assert [(work.how, work.key, len(work.events)) for work in works] == [("live", None, 2), ("ask", "a", 1)]


@pytest.mark.parametrize(
    ("kinds", "askable", "believed", "how"),
    [
        (["record"], True, False, "ask"),
        (["record"], False, False, "live"),
        (["full"], True, False, "take"),
        (["full"], False, False, "take"),
        (["full", "record"], True, False, "ask"),
        (["full", "record"], False, False, "live"),
        (["delete"], True, False, "ask"),
        (["delete"], True, True, "bury"),
        (["delete"], False, True, "bury"),
        (["delete"], False, False, "sweep"),
        (["full", "delete"], True, True, "ask"),
        (["full", "delete"], False, False, "sweep"),
        (["delete", "full"], False, True, "take"),
    ],
)
def test_what_is_done_follows_from_what_was_told(
    kinds: list[str], askable: bool, believed: bool, how: How
) -> None:
    told = [event(number, kind) for number, kind in enumerate(kinds, 1)]
    assert [work.how for work in coalesce(told, askable=askable, believed=believed)] == [how]


def test_the_newest_is_what_happened_last_and_not_what_came_last() -> None:
    told = [event(1, "delete", said=50.0), event(2, "full", said=40.0)]
    told = [Event(each.id, each.kind, each.key, each.said_at, NOON + timedelta(seconds=60), 0, "r", each.record) for each in told]  # fmt: skip
    assert [work.how for work in coalesce(told, askable=False, believed=True)] == ["bury"]


def test_nothing_happened_after_it_was_told() -> None:
    assert event(1, said=3600.0).at(0.0) == NOON + timedelta(seconds=1)
    assert event(100, said=60.0).at(20.0) == NOON + timedelta(seconds=40)


@given(
    st.lists(
        st.tuples(st.sampled_from(["record", "full", "delete", "stream"]), st.sampled_from("abc")),
        max_size=30,
    ),
    st.booleans(),
    st.booleans(),
)
def test_every_event_is_in_exactly_one_piece_of_work(
    told: list[tuple[str, str]], askable: bool, believed: bool
) -> None:
    events = [event(n, kind, None if kind == "stream" else key) for n, (kind, key) in enumerate(told)]
    works = coalesce(events, askable=askable, believed=believed)
    assert sorted(each.id.int for work in works for each in work.events) == list(range(len(told)))
    assert len({work.key for work in works}) == len(works)
