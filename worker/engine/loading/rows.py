"""Records as bytes of Postgres' binary formats: packed by hand, because this is where a first load spends its time.

Rows of a COPY come in chunks, so that a large page is never held a second time. Small sets travel as arrays, which
cost neither a staging table nor a round trip of their own.
Formats: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format", and array_send of the server.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from worker.connectors.contract import Gone, Record

Row = tuple[Record, bytes]
"""A record, and when it was asked for as `pack_time` packs it."""

CHUNK = 128 * 1024
_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!II", 0, 0)
_TRAILER = struct.pack("!h", -1)
PACKED_FROM = _POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""From here on packed times compare as what they stand for."""
_MICROSECOND = timedelta(microseconds=1)

_length = struct.Struct("!i").pack
_bigint = struct.Struct("!iq").pack
_known = struct.Struct("!i16siqiq").pack
_NULL = _length(-1)
_HASH = _length(16)
_TRUE = _length(1) + b"\x01"
_FALSE = _length(1) + b"\x00"
_array_head = struct.Struct("!iiIii").pack


class _Packed(bytes):
    """A parameter that is packed already."""

    __slots__ = ()


def _packed(oid_: int, element: int) -> tuple[type[_Packed], type[Dumper], int]:
    class Array(_Packed):
        __slots__ = ()

    class ArrayDumper(Dumper):
        format = Format.BINARY
        oid = oid_

        def dump(self, obj: Any) -> bytes:
            return bytes(obj)

    return Array, ArrayDumper, element


_ARRAYS = {
    kind: _packed(psycopg.adapters.types[kind].array_oid, psycopg.adapters.types[kind].oid)
    for kind in ("text", "json", "uuid", "int8", "timestamptz", "bool")
}


def teach_arrays(connection: "psycopg.Connection[Any]") -> None:
    """Let a connection take what `sift_arrays` and `row_arrays` pack."""
    for kind, dumper, _ in _ARRAYS.values():
        connection.adapters.register_dumper(kind, dumper)


def pack_time(value: datetime) -> bytes:
    return _bigint(8, (value - _POSTGRES_EPOCH) // _MICROSECOND)


def staged_rows(rows: Iterable[Row]) -> Iterator[bytes]:
    """The body of `copy_staged`."""
    return _copy(rows, struct.pack("!h", 8), staged=True)


def new_rows(rows: Iterable[Row], *, bucket: int, stream: int, cause: str, run: UUID) -> Iterator[bytes]:
    """The body of `copy_new`, for records that aren't deleted and whose bytes Postgres can keep."""
    same = (struct.pack("!h", bucket), struct.pack("!q", stream), cause.encode(), run.bytes, b"created")
    head = struct.pack("!h", 11) + b"".join(_length(len(value)) + value for value in same)
    return _copy(rows, head, staged=False)


def _copy(rows: Iterable[Row], head: bytes, *, staged: bool) -> Iterator[bytes]:
    parts: list[bytes] = [_HEADER]
    size = 0
    add = parts.append
    for record, observed in rows:
        key = record.key.encode()
        raw = record.raw
        add(head + _length(len(key)) + key + _length(len(raw)))
        size += len(raw) + len(key)
        if len(raw) > CHUNK:
            yield b"".join(parts)
            yield raw
            parts.clear()
            size = 0
        else:
            add(raw)
        add(_facts(record))
        add(observed)
        if staged:
            exact = record.exact
            add(_TRUE if record.deleted else _FALSE)
            add(_NULL if exact is None else _length(len(exact)) + exact)
        if size > CHUNK:
            yield b"".join(parts)
            parts.clear()
            size = 0
    add(_TRAILER)
    yield b"".join(parts)


def _facts(record: Record) -> bytes:
    version, updated_at = record.version, record.updated_at
    if version is not None and updated_at is not None:
        return _known(16, record.digest, 8, version, 8, (updated_at - _POSTGRES_EPOCH) // _MICROSECOND)
    return (
        _HASH
        + record.digest
        + (_NULL if version is None else _bigint(8, version))
        + (_NULL if updated_at is None else pack_time(updated_at))
    )


def sift_arrays(rows: Sequence[Row]) -> dict[str, bytes]:
    """What tells whether a record has to be written, without the record itself."""
    count = len(rows)
    deleted = [_TRUE if record.deleted else _FALSE for record, _ in rows]
    versions = [_NULL if (version := record.version) is None else _bigint(8, version) for record, _ in rows]
    return {
        "keys": _array("text", count, _texts(record.key.encode() for record, _ in rows)),
        "hashes": _array("uuid", count, [_HASH, _HASH.join([record.digest for record, _ in rows])]),
        "versions": _array("int8", count, versions),
        "deleted": _array("bool", count, deleted),
        "observed": _array("timestamptz", count, [observed for _, observed in rows]),
    }


def moved_arrays(rows: Sequence[Row]) -> dict[str, bytes]:
    """All of a record but its content."""
    updated = [
        _NULL if (updated_at := record.updated_at) is None else pack_time(updated_at) for record, _ in rows
    ]
    return {**sift_arrays(rows), "updated": _array("timestamptz", len(rows), updated)}


def row_arrays(rows: Sequence[Row]) -> dict[str, bytes]:
    """Whole records, for few of them."""
    return {
        **moved_arrays(rows),
        "raws": _array("json", len(rows), _texts(record.raw for record, _ in rows)),
    }


def gone_arrays(gone: Sequence[tuple[Gone, bytes]]) -> dict[str, Any]:
    """What `bury_records` asks for, in the order of the keys."""
    listed = sorted(gone, key=lambda one: one[0].key)
    return {
        "gone": [one.key for one, _ in listed],
        "reasons": [one.reason for one, _ in listed],
        "gone_at": _array("timestamptz", len(listed), [at for _, at in listed]),
    }


def _texts(values: Iterable[bytes]) -> list[bytes]:
    return [piece for value in values for piece in (_length(len(value)), value)]


def _array(kind: str, count: int, elements: Sequence[bytes]) -> bytes:
    packed, _, element = _ARRAYS[kind]
    # One dimension that begins at 1; the second number says that NULLs may be among the elements.
    return packed(b"".join([_array_head(1, 1, element, count, 1), *elements]))
