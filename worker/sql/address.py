"""Where does a database's URL lead, may we go there, and with which driver? Nothing is opened here.

    postgresql://, postgres://     psycopg, which comes with Headrace
    sqlite:////path/to/file.db     likewise
    anything else                  a dialect and driver of SQLAlchemy that somebody has installed

What a URL may say behind its ? is counted up: drivers take much there that leads elsewhere, or reads files.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from worker.errors import NeedsOperator
from worker.http.network.settings import network_of

DRIVERS: Mapping[str, str] = {"postgresql": "psycopg", "postgres": "psycopg", "sqlite": "pysqlite"}
"""By dialect: which is taken where the URL names none."""
PORTS: Mapping[str, int] = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
ALLOWED: Mapping[str, frozenset[str]] = {
    "postgresql": frozenset({"sslmode", "channel_binding", "gssencmode", "target_session_attrs"}),
    "sqlite": frozenset(),
    "mysql": frozenset({"charset"}),
    "mariadb": frozenset({"charset"}),
    "mssql": frozenset({"driver", "Encrypt", "TrustServerCertificate"}),
    "oracle": frozenset({"service_name"}),
}
_VALUE = re.compile(r"[A-Za-z0-9 ._-]{1,100}")
_PACKAGES: Mapping[str, str] = {
    "mysql": "pymysql",
    "mariadb": "pymysql",
    "mssql": "pyodbc",
    "oracle": "oracledb",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One database."""

    url: sa.URL
    """With the driver in it."""
    dialect: str
    """postgresql, sqlite and so on."""
    place: str
    """What errors call it."""
    host: str
    """Empty: a file, or a socket of this machine."""
    port: int
    outside: bool
    """Somebody from outside has chosen it: only public addresses are gone to."""

    @property
    def is_postgres(self) -> bool:
        return self.dialect == "postgresql"

    @property
    def is_sqlite(self) -> bool:
        return self.dialect == "sqlite"


def target_of(text: str, network: Mapping[str, str]) -> Target:
    """The database, or `NeedsOperator` with what is wrong with its URL."""
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError):
        raise _bad("The database's address can't be read.") from None
    name, _, driver = url.drivername.partition("+")
    dialect = "postgresql" if name == "postgres" else name
    outside = _outside(network, dialect)
    driver = driver or DRIVERS.get(name, "")
    url = url.set(drivername=f"{dialect}+{driver}" if driver else dialect)
    _check_query(url, dialect)
    if dialect == "sqlite":
        return Target(url, dialect, _file_of(url, outside=outside), "", 0, outside)
    host = url.host or ""
    if outside and (not host or "/" in host):
        raise _bad("A database of this machine is not one of the internet (network.addresses).")
    if "," in host or "/" in host:
        raise _bad("The database's address must name one host.")
    return Target(url, dialect, host or dialect, host, url.port or PORTS.get(dialect, 0), outside)


def check_driver(target: Target) -> None:
    """Raise `driver_missing` where nothing here can speak with it."""
    try:
        target.url.get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError) as exc:
        missing = getattr(exc, "name", None) or _PACKAGES.get(target.dialect)
        hint = f"Install {missing} beside Headrace, on every worker." if missing else None
        raise NeedsOperator(
            "driver_missing",
            f"Nothing installed here speaks {target.url.drivername}.",
            hint=hint
            or "postgresql and sqlite come with Headrace; others need SQLAlchemy's dialect and driver.",
        ) from None


def _check_query(url: sa.URL, dialect: str) -> None:
    allowed = ALLOWED.get(dialect, frozenset())
    for name, value in url.query.items():
        if name not in allowed:
            said = f"Of {dialect}, there may be: {', '.join(sorted(allowed))}." if allowed else None
            raise _bad(f"The database's address may not say {name!r} behind its ?.", said)
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise _bad(f"{name} of the database's address has a value that it can't have.")


def _file_of(url: sa.URL, *, outside: bool) -> str:
    """The file's name, for errors."""
    path = url.database or ""
    if outside:
        raise _bad("A file of this machine is no database of the internet (network.addresses).")
    if url.host or not path.startswith("/") or "\0" in path:
        raise _bad(
            "A SQLite database is a file with its whole path: sqlite:////var/lib/plant/plant.db, with four slashes."
        )
    return Path(path).name


def _outside(network: Mapping[str, str], dialect: str) -> bool:
    found = network_of(network)
    known = {"addresses", "ca"} if dialect == "postgresql" else {"addresses"}
    others = sorted({name for name, value in network.items() if value} - known)
    if others:
        raise NeedsOperator(
            "bad_network",
            f"The connection's network has {', '.join(others)}, which {dialect} isn't reached by.",
            hint="Take it off the connection.",
        )
    return bool(found.addresses)


def _bad(message: str, hint: str | None = None) -> NeedsOperator:
    return NeedsOperator("bad_address", message, hint=hint or "Look at the connection's url.")
