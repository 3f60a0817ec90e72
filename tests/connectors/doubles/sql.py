"""A database that a connection describes: tables and a query of a real SQLite, whose rows the checks change.

What it can't be is a server: nobody logs in to a file, and it asks nobody to wait. `sql_postgres` is one.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from scheduler.connectors.check import Carried, Complaint, Row, Table, epoch, naive
from scheduler.connectors.check.double.times import SECOND
from worker.http.carrier import Carrier
from worker.sql.carrier import SqlCarrier

ROWS = 100
PARTS_GONE = "parts_gone"


def order(number: int) -> dict[str, Any]:
    return {"name": f"Order {number}", "state": "open"}


def place(number: int) -> dict[str, Any]:
    """A bin at one of three sites."""
    return {"site": f"S{number % 3}", "name": f"Bin {number}"}


class Sql(Carried):
    """A plant's database."""

    system = "sql"
    transport = "sql"
    played_by = "a real database of SQLite, whose rows the checks change"
    tables: ClassVar[Mapping[str, Table]] = {
        "orders": Table(content=order, unit=SECOND),
        "parts": Table(key="number", key_of="P-{:05}".format, changed=None),
        "bins": Table(key="bin", keyed=("site", "bin"), content=place, changed="counted_at", writes=epoch),
        "work": Table(unit=SECOND),
        "sites": Table(changed=None),
    }
    types: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "orders": {"id": "integer primary key", "name": "text", "state": "text", "updated_at": "text"},
        "parts": {"number": "text primary key", "name": "text", "revision": "integer"},
        "bins": {"site": "text", "bin": "integer", "name": "text", "counted_at": "integer"},
        "work": {"id": "integer primary key", "name": "text", "updated_at": "text"},
        "sites": {"id": "integer primary key", "name": "text"},
        PARTS_GONE: {"number": "text primary key", "gone_at": "integer"},
    }

    def __enter__(self) -> Self:
        self._looks: tuple[object, ...] = ()
        self._written = 0
        self._begin()
        for table, columns in self.types.items():
            said = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            self._run(f"CREATE TABLE {table} ({said})")
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._folder.cleanup()

    def _begin(self) -> None:
        """A new database, and our own way into it."""
        self._folder = tempfile.TemporaryDirectory(prefix="headrace-check-")
        self.url = f"sqlite:///{self._folder.name}/plant.db"
        self._connection = sa.create_engine(
            self.url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"check_same_thread": False},
        ).connect()
        self._run("PRAGMA journal_mode = MEMORY")
        self._run("PRAGMA synchronous = OFF")

    def settings(self) -> Mapping[str, Any]:
        """The description of five streams; times without an offset are in the account's zone."""
        local = {"field": "updated_at", "format": "datetime", "zone": str(self.zone), "overlap": "1m"}
        streams = {
            "orders": {
                "table": "orders",
                "key": "id",
                "incremental": local,
                "deleted": {"field": "state", "equals": "void"},
            },
            "parts": {
                "table": "parts",
                "key": "number",
                "version": "revision",
                "incremental": {"field": "revision", "kind": "number"},
                "deletes": {
                    "tombstones": {
                        "table": PARTS_GONE,
                        "key": "number",
                        "incremental": {"field": "gone_at", "kind": "number"},
                    }
                },
            },
            "bins": {
                "table": "bins",
                "key": ["site", "bin"],
                "incremental": {"field": "counted_at", "format": "epoch_ms", "overlap": "1m"},
            },
            "work": {
                "query": "SELECT * FROM work",
                "key": "id",
                "incremental": {**local, "ordered": False},
            },
            "sites": {"table": "sites", "key": "id"},
        }
        return {
            "url": self.url,
            "describe": {"streams": {name: {**said, "rows": ROWS} for name, said in streams.items()}},
        }

    def carrier(self) -> Carrier:
        return SqlCarrier()

    def write(self, stream: str, at: Any) -> Any:
        if stream in {"orders", "work"}:
            return naive(at, SECOND, self.zone)
        return super().write(stream, at)

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        record = super().render(stream, row)
        if stream == "parts":
            record["revision"] = row.serial
        if stream == "orders" and row.deleted is not None:
            record["state"] = "void"
        return record

    def novelty(self, row: Row) -> Any:
        """A column more."""
        return f"{row.number} since 2026.7"

    def changed_at(self, stream: str, key: str) -> Any:
        row = self.row(stream, key)
        return row.serial if row is not None and stream == "parts" else super().changed_at(stream, key)

    def spoil_one(self, stream: str) -> bool:
        """A key is never null: that is what makes columns one."""
        del stream
        return False

    def complaints(self) -> Sequence[Complaint]:
        return [
            Complaint("a table that is gone", "no_table", "operator", words="no such table"),
            Complaint("a column that is gone", "no_column", "operator", words="has no column"),
        ]

    @contextmanager
    def suffering(self, trouble: str) -> Iterator[None]:
        """Somebody renames what is read."""
        named = {table: next(iter(columns)) for table, columns in self.types.items()}
        for table, column in named.items():
            self._run(f"ALTER TABLE {table} RENAME {_away(trouble, table, column)}")
        try:
            yield
        finally:
            for table, column in named.items():
                self._run(_back(trouble, table, column))

    def settle(self) -> None:
        """What was touched since the last time is written again; all of it, if records look otherwise now."""
        looks = (self.zone, self.drifted, self.padding)
        since = self._written if looks == self._looks else 0
        if self.drifted and looks != self._looks:
            for stream in self.tables:
                self._run(f"ALTER TABLE {stream} ADD COLUMN added_by_a_release text")
        for stream in self.tables:
            rows = self.rows(stream, order="serial", gone=True)
            self._put(stream, [row for row in rows if row.serial > since])
        self._looks, self._written = looks, self.serial

    def _put(self, stream: str, rows: Sequence[Row]) -> None:
        names = self.tables[stream].keyed or (self.tables[stream].key,)
        said = [self.show(stream, row) for row in rows]
        self._take(stream, [{name: record[name] for name in names} for record in said])
        self._add(
            stream,
            [
                record
                for record, row in zip(said, rows, strict=True)
                if row.deleted is None or stream == "orders"
            ],
        )
        if stream == "parts":
            gone = [(row, record) for record, row in zip(said, rows, strict=True) if row.deleted is not None]
            told = [{"number": record["number"], "gone_at": row.serial} for row, record in gone]
            self._take(PARTS_GONE, [{"number": each["number"]} for each in told])
            self._add(PARTS_GONE, told)

    def _take(self, table: str, keys: Sequence[Mapping[str, Any]]) -> None:
        if keys:
            where = " AND ".join(f"{name} = :{name}" for name in keys[0])
            self._run(f"DELETE FROM {table} WHERE {where}", keys)

    def _add(self, table: str, records: Sequence[Mapping[str, Any]]) -> None:
        if records:
            names = list(records[0])
            values = ", ".join(f":{name}" for name in names)
            self._run(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})", records)

    def _run(self, statement: str, values: Sequence[Mapping[str, Any]] = ()) -> None:
        self._connection.execute(sa.text(statement), list(values) or None)


def _away(trouble: str, table: str, column: str) -> str:
    return f"TO {table}_away" if trouble == "no_table" else f"COLUMN {column} TO {column}_away"


def _back(trouble: str, table: str, column: str) -> str:
    if trouble == "no_table":
        return f"ALTER TABLE {table}_away RENAME TO {table}"
    return f"ALTER TABLE {table} RENAME COLUMN {column}_away TO {column}"
