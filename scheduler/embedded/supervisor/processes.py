"""How is a program started so that it can be ended for certain, and whose process is that pid?

Each child gets a session of its own, so that a Ctrl-C on the terminal reaches nobody but us and so that its whole group
can be killed. On Linux the kernel signals it when *the thread that started it* ends, so children are started by a thread
that lives as long as they shall. A pid read from a file is never signalled before the process was recognised by its
program and its folder: pids are handed out again.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

_NEVER = threading.Event()
_unburied: "set[subprocess.Popen[bytes]]" = set()
"""Children that may outlive the object that knows them: a server that another one takes over."""

_TRAMPOLINE = Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class Account:
    """As whom a program runs; `name` is what child.py understands. `uid` owns its files."""

    name: str
    uid: int
    gid: int


def own_account() -> Account:
    """The account of this process."""
    return Account("self", os.geteuid(), os.getegid())


class Child:
    """A process that we started, or found and took over."""

    def __init__(self, process: psutil.Process, popen: "subprocess.Popen[bytes] | None" = None) -> None:
        self.process = process
        self.pid = process.pid
        self.exit_code: int | None = None
        self._popen = popen

    @property
    def alive(self) -> bool:
        """A zombie is not alive. One of our own is buried here, after the rest of its group was killed."""
        if self._popen is None:
            return _runs(self.process)
        if self.exit_code is None and _has_exited(self._popen):
            self._kill_group()  # before it is buried: until then nobody else can get its number
            self.exit_code = self._popen.wait()
            _unburied.discard(self._popen)
        return self.exit_code is None

    def send(self, number: int) -> None:
        """Signal the process, not its group: a server tells its own children."""
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if self.alive:
                self.process.send_signal(number)

    def wait(self, timeout: float) -> bool:
        """Whether it has ended, waiting at most so long."""
        deadline = time.monotonic() + timeout
        while self.alive:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            _NEVER.wait(min(0.02, left))
        return True

    def kill(self) -> None:
        """End it and its group at once."""
        if self.alive:
            self._kill_group()
            self.send(signal.SIGKILL)
            self.wait(2.0)

    def stop(self, number: int, timeout: float) -> bool:
        """Ask, wait, and kill. Whether asking was enough."""
        self.send(number)
        asked = self.wait(timeout)
        self.kill()
        return asked

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)


def spawn(
    program: Sequence[str | Path],
    *,
    log: IO[bytes] | int,
    env: Mapping[str, str],
    folder: Path,
    account: Account | None = None,
    death_signal: int = signal.SIGKILL,
    stdin: bytes | None = None,
) -> Child:
    """Start the program (an absolute path first) as a child that ends when this thread does."""
    account = account or own_account()
    popen = subprocess.Popen(
        _trampoline(program, account=account, folder=folder, death_signal=death_signal),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=dict(env),
        cwd="/",
        start_new_session=True,
    )
    if popen.stdin is not None:
        with suppress(BrokenPipeError):
            popen.stdin.write(stdin or b"")
            popen.stdin.close()
    _unburied.add(popen)
    return Child(psutil.Process(popen.pid), popen)


def _trampoline(
    program: Sequence[str | Path], *, account: Account, folder: Path, death_signal: int
) -> list[str]:
    how = (str(os.getpid()), str(int(death_signal)), account.name, str(folder))
    return [sys.executable, "-I", "-S", str(_TRAMPOLINE), *how, *map(str, program)]


def run_as(
    account: Account,
    program: Sequence[str | Path],
    *,
    folder: Path = Path("/"),
    env: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end, a minute at most, and hand back what it said."""
    return subprocess.run(
        _trampoline(program, account=account, folder=folder, death_signal=signal.SIGKILL),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(env or {}),
        cwd="/",
        text=True,
        errors="replace",
        timeout=60,
        check=False,
        start_new_session=True,
    )


def processes_in(folder: Path, program: str) -> Iterator[psutil.Process]:
    """Live processes of the program whose working folder this is: a server's own, whatever its pid file says."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name().startswith(program) and is_in(process, folder) and _runs(process):
                yield process


def is_in(process: psutil.Process, folder: Path) -> bool:
    """Whether the process works in the folder."""
    return Path(process.cwd()) == folder.resolve()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _has_exited(popen: "subprocess.Popen[bytes]") -> bool:
    if popen.returncode is not None:
        return True
    if not hasattr(os, "waitid"):
        return popen.poll() is not None
    try:
        return os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
