"""In which size a run's pages are asked for, and what becomes of its place."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker.connectors.contract import Position, Stream, Window
from worker.engine.fetching.sizes import CROWDING, TOO_LARGE, PageSizes
from worker.engine.fetching.sizing import Sizing
from worker.engine.planning.plan import Plan
from worker.errors import NeedsOperator
from worker.http.sender import CallContext
from worker.telemetry.steps import Steps

PLAN = Plan(Window(), {"page": 7})


class Pages:
    """A stream whose places can't be kept in another size, unless it says so."""

    name = "parts"

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps

    def resized(self, divisor: int, position: Position | None) -> tuple[Any, Position | None]:
        return f"in parts of {divisor}", position if self._keeps else None


@pytest.fixture
def sizes() -> PageSizes:
    return PageSizes()


def sizing(sizes: PageSizes, *, keeps: bool) -> Sizing:
    context = SimpleNamespace(connection_id=1, steps=Steps())
    return Sizing(cast(CallContext, context), sizes, cast(Stream, Pages(keeps=keeps)))


def test_a_page_that_was_too_large_is_asked_for_smaller_from_where_it_stands(sizes: PageSizes) -> None:
    found = sizing(sizes, keeps=True)
    assert found.less(PLAN, NeedsOperator(TOO_LARGE, "No.")) == PLAN
    assert cast(Any, found.stream) == "in parts of 2"
    later = sizing(sizes, keeps=True)
    assert later.remembered(PLAN) == PLAN
    assert cast(Any, later.stream) == "in parts of 2", "remembered for the next run"


def test_where_its_place_cannot_be_kept_the_window_begins_anew(sizes: PageSizes) -> None:
    assert sizing(sizes, keeps=False).less(PLAN, NeedsOperator(TOO_LARGE, "No.")).position is None


def test_a_page_that_crowds_out_others_is_not_worth_a_window_from_its_beginning(sizes: PageSizes) -> None:
    """The place is in the old size: it must be asked for in that."""
    found = sizing(sizes, keeps=False)
    before = found.stream
    found.came(CROWDING + 1)
    assert found.another(PLAN) == PLAN
    assert found.stream is before


def test_one_that_can_be_kept_gives_way(sizes: PageSizes) -> None:
    found = sizing(sizes, keeps=True)
    found.came(CROWDING + 1)
    assert found.another(PLAN) == PLAN
    assert cast(Any, found.stream) == "in parts of 2"
