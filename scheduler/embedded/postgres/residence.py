"""As whom does Postgres run, where does its data live, and which binaries can it read?

Postgres refuses to run as root. As a normal user there is nothing to decide. As root it runs, in this order of choice:
as the owner of data that exists already; in a user namespace, where it looks like nobody and still owns root's files;
as the system's `nobody`. What such an account can't reach (a home below /root, a venv of somebody else) is not opened up
to it: the folders of people keep their modes. Data goes to /var/lib/headrace instead, with a link in the home, and
the binaries are copied beside the data.
"""

import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from scheduler.embedded.binaries import PostgresBinaries
from scheduler.embedded.supervisor.child import NOBODY
from scheduler.embedded.supervisor.processes import Account, own_account, run_as
from worker.errors import NeedsOperator

DATA = "postgres"
ELSEWHERE = Path("/var/lib/headrace")


@dataclass(frozen=True)
class Residence:
    """An account, the data folder that it reaches (perhaps not made yet), and binaries that it can run."""

    account: Account
    data: Path
    binaries: PostgresBinaries


def find_residence(home: Path, binaries: PostgresBinaries) -> Residence:
    """Decide, and make ready what the account needs. The home must exist."""
    data = (home / DATA).resolve()
    if (home / DATA).is_symlink() and not data.exists():
        raise NeedsOperator(
            "data_missing",
            f"{home / DATA} points to {data}, which is not there.",
            hint="Bring that folder back (is a disk not mounted?), or remove the link to begin anew.",
        )
    account = own_account()
    if account.uid != 0:
        return Residence(account, data, binaries)
    account, data = _settle_as_root(home, data)
    return Residence(account, data, _readable(binaries, account, data))


def refuse_foreign_data(home: Path) -> None:
    """The error `foreign_data` where the cluster belongs to somebody else and we are not root."""
    data = (home / DATA).resolve()
    us = own_account().uid
    if us != 0 and data.exists() and data.stat().st_uid != us:
        raise NeedsOperator(
            "foreign_data",
            f"The database in {data} belongs to another user (uid {data.stat().st_uid}).",
            hint="Run Headrace as that user, or set HEADRACE_HOME to another folder.",
        )


def _settle_as_root(home: Path, data: Path) -> tuple[Account, Path]:
    if data.exists() and (owner := data.stat()).st_uid != 0:
        account = Account(f"{owner.st_uid}:{owner.st_gid}", owner.st_uid, owner.st_gid)
        if not _reaches(account, data):
            raise NeedsOperator(
                "unreachable_data",
                f"The database in {data} belongs to uid {owner.st_uid}, who can't reach that folder.",
                hint="Run Headrace as that user, or move its home to a folder that this user can reach.",
            )
        return account, data
    account = _account_beside_root()
    if _reaches(account, data if data.exists() else home):
        if data.exists():
            _give(data, account)
        return account, data
    return account, _settle_elsewhere(home, data, account)


def _account_beside_root() -> Account:
    namespace = Account("namespace", 0, 0)
    if _reaches(namespace, Path("/")):
        return namespace
    try:
        found = pwd.getpwnam("nobody")
        return Account(f"{found.pw_uid}:{found.pw_gid}", found.pw_uid, found.pw_gid)
    except KeyError:
        return Account(f"{NOBODY}:{NOBODY}", NOBODY, NOBODY)


def _reaches(account: Account, folder: Path) -> bool:
    return _succeeds(account, ["/bin/sh", "-c", ":"], folder)


def _succeeds(account: Account, program: list[str | Path], folder: Path) -> bool:
    try:
        return run_as(account, program, folder=folder).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _settle_elsewhere(home: Path, data: Path, account: Account) -> Path:
    """A folder that root made and anybody may pass through; the name is a dice's, so a new home never meets old data."""
    room = ELSEWHERE / secrets.token_hex(8)
    try:
        ELSEWHERE.mkdir(mode=0o755, parents=True, exist_ok=True)
        room.mkdir(mode=0o700)
        os.chown(room, account.uid, account.gid)
        reached = _reaches(account, room)
    except OSError:
        reached = False
    if not reached:
        raise NeedsOperator(
            "unreachable_data",
            f"Neither {home} nor {room} can be used by the account that Postgres would run as.",
            hint="Run Headrace as a normal user, or set HEADRACE_DATABASE_URL to a database of yours.",
        )
    if data.exists():
        shutil.move(data, room / DATA)
        _give(room / DATA, account)
    (home / DATA).unlink(missing_ok=True)
    (home / DATA).symlink_to(room / DATA)
    return room / DATA


def _give(folder: Path, account: Account) -> None:
    """Only ever done to the cluster itself."""
    if folder.stat().st_uid == account.uid:
        return
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(path, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(folder, account.uid, account.gid)


def _readable(binaries: PostgresBinaries, account: Account, data: Path) -> PostgresBinaries:
    if _runs(account, binaries):
        return binaries
    copies = data.parent / f"postgres-binaries-{binaries.version}"
    copied = replace(binaries, folder=_copy_package(binaries.folder.parent, copies))
    if not _runs(account, copied):
        raise NeedsOperator(
            "no_postgres",
            f"Postgres in {binaries.folder} can't be run by another account than root, and neither can a copy of it.",
            hint="Run Headrace as a normal user, or set HEADRACE_DATABASE_URL to a database of yours.",
        )
    return copied


def _runs(account: Account, binaries: PostgresBinaries) -> bool:
    """Both are asked: initdb needs a library that the server doesn't."""
    programs = (binaries.folder / "postgres", binaries.folder / "initdb")
    return all(_succeeds(account, [program, "--version"], Path("/")) for program in programs)


def _copy_package(installation: Path, copies: Path) -> Path:
    """Copy the installation and the wheel's libraries, which it finds by their place relative to its own."""
    package = installation.parent
    target = copies / package.name / installation.name
    if not target.exists():
        draft = copies.with_name(f".{copies.name}.{secrets.token_hex(4)}")
        shutil.copytree(installation, draft / package.name / installation.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        _open_to_readers(draft)
        if copies.exists():
            shutil.rmtree(copies)
        draft.rename(copies)
    return target / "bin"


def _open_to_readers(folder: Path) -> None:
    """The copies are no secret, whatever our umask is."""
    folder.chmod(0o755)
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            found = Path(path, name)
            if not found.is_symlink():
                found.chmod(
                    found.stat().st_mode | (0o555 if found.is_dir() or os.access(found, os.X_OK) else 0o444)
                )
