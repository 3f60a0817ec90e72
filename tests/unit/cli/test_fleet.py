"""How much of a machine may we use, and what do we make of it?"""

from pathlib import Path
from typing import cast

import pytest

from scheduler.cli.fleet.machine import MEBIBYTE, Machine, measured
from scheduler.cli.fleet.member import Member
from scheduler.cli.fleet.sizes import choose
from scheduler.embedded.supervisor.processes import Child
from worker.config import Settings
from worker.supervision.ending import RECYCLED

LARGE = 64 * 1024 * MEBIBYTE


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def look(root: Path, *, installed: int = 16, affinity: int | None = None) -> Machine:
    return measured(root, installed=installed, affinity=affinity, memory=LARGE)


def test_without_control_groups_the_machine_is_ours(tmp_path: Path) -> None:
    assert look(tmp_path) == Machine(16, LARGE, "machine")


def test_an_affinity_narrows_it(tmp_path: Path) -> None:
    assert look(tmp_path, affinity=3) == Machine(3, LARGE, "affinity")


@pytest.mark.parametrize(("said", "cpus"), [("200000 100000", 2), ("150000 100000", 2), ("20000 100000", 1)])
def test_a_quota_narrows_it_and_half_a_cpu_counts_as_one(tmp_path: Path, said: str, cpus: int) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/pod/worker\n", "sys/fs/cgroup/pod/worker/cpu.max": f"{said}\n"})
    assert look(tmp_path) == Machine(cpus, LARGE, "cgroup")


def test_the_tightest_group_around_us_counts(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/worker\n",
            "sys/fs/cgroup/pod/worker/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pod/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/pod/worker/memory.max": "max\n",
            "sys/fs/cgroup/memory.max": f"{512 * MEBIBYTE}\n",
        },
    )
    assert look(tmp_path) == Machine(4, 512 * MEBIBYTE, "cgroup")


def test_control_groups_of_version_one_are_understood(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/a\n5:memory:/docker/a\n",
            "sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert look(tmp_path) == Machine(3, LARGE, "cgroup")


@pytest.mark.parametrize(("said", "ours"), [(128 * 1024, 64 * 1024), (8 * 1024, 8 * 1024)])
def test_a_limit_beyond_what_is_there_is_none(tmp_path: Path, said: int, ours: int) -> None:
    write(
        tmp_path,
        {"proc/self/cgroup": "0::/pod\n", "sys/fs/cgroup/pod/memory.max": f"{said * MEBIBYTE}\n"},
    )
    assert look(tmp_path).memory == ours * MEBIBYTE


def test_memory_beyond_which_everything_is_slowed_down_is_not_ours(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod\n",
            "sys/fs/cgroup/pod/memory.max": f"{1024 * MEBIBYTE}\n",
            "sys/fs/cgroup/pod/memory.high": f"{768 * MEBIBYTE}\n",
        },
    )
    assert look(tmp_path).memory == 768 * MEBIBYTE


@pytest.mark.parametrize(("cpus", "main", "bulk"), [(1, 1, 1), (2, 2, 1), (4, 4, 2), (16, 16, 8)])
def test_there_is_a_process_for_each_cpu_and_half_as_many_for_bulk(cpus: int, main: int, bulk: int) -> None:
    sizes = choose(Machine(cpus, LARGE, "machine"), Settings(), "all")
    assert (sizes.main, sizes.bulk) == (main, bulk)


def test_little_memory_means_fewer_processes_of_both_kinds() -> None:
    sizes = choose(Machine(16, 1024 * MEBIBYTE, "machine"), Settings(), "all")
    assert (sizes.main, sizes.bulk) == (4, 2)
    assert "memory" in sizes.why


def test_what_is_set_counts_and_a_lane_alone_has_no_process_of_the_other() -> None:
    sizes = choose(Machine(16, LARGE, "machine"), Settings(processes=3, concurrency=64), "main")
    assert (sizes.main, sizes.bulk, sizes.slots) == (3, 0, 192)
    assert "as set" in sizes.why


def test_each_process_takes_its_pool_and_one_connection_for_its_leases() -> None:
    sizes = choose(Machine(16, LARGE, "machine"), Settings(), "all")
    assert sizes.connections(4) == 120


class Ended:
    """A child that has ended."""

    def __init__(self, exit_code: int | None) -> None:
        self.exit_code = exit_code
        self.pid = 1

    @property
    def alive(self) -> bool:
        return self.exit_code is None


def member(*codes: int | None) -> Member:
    lives = iter(codes)
    made = Member("main-1", lambda: cast("Child", Ended(next(lives))))
    made.start(0.0)
    return made


def test_one_that_crashes_again_and_again_is_started_ever_later() -> None:
    crashing = member(-9, -9, None)
    assert crashing.tend(1.0) is None
    assert crashing.lives == 1
    crashing.tend(2.0)
    assert crashing.lives == 2
    crashing.tend(3.0)
    crashing.tend(4.9)
    assert crashing.lives == 2
    crashing.tend(5.0)
    assert crashing.lives == 3


def test_one_that_cannot_be_started_again_is_tried_later_and_costs_no_other() -> None:
    """Where a process was ended for want of memory, there is often none to start another with."""
    lives: list[Ended | OSError] = [Ended(-9), OSError("Cannot allocate memory"), OSError("no"), Ended(None)]

    def launch() -> Child:
        life = lives.pop(0)
        if isinstance(life, OSError):
            raise life
        return cast("Child", life)

    unlucky = Member("main-1", launch)
    unlucky.start(0.0)
    for now in (1.0, 2.0, 4.0):  # it died, could not be started a second later, nor two seconds after that
        assert unlucky.tend(now) is None
    assert (unlucky.child, unlucky.lives) == (None, 1)
    unlucky.tend(7.9)
    assert unlucky.child is None
    unlucky.tend(8.0)
    assert (unlucky.child is not None, unlucky.lives) == (True, 2)


def test_one_that_grew_too_large_is_replaced_at_once() -> None:
    grown = member(RECYCLED, RECYCLED, None)
    grown.tend(100.0)
    assert grown.lives == 2
    grown.tend(101.0)
    assert grown.lives == 2, (
        "too large at once: a bound that can't be kept must not start processes without end"
    )


def test_an_error_before_any_process_stood_is_for_whoever_started_us_and_later_it_is_not() -> None:
    assert member(1).tend(1.0, stood=False) == 1
    assert member(1, None).tend(1.0, stood=True) is None
