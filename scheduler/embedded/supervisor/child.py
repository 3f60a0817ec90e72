"""What happens in a new process between its birth and its program?

It takes on the account it shall run as, asks the kernel to be ended with its parent, and becomes the program. Run by
path in an interpreter of its own (`python -I -S child.py …`) instead of as a `preexec_fn`, because code between fork
and exec in a process with threads may wait for ever for a lock that nobody will free. So only the standard library is
imported here.

    child.py PARENT_PID DEATH_SIGNAL ACCOUNT FOLDER PROGRAM [ARGUMENT …]

ACCOUNT is `self`, `UID:GID`, or `namespace`: a user namespace in which we look like nobody to the program (Postgres
refuses to run as root) and stay the owner of root's files to the file system.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
EXIT_NOT_STARTED = 126

_INHERITED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ)


def main(arguments: list[str]) -> None:
    """Become the program, or end with a sentence on stderr."""
    parent, death_signal, account, folder, *program = arguments
    try:
        _take_account(account)
        os.umask(0o077)
        os.chdir(folder)
        _restore_signals()
        _die_with_parent(int(parent), int(death_signal))
        os.execv(program[0], program)  # noqa: S606  no shell is wanted
    except OSError as exc:
        sys.stderr.write(f"{program[0]} could not be started as {account} in {folder}: {exc}\n")
        sys.exit(EXIT_NOT_STARTED)


def _take_account(account: str) -> None:
    if account == "self":
        return
    if account == "namespace":
        _enter_namespace()
        return
    uid, gid = (int(part) for part in account.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _enter_namespace() -> None:
    outside = f"{NOBODY} {os.geteuid()} 1", f"{NOBODY} {os.getegid()} 1"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace is allowed here")
    for file, text in zip(("setgroups", "uid_map", "gid_map"), ("deny", *outside), strict=True):
        Path("/proc/self", file).write_text(text)


def _restore_signals() -> None:
    """An ignored signal stays ignored through exec: Python ignores SIGPIPE, and a shell's `&` ignores SIGINT."""
    for number in _INHERITED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _die_with_parent(parent: int, death_signal: int) -> None:
    """After the account: the kernel forgets the wish when credentials change. macOS has no such wish."""
    if death_signal and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(EXIT_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
