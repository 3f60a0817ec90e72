"""The supervisor starts, revives and ends real processes, and leaves none, whatever happens to it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from servers.waiting import wait_until

from scheduler.embedded.postgres.server import EmbeddedPostgres
from scheduler.embedded.supervisor.parts import (
    SUPERVISED_MARK,
    Part,
    PartState,
    State,
    headrace_command,
    python_command,
)
from scheduler.embedded.supervisor.processes import processes_in
from scheduler.embedded.supervisor.supervisor import Supervisor
from scheduler.embedded.valkey import EmbeddedValkey
from worker.errors import NeedsOperator

pytestmark = pytest.mark.integration

SLEEP = "import threading; print('up', flush=True); threading.Event().wait(300)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP
WITH_CHILD = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import threading; threading.Event().wait(300)'])\n"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def changes() -> list[tuple[str, State]]:
    return []


@pytest.fixture
def supervisor(home: Path, changes: list[tuple[str, State]]) -> Iterator[Supervisor]:
    def note(part: Part, state: PartState) -> None:
        changes.append((part.name, state.state))

    with Supervisor(home, on_change=note) as supervisor:
        yield supervisor
    assert marked(home) == []


def python_part(name: str, code: str, **more: object) -> Part:
    return Part(name, argv=python_command("-c", code), **more)  # type: ignore[arg-type]


def marked(home: Path) -> list[int]:
    """Every process that belongs to a supervisor of this home."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.environ().get(SUPERVISED_MARK) == str(home)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def state_of(supervisor: Supervisor, name: str) -> PartState:
    return next(state for state in supervisor.states() if state.name == name)


def pid_of(supervisor: Supervisor, name: str) -> int:
    pid = state_of(supervisor, name).pid
    assert pid is not None
    return pid


def test_groups_start_in_order_and_stop_in_reverse(
    supervisor: Supervisor, changes: list[tuple[str, State]], tmp_path: Path
) -> None:
    """The order of the list doesn't matter, only the groups."""
    flag = tmp_path / "ready"
    first = python_part("first", f"open({str(flag)!r}, 'w').close()\n{SLEEP}", ready=flag.exists)
    supervisor.start([python_part("second", SLEEP, group=1), first])
    assert changes.index(("first", State.RUNNING)) < changes.index(("second", State.STARTING))
    supervisor.start([python_part("third", SLEEP)])
    supervisor.stop()
    stopped = [name for name, state in changes if state is State.STOPPED]
    assert stopped == ["third", "second", "first"]
    assert [state.state for state in supervisor.states()] == [State.STOPPED] * 3


def test_a_part_that_dies_is_started_again(supervisor: Supervisor, changes: list[tuple[str, State]]) -> None:
    supervisor.start([python_part("worker", SLEEP), python_part("beat", SLEEP)])
    before, neighbour = pid_of(supervisor, "worker"), pid_of(supervisor, "beat")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: state_of(supervisor, "worker").state is State.RESTARTING)
    wait_until(lambda: state_of(supervisor, "worker").state is State.RUNNING)
    now = state_of(supervisor, "worker")
    assert now.pid not in {None, before}
    assert (now.restarts, now.last_exit) == (1, -signal.SIGKILL)
    assert pid_of(supervisor, "beat") == neighbour


def test_a_part_that_keeps_dying_is_started_ever_more_slowly(supervisor: Supervisor, tmp_path: Path) -> None:
    births = tmp_path / "births"
    code = f"import time; open({str(births)!r}, 'a').write(str(time.monotonic()) + chr(10))\n"
    supervisor.start([python_part("flapping", code + SLEEP)])

    def born() -> list[float]:
        return [float(line) for line in births.read_text().split()] if births.exists() else []

    for count in (1, 2, 3):
        wait_until(lambda count=count: len(born()) == count and state_of(supervisor, "flapping").pid, 15)  # type: ignore[misc]
        os.kill(pid_of(supervisor, "flapping"), signal.SIGKILL)
        wait_until(lambda: state_of(supervisor, "flapping").pid is None)
    first, second, third = born()[:3]
    assert second - first >= 1.0
    assert third - second >= 2.0


def test_a_part_that_fails_at_its_first_start_is_an_error_with_its_last_words(supervisor: Supervisor) -> None:
    broken = python_part("api", "print('port 8787 is taken'); raise SystemExit(3)", ready=lambda: False)
    with pytest.raises(
        NeedsOperator, match=r"(?s)api did not start.*exit code 3.*port 8787 is taken"
    ) as caught:
        supervisor.start([broken])
    assert caught.value.code == "part_failed"
    assert state_of(supervisor, "api").state is State.FAILED


