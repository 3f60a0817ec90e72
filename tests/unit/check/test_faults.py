"""A double's own mistakes: told as such, with their place, before a connector is blamed for them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from scheduler.connectors.check import Answer, Call, Carried, Double, Table
from scheduler.connectors.check.double.faults import Fault
from scheduler.connectors.check.double.vetting import misspelt, vet
from scheduler.connectors.check.outcome import Outcome
from scheduler.connectors.check.report import Report, rows_of
from scheduler.connectors.check.suite import judged
from worker.errors import InvalidInput

PASSED = Outcome("resume", "passed", "3 stops")
BROKEN = Outcome("resume", "failed", expected="an end", came="none")
FAULT = Fault("answer", "NameError: name 'roes' is not defined", "double.py:31")


class Pumps(Double):
    """What a stranger wrote."""

    system = "pumps"
    tables: ClassVar[Mapping[str, Table]] = {"pumps": Table()}
    raises: ClassVar[Exception | None] = None
    body: ClassVar[Any] = {}

    def answer(self, call: Call) -> Answer:
        if self.raises is not None:
            raise self.raises
        return Answer(body=self.body)


def asked(double: Double) -> Answer:
    found = double._say(Call("GET", "/pumps", "", {}, b""))
    assert found is not None
    return found


def playing(**said: Any) -> Double:
    kind: type[Double] = type("Pumps", (Pumps,), {**said, "__module__": __name__})
    return kind()


@pytest.mark.parametrize(
    ("raised", "status", "refuses", "doubtful"),
    [
        (ValueError("no time"), 400, True, False),
        (KeyError("grant_type"), 400, False, True),
        (TypeError("not subscriptable"), 400, False, True),
        (NameError("name 'roes' is not defined"), 500, False, False),
        (ZeroDivisionError("division by zero"), 500, False, False),
    ],
)
def test_what_answer_raises_is_kept_with_its_line(
    raised: Exception, status: int, *, refuses: bool, doubtful: bool
) -> None:
    double = playing(raises=raised)
    assert asked(double).status == status
    (fault,) = double.faults
    assert (fault.refuses, fault.doubtful) == (refuses, doubtful)
    assert fault.words.startswith(f"your double failed in answer(): {type(raised).__name__}: ")
    assert "(test_faults.py:" in fault.words


def test_a_body_that_is_no_json_is_the_double_s_mistake() -> None:
    double = playing(body={"at": object()})
    assert asked(double).status == 500
    assert "in answer(): TypeError: Object of type object is not JSON serializable" in double.faults[0].words


def test_an_answer_that_is_none_is_the_double_s_mistake() -> None:
    double = playing(answer=lambda _, call: {"items": [call.path]})
    assert asked(double).status == 500
    assert double.faults[0].error == "TypeError: it gave dict, and no Answer"


@pytest.mark.parametrize(
    ("found", "fault", "mark"),
    [
        (PASSED, FAULT, "faulty"),
        (BROKEN, FAULT, "faulty"),
        (PASSED, replace(FAULT, doubtful=True), "passed"),
        (BROKEN, replace(FAULT, doubtful=True), "faulty"),
        (PASSED, replace(FAULT, refuses=True), "passed"),
        (BROKEN, replace(FAULT, refuses=True), "failed"),
    ],
)
def test_whose_fault_it_is_depends_on_what_was_raised(found: Outcome, fault: Fault, mark: str) -> None:
    assert judged(found, [fault]).mark == mark


def test_what_a_double_could_not_read_is_told_beside_the_broken_promise() -> None:
    found = judged(BROKEN, [replace(FAULT, refuses=True)])
    assert (
        found.came
        == "none (the double answered 400 in answer(): NameError: name 'roes' is not defined, double.py:31)"
    )


def test_a_report_tells_broken_promises_from_a_double_that_failed() -> None:
    faulty = judged(PASSED, [FAULT])
    report = Report("pumps", "Pumps", "double", rows_of({"resume": "It goes on."}, [faulty]))
    assert (report.kept, report.faulty) == (False, ["resume"])
    assert report.summary == "Pumps: the double itself failed in resume."
    assert "double.py:31" in report.failures()[0]
    assert "**the double failed**" in report.markdown()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("complaint", "complaints"),
        ("admit", "admits"),
        ("isLogin", "is_login"),
        ("setting", "settings"),
        ("refuse", "refused"),
        ("renders", "render"),
    ],
)
def test_a_misspelt_method_is_told_with_the_name_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(
        InvalidInput, match=f"Nothing asks a double for '{name}'. Did you mean '{meant}'"
    ) as caught:
        vet(type(playing(**{name: lambda _: ()})), ["pumps"])
    assert "test_faults.py:" in str(caught.value.place)


@pytest.mark.parametrize("name", ["_complaint", "by_plant", "listed", "orders_of", "deliver"])
def test_methods_of_one_s_own_are_left_alone(name: str) -> None:
    assert not list(misspelt(type(playing(**{name: lambda _: ()}))))


def test_a_stream_without_a_table_is_told() -> None:
    with pytest.raises(InvalidInput, match="no table for valves") as caught:
        vet(Pumps, ["pumps", "valves"])
    assert str(caught.value.place).startswith("test_faults.py:")


def test_what_a_double_must_say_is_told() -> None:
    class Bare(Double):
        system = "bare"

    class Silent(Carried):
        system = "silent"
        tables: ClassVar[Mapping[str, Table]] = {}

    with pytest.raises(InvalidInput, match="says its `tables`, and Bare doesn't"):
        vet(Bare, [])
    with pytest.raises(InvalidInput, match="says its `transport`, and Silent doesn't"):
        vet(Silent, [])
