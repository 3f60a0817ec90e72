"""What a double keeps of its records, and how a report words what was seen."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from scheduler.connectors.check import Double, Table
from scheduler.connectors.check.report import Report
from worker.connectors.reading.keys import make_key
from worker.parsing.wording import counted


def content(number: int) -> dict[str, Any]:
    return {"site": f"S{number % 2}", "name": f"Bin {number}"}


class Bins(Double):
    system = "bins"
    tables: ClassVar[Mapping[str, Table]] = {
        "bins": Table(key="bin", keyed=("site", "bin"), content=content, changed=None)
    }


def test_a_record_can_be_named_by_several_of_its_fields() -> None:
    bins = Bins()
    assert bins.create("bins", 2) == ['["S1",1]', '["S0",2]']
    shown = bins.truth("bins")['["S0",2]']
    assert make_key([shown["site"], shown["bin"]]) == '["S0",2]'
    bins.delete("bins", '["S0",2]')
    assert list(bins.truth("bins")) == ['["S1",1]']


def test_such_a_record_is_found_by_its_key_or_by_what_the_fields_hold() -> None:
    bins = Bins()
    bins.create("bins", 2)
    for key in (['["S0",2]'], ["S0", "2"], ["S0", 2]):
        found = bins.row("bins", *key)
        assert found is not None
        assert found.number == 2
    assert bins.row("bins", "S1", "2") is None


@pytest.mark.parametrize(("number", "words"), [(0, "0 pages"), (1, "1 page"), (2, "2 pages")])
def test_one_is_not_told_as_several(number: int, words: str) -> None:
    assert counted(number, "page") == words


@pytest.mark.parametrize(
    ("tried", "is_real", "words"),
    [
        ((), False, "a double; never a trial on a live system"),
        (("Pumps 7",), False, "a double"),
        ((), True, "a double"),
    ],
)
def test_only_what_was_never_tried_is_told_so(tried: tuple[str, ...], words: str, *, is_real: bool) -> None:
    report = Report("pumps", "Pumps", "double", (), tried, "a double", is_real)
    assert report.checked_against == words
