"""What are the records of an answer whose rows are lists, with the names of their columns beside them?

    {"columns": ["id", "name"], "rows": [[1, "a"], [2, "b"]]}   ->   {"id":1,"name":"a"}  {"id":2,"name":"b"}

Values stay as they were sent, byte by byte; the names are put before them. A row that doesn't fit its columns stays what it
is, which is no record, and is set aside.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from worker.connectors.reading.fields import PARSE_ERRORS, walk
from worker.connectors.reading.growth import grown
from worker.connectors.reading.shape import FieldPath, parted
from worker.connectors.reading.split import elements
from worker.errors import Transient

_values = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Tabular:
    """Makes records of rows. `columns`: where their names stand; the empty path: in the first row."""

    def __init__(self, columns: FieldPath) -> None:
        self.head, self._rest = parted(columns)
        self._where = ".".join(columns)

    def objects(self, rows: Sequence[bytes], beside: Mapping[FieldPath, bytes]) -> list[bytes]:
        """A record for each row. Raises Transient where nobody says what the columns are called."""
        if not rows:
            return []
        names = self._names(beside.get(self.head) if self.head else rows[0])
        if not self.head:
            rows = rows[1:]
        begins = [b'%s"%s":' % (b"," if at else b"{", name) for at, name in enumerate(names)]
        grown(0, len(rows) * sum(map(len, begins)))
        return [_object(begins, row) for row in rows]

    def _names(self, raw: bytes | None) -> list[bytes]:
        """As they are written in a record."""
        try:
            found = [] if raw is None else msgspec.json.decode(raw, type=list[Any])
        except PARSE_ERRORS:
            found = []
        names = [walk(entry, self._rest) for entry in found]
        if not names or not all(isinstance(name, str) for name in names):
            where = f"at {self._where!r}" if self._where else "in its first row"
            raise Transient(
                "malformed_page", f"The answer doesn't say {where} what the columns of its rows are called."
            )
        if twice := [name for name, times in Counter(names).items() if times > 1]:
            raise Transient(
                "malformed_page", f"The answer has two columns that are called {twice[0][:40]!r}."
            )
        return [msgspec.json.encode(name)[1:-1] for name in names]


def _object(begins: Sequence[bytes], row: bytes) -> bytes:
    if row[:1] != b"[":
        return row
    try:
        values = list(map(bytes, _values(row)))
    except PARSE_ERRORS:
        try:
            values = elements(row)
        except ValueError:
            return row
    if len(values) != len(begins):
        return row
    return b"".join(begin + value for begin, value in zip(begins, values, strict=True)) + b"}"