def test_a_part_that_is_never_ready_is_an_error_and_ended(supervisor: Supervisor, home: Path) -> None:
    with pytest.raises(NeedsOperator, match=r"not ready within"):
        supervisor.start([python_part("slow", SLEEP, ready=lambda: False, ready_timeout=0.5)])
    assert marked(home) == []


def test_the_last_words_are_those_of_this_start(supervisor: Supervisor, home: Path) -> None:
    (home / "log").mkdir(parents=True, exist_ok=True)
    (home / "log" / "api.log").write_text("yesterday's trouble\n")
    with pytest.raises(NeedsOperator) as caught:
        supervisor.start([python_part("api", "raise SystemExit('trouble of today')", ready=lambda: False)])
    assert "trouble of today" in str(caught.value)
    assert "yesterday" not in str(caught.value)


def test_a_program_that_is_not_there_is_an_error(supervisor: Supervisor) -> None:
    with pytest.raises(NeedsOperator, match="could not be started"):
        supervisor.start([Part("ghost", argv=("/nowhere/ghost",), ready=lambda: False)])


def test_a_stop_kills_what_does_not_want_to_end_and_what_it_started(home: Path) -> None:
    with Supervisor(home) as supervisor:
        supervisor.start(
            [python_part("stubborn", WITH_CHILD + STUBBORN, stop_timeout=0.5), python_part("b", SLEEP)]
        )
        wait_until(lambda: len(marked(home)) == 3, what="the child's child")
        begun = time.monotonic()
        supervisor.stop()
        assert time.monotonic() - begun < 10
        assert marked(home) == []


def test_a_stop_takes_ten_seconds_however_many_are_stubborn(home: Path) -> None:
    with Supervisor(home) as supervisor:
        for group in range(4):
            log = home / "log" / f"s{group}.log"
            supervisor.start(
                [python_part(f"s{group}", STUBBORN, ready=lambda log=log: b"up" in log.read_bytes())]
            )
        begun = time.monotonic()
        supervisor.stop(within=4.0)
        assert time.monotonic() - begun < 5.0
        assert marked(home) == []


def test_a_child_that_outlives_its_dead_parent_is_ended_before_the_restart(
    supervisor: Supervisor, home: Path
) -> None:
    supervisor.start([python_part("worker", WITH_CHILD + SLEEP)])
    wait_until(lambda: len(marked(home)) == 2)
    before = set(marked(home))
    os.kill(pid_of(supervisor, "worker"), signal.SIGKILL)
    wait_until(lambda: state_of(supervisor, "worker").restarts == 1)
    wait_until(lambda: len(marked(home)) == 2)
    assert not before & set(marked(home))


def test_a_stop_during_a_start_ends_the_waiting(supervisor: Supervisor) -> None:
    timer = threading.Timer(0.3, supervisor.stop)
    timer.start()
    with pytest.raises(NeedsOperator, match="stopped while it started"):
        supervisor.start([python_part("slow", SLEEP, ready=lambda: False)])
    timer.join()


def test_a_check_that_breaks_later_does_not_end_the_supervision(supervisor: Supervisor) -> None:
    answers = iter([True])

    def ready() -> bool:
        return next(answers, None) or bool(1 / 0)

    supervisor.start([python_part("odd", SLEEP, ready=ready), python_part("worker", SLEEP)])
    os.kill(pid_of(supervisor, "odd"), signal.SIGKILL)
    wait_until(lambda: state_of(supervisor, "odd").restarts == 1)
    os.kill(pid_of(supervisor, "worker"), signal.SIGKILL)
    wait_until(lambda: state_of(supervisor, "worker").restarts == 1)


