"""The truth of a double: what is there, as its system shows it, by a clock that stands still until somebody advances it."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar, Literal

from scheduler.connectors.check.double.table import Row, Table, merged, ordered
from scheduler.connectors.check.double.times import cut
from worker.connectors.reading.keys import make_key

BEGINNING = datetime(2026, 6, 15, 12, tzinfo=UTC)
FAMILY = 3
"""So many records stand inside of one."""


@dataclass
class Truth:
    """Rows of tables. Used under its lock."""

    tables: ClassVar[Mapping[str, Table]]

    zone: tzinfo = UTC
    """The account's."""
    now: datetime = BEGINNING
    drifted: bool = False
    """Its records look otherwise since a release: they have a field more."""
    padding: int = 0
    """So many characters longer is the text of its records that a change changes."""
    keyless: set[tuple[str, int]] = field(default_factory=set)
    """Rows that are shown without their key, by stream and number."""
    serial: int = 0
    """How many changes there were, in all streams."""

    def __post_init__(self) -> None:
        self._rows: dict[str, dict[int, Row]] = {name: {} for name in self.tables}
        self._lock = threading.RLock()

    # How it looks; what a double may say otherwise.

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        """A row as the system shows it."""
        table = self.tables[stream]
        record: dict[str, Any] = {table.key: table.key_of(row.number), **row.content}
        if table.created is not None:
            record[table.created] = self.write(stream, row.created)
        if table.changed is not None:
            record[table.changed] = self.write(stream, row.changed)
        for name, inner in self.tables.items():
            if inner.of == stream and inner.within:
                record[inner.within] = [self.show(name, child) for child in self._children(name, row)]
        return merged({}, record)

    def novelty(self, row: Row) -> Any:
        """What a record holds more since a release."""
        return {"since": ["2026.7"], "of": row.number}

    def write(self, stream: str, at: datetime) -> Any:
        """A time as this system writes it."""
        return self.tables[stream].writes(at)

    def rows(
        self,
        stream: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        order: Literal["number", "changed", "serial"] = "changed",
        gone: bool = False,
    ) -> list[Row]:
        """Those that changed at or after `since`, and up to `until`; with `gone` also those that were deleted."""
        found = [
            row
            for row in self._rows[stream].values()
            if (gone or self._is_there(stream, row))
            and (since is None or row.changed >= since)
            and (until is None or row.changed <= until)
        ]
        return ordered(found, order)

    def row(self, stream: str, *key: object) -> Row | None:
        """The row with this key, unless it is gone. Several values: of the fields that name one together."""
        rows = (row for row in self._rows[stream].values() if self._is_there(stream, row))
        if len(key) == 1:
            return next((row for row in rows if self.key_of(stream, row) == str(key[0])), None)
        wanted = [str(part) for part in key]
        return next(
            (row for row in rows if [str(part) for part in self.parts_of(stream, row)] == wanted), None
        )

    def show(self, stream: str, row: Row) -> dict[str, Any]:
        """The row as it is to be answered."""
        record = self.render(stream, row)
        if self.drifted:
            record["added_by_a_release"] = self.novelty(row)
        if (stream, row.number) in self.keyless:
            record.pop(self.tables[stream].key)
        edited = self.tables[stream].edited
        if self.padding and isinstance(record.get(edited), str):
            record[edited] += "x" * self.padding
        return record

    def key_of(self, stream: str, row: Row) -> str:
        """What the copy calls it."""
        return make_key(self.parts_of(stream, row))

    def parts_of(self, stream: str, row: Row) -> list[Any]:
        """What the fields of its key hold."""
        table = self.tables[stream]
        if not table.keyed:
            return [table.key_of(row.number)]
        own = {**row.content, table.key: table.key_of(row.number), **self._carried(stream, row)}
        return [own[name] for name in table.keyed]

    # What the checks do.

    def create(self, stream: str, count: int = 1) -> list[str]:
        """So many records more, all made now; their keys."""
        with self._lock:
            return [self.key_of(stream, self._made(stream)) for _ in range(count)]

    def change(self, stream: str, *keys: str) -> None:
        """Edit these records now."""
        with self._lock:
            for row in self._found(stream, keys):
                row.version += 1
                edited = self.tables[stream].edited
                row.content[edited] = f"{str(row.content[edited]).split(' (', 1)[0]} (edited {row.version})"
                self._touch(stream, row)

    def delete(self, stream: str, *keys: str) -> None:
        """Delete these records now."""
        with self._lock:
            for row in self._found(stream, keys):
                row.deleted = cut(self.now, self.tables[stream].unit)
                self._touch(stream, row)

    def spoil_one(self, stream: str) -> bool:
        """Show one record without its key from now on; False: that can't be."""
        self.keyless = {(stream, row.number) for row in self.rows(stream)[:1]}
        return True

    def truth(self, stream: str) -> dict[str, Any]:
        """All that is there, by key: what the copy's records must say."""
        with self._lock:
            rows = self.rows(stream)
            return {
                self.key_of(stream, row): self.show(stream, row) | self._carried(stream, row) for row in rows
            }

    def changed_at(self, stream: str, key: str) -> datetime | int | None:
        """What the cursor of this record must be; None: it has none. A system that counts changes overrides this."""
        row, table = self.row(stream, key), self.tables[stream]
        if row is not None and (holder := self._holder(stream, row)) is not None:
            row, table = holder, self.tables[table.of]
        return None if row is None or table.changed is None else row.changed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self.now += timedelta(seconds=seconds)

    # How it does that.

    def _made(self, stream: str) -> Row:
        rows, table = self._rows[stream], self.tables[stream]
        number, at = len(rows) + 1, cut(self.now, table.unit)
        rows[number] = Row(number, at, at, self._next(), content=table.content(number))
        if table.of:
            rows[number].parent = self._with_room(stream).number
            self._touch(stream, rows[number])
        return rows[number]

    def _with_room(self, stream: str) -> Row:
        """A record that can hold one more of these."""
        outer = self._rows[self.tables[stream].of]
        last = outer[len(outer)] if outer else None
        roomy = last is not None and last.deleted is None and len(self._children(stream, last)) < FAMILY
        return last if roomy and last is not None else self._made(self.tables[stream].of)

    def _children(self, stream: str, holder: Row) -> list[Row]:
        rows = self._rows[stream].values()
        return [row for row in rows if row.parent == holder.number and row.deleted is None]

    def _is_there(self, stream: str, row: Row) -> bool:
        holder = self._holder(stream, row)
        return row.deleted is None and (holder is None or holder.deleted is None)

    def _holder(self, stream: str, row: Row) -> Row | None:
        return None if row.parent is None else self._rows[self.tables[stream].of][row.parent]

    def _carried(self, stream: str, row: Row) -> dict[str, Any]:
        """What its copy has of the record that holds it."""
        holder, table = self._holder(stream, row), self.tables[stream]
        if holder is None or not table.carries:
            return {}
        shown = self.show(table.of, holder)
        return {name: shown[path] for name, path in table.carries.items()}

    def _found(self, stream: str, keys: Sequence[str]) -> list[Row]:
        wanted = set(keys)
        return [row for row in self._rows[stream].values() if self.key_of(stream, row) in wanted]

    def _touch(self, stream: str, row: Row) -> None:
        row.changed, row.serial = cut(self.now, self.tables[stream].unit), self._next()
        if (holder := self._holder(stream, row)) is not None:
            self._touch(self.tables[stream].of, holder)

    def _next(self) -> int:
        self.serial += 1
        return self.serial
