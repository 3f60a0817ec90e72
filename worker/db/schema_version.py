"""Is the schema of a database the one that this code works with?

Every process and every command asks, so it is asked without Alembic, which only migrations need: its version is a row, and
the versions there are the names of the migrations.
"""

from functools import cache
from importlib import resources

from worker.db.database import Database, check_server
from worker.errors import NeedsOperator

VERSION_TABLE = "headrace_schema"
MIGRATIONS = resources.files("worker.db").joinpath("migrations")


def check_schema(database: Database) -> None:
    """Raise `NeedsOperator` unless the database is at this version's schema; for commands that must not migrate."""
    check_server(database)
    current = current_version(database)
    refuse_newer(current)
    if current != head():
        raise NeedsOperator(
            "schema_behind",
            f"The database's schema is {current or 'empty'}, and this version needs {head()}.",
            hint="Run `headrace migrate`.",
        )


def head() -> str:
    """The schema's version that this code works with."""
    return max(known_versions())


@cache
def known_versions() -> frozenset[str]:
    """All that this code has a migration to. The name of each begins with the version that it leads to."""
    files = MIGRATIONS.joinpath("versions").iterdir()
    return frozenset(file.name.partition("_")[0] for file in files if file.name.endswith(".py"))


def current_version(database: Database) -> str | None:
    """What the database says of itself; None where there is nothing of ours yet."""
    there = database.one("SELECT to_regclass(%(table)s) IS NOT NULL AS there", {"table": VERSION_TABLE})
    if there is None or not there["there"]:
        return None
    row = database.one(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a name of ours
    return None if row is None else str(row["version_num"])


def refuse_newer(current: str | None) -> None:
    """Raise `NeedsOperator` where a newer Headrace has made the schema."""
    if current is not None and current not in known_versions():
        raise NeedsOperator(
            "schema_newer",
            f"The database's schema is {current}, which is newer than this Headrace.",
            hint="Upgrade Headrace, or point HEADRACE_DATABASE_URL at another database.",
        )
