"""What a double keeps of one stream: its rows as they are, and how they look to whoever asks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from scheduler.connectors.check.double.times import MILLISECOND, iso

Writes = Callable[[datetime], Any]


@dataclass
class Row:
    """One record. Times are aware and in UTC, cut to the table's unit."""

    number: int
    """From 1 on, in the order in which they were made: the key, unless the double makes another of it."""
    created: datetime
    changed: datetime
    serial: int
    """Grows with every change in the whole double: for systems that count changes."""
    version: int = 1
    deleted: datetime | None = None
    parent: int | None = None
    """The number of the row that holds it."""
    content: dict[str, Any] = field(default_factory=dict)


def named(number: int) -> dict[str, Any]:
    """What a record holds where the table says nothing."""
    return {"name": f"Record {number}"}


@dataclass(frozen=True)
class Table:
    """How the rows of a stream look."""

    key: str = "id"
    """The field of the key."""
    key_of: Callable[[int], Any] = int
    """The key of a row by its number; `str`, or `"WO-{}".format`."""
    changed: str | None = "updated_at"
    """The field that says when a row changed; None: none does."""
    created: str | None = None
    writes: Writes = iso
    """How both are written. A double whose times depend on its zone says so by `Double.write`."""
    unit: timedelta = MILLISECOND
    """How finely the system keeps them."""
    content: Callable[[int], dict[str, Any]] = named
    """What else is in a row, by its number; `WO-7` is as good a title as any."""
    edited: str = "name"
    """The field of the content whose text a change changes."""
    of: str = ""
    """The stream whose records hold these: lines of orders. A change of one is a change of the record that holds it."""
    within: str = ""
    """Where they stand in it. Empty: nowhere, as each is asked for them by itself."""
    carries: Mapping[str, str] = field(default_factory=dict)
    """What the copy of one has of the record that holds it: `{"order_id": "id"}`."""
    keyed: Sequence[str] = ()
    """The fields that name one together, in the order of the manifest's `key`: `key`, those of the content, and those that it
    carries. None: `key` alone."""


def ordered(rows: Sequence[Row], order: str) -> list[Row]:
    """By `number`, or by `changed` or `serial`, and then by number."""
    if order == "number":
        return sorted(rows, key=lambda row: row.number)
    return sorted(rows, key=lambda row: (getattr(row, order), row.number))


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A record with more in it; a dotted name goes into the object of that name."""
    found: dict[str, Any] = {**base}
    for name, value in more.items():
        place, (*path, last) = found, name.split(".")
        for part in path:
            place[part] = {**place.get(part, {})}
            place = place[part]
        place[last] = value
    return found
