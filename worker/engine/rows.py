"""Records as rows of Postgres' binary COPY: packed by hand, because this is where a first load spends its time.

Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". The columns are those of `copy_staged`.
"""

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from worker.connectors.contract import Record

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!II", 0, 0)
TRAILER = struct.pack("!h", -1)

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_row_and_length = struct.Struct("!hi").pack
_length = struct.Struct("!i").pack
_hash_length = _length(16)
_bigint = struct.Struct("!iq").pack
_NULL = _length(-1)
_TRUE = _length(1) + b"\x01"
_FALSE = _length(1) + b"\x00"


def pack_rows(records: Iterable[Record]) -> bytes:
    """All rows of a page as one COPY body."""
    parts = [HEADER]
    add = parts.append
    for record in records:
        key = record.key.encode()
        raw = record.raw
        version = record.version
        updated_at = record.updated_at
        add(_row_and_length(6, len(key)))
        add(key)
        add(_length(len(raw)))
        add(raw)
        add(_hash_length)
        add(record.digest)
        add(_NULL if version is None else _bigint(8, version))
        add(_NULL if updated_at is None else _bigint(8, (updated_at - _POSTGRES_EPOCH) // _MICROSECOND))
        add(_TRUE if record.deleted else _FALSE)
    add(TRAILER)
    return b"".join(parts)
