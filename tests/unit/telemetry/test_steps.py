"""Steps stay small, go on after a run was given back, and lose no time."""

import json
from threading import Thread
from time import perf_counter

import pytest

from worker.telemetry.steps import ONE_BY_ONE, Steps


def test_steps_stand_in_their_order_with_their_counts() -> None:
    steps = Steps()
    steps.add("budget", 0.0123449)
    with steps.step("request", status=200) as step:
        step.counts["bytes"] = 512

    budget, request = steps.as_json()

    assert budget == {"name": "budget", "ms": 12.3, "n": 1}
    assert request["status"] == 200
    assert request["bytes"] == 512
    assert request["ms"] >= 0


def test_a_step_that_fails_is_noted_too() -> None:
    steps = Steps()
    with pytest.raises(ZeroDivisionError), steps.step("load"):
        raise ZeroDivisionError

    assert [entry["name"] for entry in steps.as_json()] == ["load"]


def test_many_steps_are_summed_up_by_name_and_no_time_is_lost() -> None:
    steps = Steps()
    for number in range(1000):
        steps.add("request", 0.001, status=200 if number % 2 else 201, bytes=10)
        steps.add("load", 0.002, records=5)

    entries = steps.as_json()

    assert len(entries) == ONE_BY_ONE + 2
    assert sum(entry["n"] for entry in entries) == 2000
    assert sum(entry["ms"] for entry in entries) == pytest.approx(3000)
    assert sum(entry.get("bytes", 0) for entry in entries) == 10_000
    assert entries[-2]["status"] == 200, "a status is no sum"
    assert entries[-1]["max_ms"] == 2.0


def test_what_is_kept_is_bounded_whatever_is_added() -> None:
    steps = Steps()
    for number in range(500):
        steps.add(f"{number}-" + "n" * 500, 123456.789, **{f"{key}-{'k' * 99}": 1e300 for key in range(20)})

    entries = steps.as_json()

    assert len(entries) <= 64
    assert len(json.dumps(entries)) <= 8_000
    assert sum(entry["n"] for entry in entries) == 500


def test_a_run_that_was_given_back_goes_on_where_it_left_off() -> None:
    first = Steps()
    for _ in range(60):
        first.add("request", 0.5, bytes=7)
    second = Steps().merge(json.loads(json.dumps(first.as_json())))
    second.add("request", 1.0, bytes=7)

    entries = second.as_json()

    assert sum(entry["n"] for entry in entries) == 61
    assert sum(entry["ms"] for entry in entries) == pytest.approx(31_000)
    assert sum(entry["bytes"] for entry in entries) == 61 * 7
    assert entries[-1]["max_ms"] == 1000.0
    assert Steps().merge(first.as_json()).as_json() == first.as_json()


@pytest.mark.parametrize(
    "bad", [None, [], [None], ["x"], [{}], [{"name": 5}], [{"name": "a", "ms": "x", "n": None}]]
)
def test_what_can_not_be_read_is_left_out(bad: list[dict[str, object]] | None) -> None:
    assert len(Steps().merge(bad).as_json()) <= 1


def test_two_threads_may_add_at_once() -> None:
    steps = Steps()

    def add() -> None:
        for _ in range(2000):
            steps.add("request", 0.001)

    threads = [Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(entry["n"] for entry in steps.as_json()) == 8000


def test_a_step_costs_next_to_nothing() -> None:
    """Far above what it takes (1 to 2 microseconds), so that a busy machine doesn't fail it."""
    steps = Steps()
    start = perf_counter()
    for _ in range(5000):
        with steps.step("parse"):
            pass

    assert (perf_counter() - start) / 5000 < 50e-6
