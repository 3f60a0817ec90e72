"""Runs a query of SuiteQL, by SQLite with the few functions that are needed: what it doesn't ask for doesn't come.

Times are kept as moments, in seconds since 1970, and shown and meant in the user's zone, as NetSuite does.
"""

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from scheduler.connectors.check.double.times import SECOND, naive

FORMAT = "YYYY-MM-DD HH24:MI:SS"
NUMBERS = frozenset({"id", "uniquekey", "transaction", "item", "location", "recordid"})
TABLES: Mapping[str, Sequence[str]] = {
    "transaction": (
        "id", "type", "tranid", "trandate", "entity", "status", "foreigntotal", "createddate", "lastmodifieddate",
    ),
    "transactionline": (
        "uniquekey", "transaction", "id", "linesequencenumber", "item", "quantity", "quantityshiprecv", "quantitybilled",
        "rate", "isclosed", "mainline", "taxline",
    ),
    "item": (
        "id", "itemid", "displayname", "description", "itemtype", "isinactive", "cost", "createddate", "lastmodifieddate",
    ),
    "aggregateitemlocation": (
        "item", "location", "quantityonhand", "quantityavailable", "quantitycommitted", "quantityonorder",
        "quantitybackordered", "reorderpoint", "preferredstocklevel",
    ),
    "vendor": ("id", "entityid", "companyname", "email", "isinactive"),
    "location": ("id", "name", "isinactive"),
    "deletedrecord": ("recordid", "type", "deleteddate"),
}  # fmt: skip
Found = tuple[list[str], list[tuple[Any, ...]]]


class SuiteQL:
    """The tables as they are at a moment; each is made when it is first asked for."""

    def __init__(self, rows_of: Callable[[str], Sequence[Mapping[str, Any]]], zone: tzinfo) -> None:
        self._rows_of = rows_of
        self._made: set[str] = set()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.create_function("TO_CHAR", 2, lambda at, form: _to_char(at, form, zone))
        self._database.create_function("TO_TIMESTAMP", 2, lambda text, form: _to_timestamp(text, form, zone))
        self._database.create_function("NVL", 2, lambda value, other: other if value is None else value)
        self._database.create_function("df", 1, str)

    def run(self, query: str) -> Found:
        """The names of its columns, in lower case, and its rows; `sqlite3.Error` for what is no query of these tables."""
        query = re.sub(r"BUILTIN\.DF\((\w+)\)", r"df(\1)", query)
        query = re.sub(r"(FROM|JOIN) transaction\b", r'\1 "transaction"', query)
        query = query.replace("tl.transaction", 'tl."transaction"')
        for name in TABLES.keys() - self._made:
            if re.search(rf'\b{name}"? ', query):
                self._make(name)
        found = self._database.execute(query)
        return [each[0].lower() for each in found.description], found.fetchall()

    def close(self) -> None:
        self._database.close()

    def _make(self, name: str) -> None:
        columns = TABLES[name]
        typed = ", ".join(f'"{each}" INTEGER' if each in NUMBERS else f'"{each}"' for each in columns)
        self._database.execute(f'CREATE TABLE "{name}" ({typed})')
        rows = ([row.get(column) for column in columns] for row in self._rows_of(name))
        self._database.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(columns))})', rows)
        self._made.add(name)


def _to_char(at: int | None, form: str, zone: tzinfo) -> str | None:
    if at is None:
        return None
    said = naive(datetime.fromtimestamp(at, UTC), SECOND, zone)
    return said if form == FORMAT else said[:10]


def _to_timestamp(text: str, form: str, zone: tzinfo) -> int:
    if form != FORMAT:
        raise ValueError(form)
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone).timestamp())
