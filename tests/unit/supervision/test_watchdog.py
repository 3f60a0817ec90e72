"""Where does a process go after each look? Decided without threads and clocks."""

import subprocess
import sys
from pathlib import Path

import pytest

from worker.supervision.ending import HUNG, RECYCLED, UNDRAINED, exit_words
from worker.supervision.watchdog import Course, Look, steer

ROOT = Path(__file__).parents[3]
KEPT = """
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from worker.supervision import watchdog
from worker.db.database import Database
from worker.runs.leases import Leases

watchdog.SEE_OFF_WITHIN = 0.1
never = Event()
ThreadPoolExecutor(1).submit(never.wait)
database = Database("postgresql://nobody@127.0.0.1:1/nowhere", name="test")
watchdog.Watchdog(Leases(database, lease=90), database, most_megabytes=0, stop_within=45).see_off(75)
"""
"""A process whose work is done, and in which a thread waits for something that never comes."""
WELL = {"hung": 0, "others": 0, "megabytes": 100.0, "orphaned": False, "told_to_stop": False}


def course_after(course: Course, now: float, **seen: object) -> Course:
    return steer(course, Look(**{**WELL, **seen}), now, most_megabytes=1000, stop_within=20)  # type: ignore[arg-type]


def test_a_process_that_is_well_works_on() -> None:
    assert course_after(Course(), 5, others=16) == Course()


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        ({"hung": 1}, HUNG),
        ({"megabytes": 1001.0}, RECYCLED),
        ({"orphaned": True}, 0),
        ({"told_to_stop": True}, 0),
        ({"hung": 1, "told_to_stop": True}, HUNG),
    ],
)
def test_it_drains_for_each_reason_with_a_code_of_its_own(seen: dict[str, object], code: int) -> None:
    course = course_after(Course(), 5, **seen)
    assert (course.draining_since, course.code, course.over) == (5, code, False)


def test_while_the_neighbours_of_a_run_that_hangs_drain_it_waits_for_them() -> None:
    course = course_after(Course(), 5, hung=1, others=3)
    assert not course_after(course, 10, hung=1, others=1).over
    assert course_after(course, 11, hung=1, others=0).over


def test_it_waits_for_nobody_longer_than_a_stop_may_take() -> None:
    course = course_after(Course(), 5, told_to_stop=True)
    assert not course_after(course, 24.9, told_to_stop=True, others=1).over
    late = course_after(course, 25, told_to_stop=True, others=1)
    assert (late.over, late.code) == (True, UNDRAINED)


def test_a_run_that_hangs_while_it_drains_is_what_it_ends_with() -> None:
    course = course_after(Course(), 5, told_to_stop=True)
    assert course_after(course, 9, told_to_stop=True, hung=1).code == HUNG


def test_a_bound_of_zero_lets_it_grow() -> None:
    look = Look(**{**WELL, "megabytes": 1e6})  # type: ignore[arg-type]
    assert steer(Course(), look, 5, most_megabytes=0, stop_within=20) == Course()


def test_exit_codes_are_said_in_words() -> None:
    assert exit_words(-9) == "SIGKILL (out of memory?)"
    assert exit_words(-11) == "SIGSEGV"
    assert "hung" in exit_words(HUNG)
    assert exit_words(3) == "exit code 3"


def test_a_thread_that_never_comes_back_does_not_keep_a_process_that_is_done() -> None:
    ended = subprocess.run([sys.executable, "-c", KEPT], cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == 75
