"""How late news comes, and how far a run looks back for it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.contract import Record
from worker.engine.planning.lateness import (
    Late,
    edge_of,
    grade_of,
    lateness_of,
    quantile,
    wanted_look_back,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def record(key: str, cursor: datetime | int | None) -> Record:
    return Record(key, b"{}", b"0" * 16, cursor=cursor)


@given(st.floats(1e-6, 1e9))
def test_a_class_holds_its_distances_and_is_a_fifth_wide(distance: float) -> None:
    grade = grade_of(distance)
    assert edge_of(grade - 1) * (1 - 1e-9) <= distance <= edge_of(grade) * (1 + 1e-9)
    assert edge_of(grade) / edge_of(grade - 1) == pytest.approx(2**0.25)


def test_late_is_what_was_written_behind_the_watermark_and_nothing_else() -> None:
    records = [record("late", NOW - timedelta(seconds=90)), record("unchanged", NOW - timedelta(seconds=80)),
               record("same", NOW), record("new", NOW + timedelta(seconds=5)), record("never", None)]  # fmt: skip
    assert lateness_of(records, NOW, ["late", "same", "new", "never"]) == [90.0]
    assert lateness_of([record("a", 40), record("b", 50)], 50, ["a", "b"]) == [10.0]


def test_nothing_late_asks_for_nothing() -> None:
    assert wanted_look_back([]) == 0.0


def test_all_but_one_in_a_thousand_and_half_as_much_again() -> None:
    seen = [Late(grade_of(10), 9990, 3600), Late(grade_of(1000), 9, 3600)]
    assert 10 <= wanted_look_back(seen) / 1.5 <= 12
    assert quantile(seen, 1.0) == pytest.approx(edge_of(grade_of(1000)))


@pytest.mark.parametrize(("distance", "doubles"), [(290, True), (245, True), (150, False)])
def test_what_comes_near_the_edge_doubles_the_look_back_at_once(distance: float, doubles: bool) -> None:
    """However many came in time: what came beyond the edge was not seen."""
    wanted = wanted_look_back([Late(grade_of(1), 10**6, 300.0), Late(grade_of(distance), 1, 300.0)])
    assert (wanted == 600.0) is doubles


@given(st.floats(1.0, 80_000.0))
def test_it_widens_until_all_that_comes_late_is_within_it(lateness: float) -> None:
    """A model: every run brings records of all degrees of lateness, and sees those within its look-back."""
    look_back = 60.0
    seen: dict[int, tuple[int, float]] = {}
    for _ in range(16):
        for distance in (lateness * 0.85**degree for degree in range(60)):
            if distance < look_back:
                records, within = seen.get(grade_of(distance), (0, look_back))
                seen[grade_of(distance)] = (records + 1, min(within, look_back))
        look_back = max(60.0, wanted_look_back([Late(grade, *held) for grade, held in seen.items()]))
    assert lateness < look_back <= max(120.0, 4 * lateness)
