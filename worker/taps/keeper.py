"""Who ends a tap when its worker is gone? A small program between the two, which needs nothing but the standard library.

    python -I -S keeper.py LOCK MEMORY CPU FOLDER:FOLDER -- PROGRAM ARGUMENT …

Its standard input is a pipe that nobody writes to: it ends with the worker, however that ends. Then, or when the program
has ended, the keeper kills the program's whole process group, removes the folders, and ends with the program's code (128
and the signal's number where it was killed). LOCK is the number of an open file whose lock says that the folders are in
use: it goes with the keeper, so what a killed keeper leaves can be told from what is at work.
"""

import contextlib
import ctypes
import os
import resource
import select
import shutil
import signal
import sys

PR_SET_PDEATHSIG = 1
MEBIBYTE = 1024 * 1024
MOST_FILE = 1024 * MEBIBYTE
"""A tap that writes a larger file than this has lost its way."""
COULD_NOT_START = 127


def main(arguments: list[str]) -> int:
    lock, memory, cpu = (int(each) for each in arguments[:3])
    folders, program = arguments[3].split(":"), arguments[5:]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # of its worker's group: the pipe says when
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(lock, False)
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        become(program, memory, cpu, keeper)
    with contextlib.suppress(OSError):  # the child does the same: whoever is first
        os.setpgid(child, child)
    try:
        return wait(child)
    finally:
        bury(child)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def become(program: list[str], memory: int, cpu: int, keeper: int) -> None:
    """In the child: a group of its own, limits, and the program. Never comes back."""
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != keeper:
                os._exit(COULD_NOT_START)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold secrets
        limit(resource.RLIMIT_FSIZE, MOST_FILE)
        limit(resource.RLIMIT_AS, memory * MEBIBYTE)
        limit(resource.RLIMIT_CPU, cpu)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.execv(program[0], program)  # noqa: S606 - what to run was allowed before
    except OSError as error:
        os.write(2, f"ERROR {program[0]} can't be started: {error.strerror}\n".encode())
    finally:
        os._exit(COULD_NOT_START)


def limit(what: int, wanted: int) -> None:
    """Never more than is allowed already; 0 is no limit of ours."""
    if wanted:
        _, hard = resource.getrlimit(what)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(what, (most, most))


def wait(child: int) -> int:
    """Until the program has ended, or the worker is gone."""
    says, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ends = select.poll()
    ends.register(0, select.POLLIN | select.POLLHUP)
    ends.register(says, select.POLLIN)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if any(number == 0 for number, _ in ends.poll()):
            return 128 + signal.SIGKILL
        os.read(says, 512)


def bury(child: int) -> None:
    """Whatever the program started goes with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
