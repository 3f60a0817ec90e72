"""Which fields may no longer be kept of what is stored already? When the rules of a stream change, all of it is screened anew.

Without one request: records, versions and quarantine are gone through in the order of the keys, a batch in a transaction.
Runs that were claimed with the old rules are taken back first. What was left out by older rules can't come back from here; a
record that is read again brings it. Emits: fields_screened, fields_not_screened.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from scheduler.connections.systems import source_of
from scheduler.connections.transactions import Transaction, execute
from scheduler.keeping.erasure.take_back import take_back_runs
from worker.config import Settings
from worker.connectors.contract import Page, Record, Rejected
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.engine.keep.digests import privacy_key
from worker.engine.keep.privacy import FieldScreen, rules_of
from worker.engine.proof.retry import screen_again
from worker.errors import HeadraceError
from worker.runs.wakeups.publish import send_for

log = structlog.get_logger()

sql = load_queries("scheduler.keeping.erasure", "rescreen.sql")

BATCH = 300
"""Rows in memory, and in one transaction."""
SECONDS = 0.3
"""Then other sweeps have their turn; it goes on in the next round."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What may stay of a record."""

    raw: str
    exact: bytes | None
    content_hash: UUID


def rescreen(database: Database, registry: Registry, settings: Settings, *, seconds: float = SECONDS) -> int:
    """Screen what is stored of streams whose rules changed, for a moment; how many streams are done."""
    done, ends = 0, time.monotonic() + seconds
    for stream in database.all(sql.streams_to_screen):
        try:
            screen = _screen_of(registry, settings, stream)
        except HeadraceError as exc:
            log.warning("fields_not_screened", stream_id=stream["id"], error_code=exc.code, error=str(exc))
            continue
        after = stream["screened_to"]
        if after is None:
            send_for(database, take_back_runs(database, stream))
        last: str | None = after or ""
        while last is not None:
            last = _batch(database, stream, screen, last)
            if time.monotonic() >= ends:
                break
        if last is None:
            log.info("fields_screened", stream_id=stream["id"])
            done += 1
        if time.monotonic() >= ends:
            break
    return done


def _screen_of(registry: Registry, settings: Settings, stream: Mapping[str, Any]) -> FieldScreen:
    options = stream["options"]
    bound = source_of(registry, stream).stream(stream["name"])
    digest = privacy_key(settings).of_value if options.get("hash") else str
    screen = screen_again(FieldScreen(rules_of(options), digest, bound.digest))
    assert isinstance(screen, FieldScreen)  # noqa: S101 - of its own kind
    return screen


def _batch(database: Database, stream: Mapping[str, Any], screen: FieldScreen, after: str) -> str | None:
    """Screen the next records with their versions; the last key, or None at the end. Repeating it changes nothing."""
    place = {"stream": stream["id"], "bucket": stream["bucket"], "rules": stream["rules"], "after": after}
    with database.transaction() as tx:
        last = _records(tx, place, screen)
    done = False
    version = {"key": after, "valid_to": "infinity"}
    while not done:
        with database.transaction() as tx:
            rows = execute(tx, sql.next_versions, {**place, **version, "last": last, "batch": BATCH})
            done = len(rows) < BATCH
            _versions(tx, rows, screen)
            version = version if done else {name: rows[-1][name] for name in version}
    if last is not None:
        database.run(sql.note_screened_to, {**place, "last": last})
        return last
    _quarantine(database, place, screen)
    database.run(sql.note_screened, place)
    return None


def _records(tx: Transaction, place: Mapping[str, Any], screen: FieldScreen) -> str | None:
    rows = execute(tx, sql.next_records, {**place, "batch": BATCH})
    changed = {row["key"]: kept for row in rows if (kept := _screened(row, screen)) is not None}
    if changed:
        params = {
            "keys": list(changed),
            "raws": [kept.raw for kept in changed.values()],
            "exacts": [kept.exact for kept in changed.values()],
            "hashes": [kept.content_hash for kept in changed.values()],
        }
        execute(tx, sql.store_records, {**place, **params})
    return rows[-1]["key"] if len(rows) == BATCH else None


def _versions(tx: Transaction, rows: Sequence[Mapping[str, Any]], screen: FieldScreen) -> None:
    for row in rows:
        if (kept := _screened(row, screen)) is not None:
            version = {"raw": kept.raw, "exact": kept.exact, "hash": kept.content_hash}
            execute(tx, sql.store_version, {"part": row["part"], "place": row["place"], **version})


def _screened(row: Mapping[str, Any], screen: FieldScreen) -> _Kept | None:
    """What may stay; None: all of it."""
    exact = None if row["exact"] is None else bytes(row["exact"])
    record = Record(row["key"], row["raw"].encode(), b"", exact=exact)
    kept = next(iter(screen(Page([record])).records), None)
    if kept is record:
        return None
    if kept is None:  # what can't be screened isn't kept
        return _Kept("{}", None, UUID(bytes=screen.content_hash(b"{}")))
    return _Kept(kept.raw.decode(), kept.exact, UUID(bytes=kept.digest))


def _quarantine(database: Database, place: Mapping[str, Any], screen: FieldScreen) -> None:
    above: UUID | None = None
    while True:
        with database.transaction() as tx:
            rows = execute(tx, sql.next_quarantined, {**place, "above": above, "batch": BATCH})
            for row in rows:
                bad = Rejected(bytes(row["raw"]), row["code"], row["reason"], row["key"])
                (kept,) = screen(Page([], [bad])).rejected
                if (kept.raw, kept.reason) != (bad.raw, bad.reason):
                    changed = {"raw": kept.raw, "reason": kept.reason, "hash": row["content_hash"]}
                    execute(tx, sql.store_quarantined, {**place, **changed})
        if len(rows) < BATCH:
            return
        above = rows[-1]["content_hash"]
