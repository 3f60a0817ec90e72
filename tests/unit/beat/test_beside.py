"""Sweeps beside the rounds: one after the other, and nobody waits for them."""

import threading
from typing import Any, cast

import pytest
import structlog

from scheduler.beat.beside import Beside
from scheduler.beat.upkeep.sweeps import SWEEPS
from worker.errors import Transient
from worker.services import Services

SERVICES = cast("Services", None)


def test_who_asks_for_a_sweep_does_not_wait_for_it_and_it_waits_once() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    done: list[str] = []

    def slow(_: Services) -> None:
        begun.set()
        assert go_on.wait(20)
        done.append("slow")

    def quick(_: Services) -> None:
        done.append("quick")

    def last(_: Services) -> None:
        ended.set()

    beside = Beside()
    ask, ask_quick = beside.sweep("slow", slow), beside.sweep("quick", quick)
    ask(SERVICES)
    assert begun.wait(20)
    for _ in range(3):
        ask_quick(SERVICES)  # beside nothing, and not three times
    assert done == []
    beside.sweep("last", last)(SERVICES)
    go_on.set()
    assert ended.wait(20)
    assert done == ["slow", "quick"]


def test_one_that_fails_keeps_no_other_from_being_done() -> None:
    ended = threading.Event()

    def fails(_: Services) -> None:
        raise Transient("database_unavailable", "A lock is held.")

    def breaks(_: Services) -> None:
        raise ValueError

    beside = Beside()
    with structlog.testing.capture_logs() as logs:
        for name, run in (("fails", fails), ("breaks", breaks), ("last", lambda _: ended.set())):
            beside.sweep(name, run)(SERVICES)
        assert ended.wait(20)
    assert [(entry["event"], entry["sweep"]) for entry in logs] == [
        ("sweep_failed", "fails"),
        ("sweep_failed", "breaks"),
    ]


@pytest.mark.parametrize("name", ["retention", "removals", "fields", "room", "retries"])
def test_what_reads_much_is_not_done_in_the_rounds(name: str) -> None:
    sweep: Any = next(sweep for sweep in SWEEPS if sweep.name == name)
    assert sweep.run.__qualname__.startswith("Beside.")