def test_two_ups_on_one_home_refuse_each_other(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([python_part("worker", SLEEP)])
    with pytest.raises(NeedsOperator, match=rf"process {os.getpid()}.*is using") as caught, Supervisor(home):
        pass
    assert caught.value.code == "home_in_use"
    assert state_of(supervisor, "worker").state is State.RUNNING
    supervisor.stop()
    with Supervisor(home) as successor:
        successor.start([python_part("worker", SLEEP)])


def start_owner(home: Path, code: str) -> "subprocess.Popen[str]":
    """A process of its own with a supervisor, which says `started` and waits."""
    program = (
        "import sys, threading; from pathlib import Path\n"
        "from scheduler.embedded.supervisor.supervisor import Supervisor\n"
        "from scheduler.embedded.supervisor.parts import Part, python_command\n"
        "home = Path(sys.argv[1])\n"
        "with Supervisor(home) as supervisor:\n"
        f"    {code}\n"
        "    print('started', flush=True)\n"
        "    threading.Event().wait(300)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(home)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        text=True,
    )
    assert owner.stdout is not None
    while (line := owner.stdout.readline()) != "started\n":
        assert line, "the owner ended too early"
    return owner


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_killed_supervisor_leaves_no_process(home: Path) -> None:
    """Not even servers, nor parts that ignore SIGTERM."""
    code = (
        "from scheduler.embedded.postgres.server import EmbeddedPostgres; from scheduler.embedded.valkey import EmbeddedValkey\n"
        "    postgres, valkey = EmbeddedPostgres(home, fast=True), EmbeddedValkey(home)\n"
        "    supervisor.start([postgres.as_part(), valkey.as_part()])\n"
        f"    supervisor.start([Part('stubborn', argv=python_command('-c', {STUBBORN!r}))])"
    )
    with start_owner(home, code) as owner:
        assert len(marked(home)) == 1
        assert list(processes_in(home / "postgres", "postgres"))
        owner.kill()
    wait_until(lambda: marked(home) == [], 5, what="the end of the part")
    wait_until(lambda: not list(processes_in(home / "postgres", "postgres")), 5, what="the end of Postgres")
    wait_until(lambda: not list(processes_in(home / "valkey", "valkey-server")), 5, what="the end of Valkey")


def test_what_a_killed_supervisor_leaves_behind_is_ended_by_the_next(home: Path) -> None:
    """A child's child, which the kernel's signal doesn't reach; on macOS, all of them."""
    with start_owner(
        home, f"supervisor.start([Part('w', argv=python_command('-c', {WITH_CHILD + SLEEP!r}))])"
    ) as owner:
        wait_until(lambda: len(marked(home)) == 2)
        owner.kill()
    assert len(marked(home)) >= 1
    with Supervisor(home):
        assert marked(home) == []


def test_control_c_reaches_the_supervisor_alone(supervisor: Supervisor) -> None:
    """A terminal signals its foreground group; parts have sessions of their own."""
    supervisor.start([python_part("worker", SLEEP)])
    pid = pid_of(supervisor, "worker")
    assert os.getsid(pid) == pid
    assert os.getpgid(pid) == pid


def test_our_own_code_is_found_in_a_folder_that_holds_the_users(
    supervisor: Supervisor, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not the environment names the folder too."""
    folder = tmp_path / "users"
    (folder / "scheduler").mkdir(parents=True)
    (folder / "worker.py").write_text("raise SystemExit('the wrong worker')\n")
    (folder / "scheduler" / "__init__.py").write_text("raise SystemExit('the wrong scheduler')\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", "relative"]))
    code = "import os, worker, scheduler.embedded; print(worker.__file__, os.getcwd(), flush=True)\n"
    log = home / "log" / "part.log"
    supervisor.start([python_part("part", code + SLEEP, ready=lambda: b"up" in log.read_bytes())])
    assert log.read_text().split()[:2] == [str(ROOT / "worker" / "__init__.py"), str(folder)]


def test_the_command_itself_starts_in_such_a_folder(
    supervisor: Supervisor, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.py").write_text("raise SystemExit('the wrong worker')\n")
    monkeypatch.chdir(tmp_path)
    command = headrace_command("--help")
    assert command[:4] == (sys.executable, "-P", "-m", "scheduler.cli")
    with pytest.raises(NeedsOperator, match="api did not start") as caught:
        supervisor.start([Part("api", argv=command, ready=lambda: False)])
    assert "wrong worker" not in str(caught.value)


def test_a_big_log_is_set_aside_at_the_start(supervisor: Supervisor, home: Path) -> None:
    (home / "log").mkdir(parents=True, exist_ok=True)
    log = home / "log" / "worker.log"
    log.write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    supervisor.start([python_part("worker", SLEEP, ready=lambda: b"up" in log.read_bytes()[:10])])
    assert (home / "log" / "worker.log.1").stat().st_size > 10 * 1024 * 1024


def test_servers_are_revived_with_their_data_on_the_same_urls(supervisor: Supervisor, home: Path) -> None:
    postgres, valkey = EmbeddedPostgres(home, fast=True), EmbeddedValkey(home)
    supervisor.start([postgres.as_part(), valkey.as_part()])
    url = postgres.url
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")
    os.kill(pid_of(supervisor, "postgres"), signal.SIGKILL)
    os.kill(pid_of(supervisor, "valkey"), signal.SIGKILL)
    for name in ("postgres", "valkey"):
        wait_until(lambda name=name: state_of(supervisor, name).restarts == 1, 20)  # type: ignore[misc]
        wait_until(lambda name=name: state_of(supervisor, name).state is State.RUNNING, 20)  # type: ignore[misc]
    assert postgres.url == url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    supervisor.stop()
    assert not list(processes_in(home / "postgres", "postgres"))
    assert not list(processes_in(home / "valkey", "valkey-server"))
    postgres.delete()
