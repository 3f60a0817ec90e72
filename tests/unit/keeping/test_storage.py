"""How a database grows, and when its disk is full."""

import pytest

from scheduler.keeping.storage import DAY, Disk, Room, growth, in_words, size

GB = 1024**3


def test_growth_is_the_line_through_the_samples() -> None:
    assert growth([(n * 3600.0, 100 + 10 * n) for n in range(25)]) == pytest.approx(240)
    assert growth([(0.0, 100), (DAY, 90), (2 * DAY, 80)]) == pytest.approx(-10)


def test_from_few_hours_nothing_is_told() -> None:
    assert growth([(n * 600.0, 10**9 * n) for n in range(10)]) is None
    assert growth([(0.0, 1), (DAY, 2)]) is None
    assert growth([]) is None


@pytest.mark.parametrize(
    ("free", "grows", "little"),
    [
        (11, None, False),
        (9, None, True),
        (50, 8.0, True),
        (50, 7.0, False),
        (50, -1.0, False),
        (50, 0.0, False),
    ],
)
def test_room_is_little_below_a_tenth_or_a_week(free: int, grows: float | None, little: bool) -> None:
    room = Room(GB, Disk(100 * GB, free * GB), None if grows is None else grows * GB)
    assert room.is_little is little


def test_of_a_disk_that_cant_be_seen_nothing_is_claimed() -> None:
    room = Room(5 * GB, None, 10.0 * GB)
    assert not room.is_little
    assert room.days_left is None
    assert (
        in_words(room)
        == "database 5.0 GB, the disk of its server can't be seen from here, grows by 10.0 GB a day"
    )


def test_a_disk_is_told_in_words() -> None:
    assert (
        in_words(Room(5 * GB, Disk(100 * GB, 20 * GB), 4.0 * GB))
        == "database 5.0 GB, 20.0 GB (20 %) of its disk free, full in about 5 days at this pace"
    )


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (2048, "2.0 kB"), (3 * GB, "3.0 GB"), (2.5 * 1024 * GB, "2.5 TB")]
)
def test_sizes_read_well(count: float, words: str) -> None:
    assert size(count) == words
