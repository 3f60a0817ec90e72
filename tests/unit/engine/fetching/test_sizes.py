"""Which size is asked for where pages prove too large or too slow, and when it grows again."""

import pytest
from servers.systems.paged import CURSOR, NUMBER, OFFSET, System, everything, extractor, keys

from worker.connectors.contract import Record, Window
from worker.connectors.paging.paging import Paging
from worker.engine.fetching.ahead import Ahead
from worker.engine.planning.plan import Plan
from worker.errors import NeedsOperator, Transient


@pytest.mark.parametrize("code", ["page_too_large", "timeout"])
@pytest.mark.parametrize("paging", [OFFSET, CURSOR, NUMBER])
def test_pages_that_are_too_much_are_asked_for_smaller_and_nothing_is_missed(
    ahead: Ahead, paging: Paging, code: str
) -> None:
    system = System(400, knows_total=True)

    whole = system.answer

    def answer(start: int, size: int) -> tuple[list[Record], int]:
        if start + size > 100 and size > 5:
            system.asked.append(start)
            raise (
                NeedsOperator(code, "too large") if code == "page_too_large" else Transient(code, "too slow")
            )
        return whole(start, size)

    system.answer = answer  # type: ignore[method-assign]
    reading = extractor(system, paging, ahead)
    pages = list(reading.pages(Plan(Window())))
    assert set(keys(pages)) == set(everything(system))
    assert keys(pages)[-400:] == everything(system)
    entry = next(step for step in reading._context.steps.as_json() if step["name"] == "page_size")
    assert entry["divisor"] == 2
    assert ahead.sizes.of(1, "parts").divisor == 2


def test_a_page_of_one_record_that_is_still_too_large_is_the_runs_error(ahead: Ahead) -> None:
    def no(_place: int, _times: int) -> None:
        raise NeedsOperator("page_too_large", "too large")

    system = System(400, lets=no)
    with pytest.raises(NeedsOperator):
        list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert system.sizes == [10, 5, 2, 1]


def test_a_system_that_is_away_is_not_waited_for_at_every_size(ahead: Ahead) -> None:
    def no(_place: int, _times: int) -> None:
        raise Transient("timeout", "too slow")

    system = System(400, lets=no)
    with pytest.raises(Transient):
        list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert system.sizes == [10, 5]
    with pytest.raises(Transient):
        list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert system.sizes == [10, 5, 2, 1], "what was learned is forgotten"


def test_a_numbered_window_that_goes_on_keeps_the_size_it_was_begun_with(ahead: Ahead) -> None:
    ahead.sizes.keep(1, "parts", ahead.sizes.of(1, "parts"))
    ahead.sizes.of(1, "parts").shrank(2)
    system = System(100, knows_total=True)
    list(extractor(system, NUMBER, ahead).pages(Plan(Window(), {"page": 3, "so_far": 20, "size": 10})))
    assert set(system.sizes) == {10}
    assert min(system.asked) == 20
    system.sizes.clear()
    list(extractor(system, NUMBER, ahead).pages(Plan(Window())))
    assert set(system.sizes) == {5}


def test_after_many_good_pages_they_are_asked_for_larger_again(ahead: Ahead) -> None:
    size = ahead.sizes.of(1, "parts")
    ahead.sizes.keep(1, "parts", size)
    size.shrank(2)
    system = System(1000, knows_total=True)
    pages = list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert keys(pages) == everything(system)
    assert system.sizes[0] == 5
    assert system.sizes[-1] == 10
    assert size.divisor == 1
