"""Delays, shares of time and the environment of a part: plain decisions."""

import os
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.embedded.supervisor.parts import (
    SUPERVISED_MARK,
    _import_path,
    headrace_command,
    part_environment,
    restart_delay,
    share_out,
)

HOME = Path("/somewhere/.headrace")


def test_a_part_waits_twice_as_long_after_each_death_up_to_half_a_minute() -> None:
    assert [restart_delay(deaths) for deaths in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


@given(st.integers(min_value=0, max_value=10**9))
def test_no_number_of_deaths_makes_a_delay_absurd(deaths: int) -> None:
    assert 1 <= restart_delay(deaths) <= 30


@given(st.lists(st.floats(min_value=0.1, max_value=100)), st.floats(min_value=-5, max_value=60))
def test_shares_fit_into_the_total_and_never_grow(timeouts: list[float], total: float) -> None:
    shares = share_out(timeouts, total)
    assert sum(shares) <= max(total, 0) + 1e-6
    assert all(0 <= share <= timeout for share, timeout in zip(shares, timeouts, strict=True))


def test_enough_time_is_left_as_it_is() -> None:
    assert share_out([3.0, 4.0], 9.0) == [3.0, 4.0]


def test_a_part_knows_its_home_and_carries_the_mark() -> None:
    environment = part_environment(
        {"HEADRACE_HOME": "elsewhere", "KEPT": "yes"}, HOME, {"HEADRACE_PORT": "8788"}
    )
    assert environment["HEADRACE_HOME"] == environment[SUPERVISED_MARK] == str(HOME)
    assert (environment["KEPT"], environment["HEADRACE_PORT"]) == ("yes", "8788")


@pytest.mark.parametrize("inherited", ["", ".", "relative", f".{os.pathsep}", os.pathsep])
def test_a_relative_import_path_is_dropped(inherited: str) -> None:
    """It would bring back the folder that -P shuts out."""
    entries = part_environment({"PYTHONPATH": inherited}, HOME, {})["PYTHONPATH"].split(os.pathsep)
    assert all(Path(entry).is_absolute() for entry in entries)


def test_running_from_a_tree_our_own_code_comes_before_what_was_inherited() -> None:
    assert _import_path("/theirs", Path("/tree")) == os.pathsep.join(["/tree", "/theirs"])


def test_installed_nothing_is_put_before_the_standard_library() -> None:
    assert _import_path("/theirs", Path(sysconfig.get_path("purelib")).resolve()) == "/theirs"


def test_our_command_does_not_look_into_the_folder_it_is_started_in() -> None:
    assert headrace_command("beat")[1:] == ("-P", "-m", "scheduler.cli", "beat")
