"""How is a cluster of our own made, and with which settings does it run?

Made in a draft folder and renamed when it is whole, so a start that was killed half-way leaves no half cluster behind.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from scheduler.embedded.ports import LOOPBACK
from scheduler.embedded.postgres.residence import Residence
from scheduler.embedded.supervisor.processes import run_as
from worker.errors import NeedsOperator

SUPERUSER = "headrace"
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
"""Nothing of the caller's: PGPORT, PGOPTIONS and their kind must not reach our server."""

_BUILTIN_PROVIDER_SINCE = 17


def create_cluster(residence: Residence, password: str, *, fast: bool) -> None:
    """Make the cluster of this residence. UTF-8, sorted by code point everywhere, passwords by SCRAM only."""
    draft = residence.data.with_name(f"{residence.data.name}.new")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    os.chown(draft, residence.account.uid, residence.account.gid)
    with _password_file(residence, password) as pwfile:
        command: list[str | Path] = [residence.binaries.folder / "initdb", "-D", draft, f"--pwfile={pwfile}"]
        command += [
            "-U",
            SUPERUSER,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *_locale(residence.binaries.version),
        ]
        command += ["--no-sync"] if fast else []
        made = run_as(residence.account, command, env=ENVIRONMENT)
    if made.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise NeedsOperator(
            "initdb_failed",
            f"A database could not be made in {residence.data}: {made.stdout.strip()[-600:]}",
            hint="Check the free space and the rights of that folder.",
        )
    draft.rename(residence.data)


def _locale(version: int) -> list[str]:
    """From 17 on Postgres brings C.UTF-8 itself; before, C sorts the same and only upper() of non-ASCII differs."""
    if version >= _BUILTIN_PROVIDER_SINCE:
        return ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--no-locale"]


@contextmanager
def _password_file(residence: Residence, password: str) -> Iterator[Path]:
    """A copy that the account can read, gone when the cluster is made. initdb takes it no other way."""
    path = residence.data.with_name(f".{residence.data.name}.{secrets.token_hex(8)}")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            os.fchown(handle, residence.account.uid, residence.account.gid)
            file.write(password + "\n")
        yield path
    finally:
        path.unlink(missing_ok=True)


def _shared_buffers(memory: int) -> int:
    """Megabytes: a sixteenth of the machine, for the database is one of several parts on it, within bounds."""
    return min(max(memory // 16 // 1024**2, 128), 1024)


def _connections(cpus: int) -> int:
    """A main process a CPU and a bulk one for every two, five for each of them, and room for the other parts and people."""
    return max(100, 40 + 8 * cpus)


def server_settings(
    port: int, *, fast: bool, memory: int | None = None, cpus: int | None = None
) -> dict[str, str]:
    """Settings for a small machine that keeps what it was told. `fast` survives a kill but no power cut: for tests."""
    memory = psutil.virtual_memory().total if memory is None else memory
    cpus = cpus or psutil.cpu_count() or 1
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": str(_connections(cpus)),
        "shared_buffers": f"{_shared_buffers(memory)}MB",
        "max_wal_size": "2GB",
        # This build knows pglz alone, which takes longer than the disk: a sync of changed records would take three times as
        # long for half the WAL. A ledger that turns over in minutes is vacuumed by the quarter of a minute.
        "wal_compression": "off",
        "autovacuum_naptime": "15s",
        "synchronous_commit": "on",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
        # Statements and their values are other people's data: none of it goes to a log.
        "log_statement": "none",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
    }
    if fast:
        settings |= {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}
    return settings
