"""Which of these records does Postgres refuse, and where are they kept? Asked only after it refused a whole page."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
import xxhash

from worker.connectors.contract import Record, Rejected
from worker.db.database import Database
from worker.db.queries import sql
from worker.db.words import storable
from worker.engine.loading.rows import Row
from worker.runs.claim import Run

REJECTED_RAW = 256 * 1024
REASON_WORDS = 1000
ASKED_AT_ONCE = 4 * 1024 * 1024
"""Bytes; a page may hold a hundred times as many."""


def find_refused(database: Database, rows: Sequence[Row], refusal: psycopg.Error) -> set[int]:
    """The places of the records that are to blame; raises the refusal where none is."""
    found: set[int] = set()
    asked: list[int] = []
    size = 0
    for place, (record, _) in enumerate(rows):
        asked.append(place)
        size += len(record.raw)
        if size >= ASKED_AT_ONCE or place == len(rows) - 1:
            found |= _refused_among(database, rows, asked)
            asked, size = [], 0
    if not found:
        raise refusal
    return found


def _refused_among(database: Database, rows: Sequence[Row], places: Sequence[int]) -> set[int]:
    try:
        raws = [rows[place][0].raw.decode() for place in places]
        return {places[row["place"]] for row in database.all(sql.broken_records, {"raws": raws})}
    except psycopg.Error:
        return {place for place in places if not _takes(database, rows[place][0])}


def _takes(database: Database, record: Record) -> bool:
    """Ask for one record alone: nesting too deep ends the statement that asks, too."""
    try:
        database.all(sql.takes_record, {"raw": record.raw.decode(), "key": record.key})
    except psycopg.Error:
        return False
    return True


def quarantine(run: Run, page: int, rejected: Sequence[Rejected]) -> dict[str, Any]:
    """The parameters of `quarantine_records`."""
    once = {xxhash.xxh3_128_digest(bad.raw): bad for bad in rejected}
    return {
        "stream": run.stream_id,
        "run": run.id,
        "page": page,
        "hashes": [UUID(bytes=digest) for digest in once],
        "keys": [None if bad.key is None else storable(bad.key) for bad in once.values()],
        "codes": [bad.code for bad in once.values()],
        "reasons": [storable(bad.reason)[:REASON_WORDS] for bad in once.values()],
        "raws": [bad.raw[:REJECTED_RAW] for bad in once.values()],
    }
