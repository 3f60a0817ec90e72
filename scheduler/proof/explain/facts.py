"""What is known of one record: its row, the run behind it, and all that may keep it from being what the source has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scheduler.runs.lists import read_run
from worker.config import Settings
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.db.words import storable
from worker.engine.keep.digests import privacy_key
from worker.errors import HeadraceError, InvalidInput

sql = load_queries("scheduler.proof.explain", "facts.sql")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows as Postgres gave them; None or nothing where there is none."""

    key: str
    now: datetime
    stream: Row
    record: Row | None = None
    cause: Row | None = None
    """The run that last wrote it, where it is still known."""
    aside: Sequence[Row] = field(default_factory=list)
    suspicion: Row | None = None
    erased_at: datetime | None = None
    may_be_erased: bool = False
    """Records of the stream were erased, and nobody here can tell whether this is one."""
    work: Sequence[Row] = field(default_factory=list)
    verdict: Row | None = None


def gather(database: Database, settings: Settings, stream_id: int, key: str) -> Facts:
    """Ask for all of it. Few look-ups by key: a person asks, now and then."""
    if storable(key) != key:
        raise InvalidInput("bad_key", "No record has such a key: it holds a NUL, or half a character.")
    of = {"stream": stream_id, "key": key}
    stream = database.one(sql.stream_facts, of) or {}
    record = database.one(sql.record_facts, {**of, "bucket": stream["bucket"]})
    cause = record and record["cause_kind"] in ("run", "event") and read_run(database, record["cause_id"])
    erased_at, unknown = _erased(database, settings, stream, key)
    now = database.one("SELECT now() AS now") or {}
    return Facts(
        key,
        now["now"],
        stream,
        record,
        cause or None,
        database.all(sql.set_aside_of, of),
        database.one(sql.suspicion_of, of),
        erased_at,
        unknown,
        database.all(sql.open_work_of, of),
        database.one(sql.verdict_on, of),
    )


def _erased(
    database: Database, settings: Settings, stream: Mapping[str, Any], key: str
) -> tuple[datetime | None, bool]:
    """When it was erased, and whether that can't be told: the key of the digests may not be here."""
    if not stream["erased"]:
        return None, False
    try:
        digest = privacy_key(settings).of_key(stream["id"], key)
    except HeadraceError:
        return None, True
    row = database.one(sql.erasure_of, {"stream": stream["id"], "digest": digest})
    return (row["erased_at"] if row else None), False
