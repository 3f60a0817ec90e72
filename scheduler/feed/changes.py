"""The change feed as people ask for it: by the names of connections and streams, and by words for positions."""

from collections.abc import Sequence
from typing import Any

from scheduler.connections.resolve import find_connection, find_stream
from scheduler.connections.view import EVERYTHING, View
from scheduler.health.looks import Finding
from worker.db.database import Database
from worker.errors import HeadraceError, NotFound
from worker.feed.consumers import Consumer, consumers
from worker.feed.epoch import unreadable
from worker.feed.horizon import LONG, Status, status
from worker.feed.position import Position, parse_position
from worker.feed.reading import Wanted, look, streams_to_read
from worker.parsing.durations import format_duration

BEGINNING, NOW = "beginning", "now"


def position_named(database: Database, text: str, *, place: str | None = None) -> Position:
    """`beginning`, `now`, or a position that was given out."""
    if text == BEGINNING:
        return look(database).snapshot
    return look(database).latest if text == NOW else parse_position(text, place=place)


def wanted_named(
    database: Database,
    connection: str | None,
    stream: str | None,
    kinds: Sequence[str] | None = None,
    *,
    content: bool = True,
    view: View = EVERYTHING,
) -> Wanted:
    """The changes of a connection, of one of its streams, or of all streams of a name. Raises `NotFound`."""
    found = None if connection is None else find_connection(database, connection, view)
    if found is not None and stream is not None:
        find_stream(database, found, stream)
    what = Wanted(
        connection_id=found["id"] if found else None,
        stream=stream,
        kinds=kinds or None,
        content=content,
        view=view,
    )
    if found is None and stream is not None and not streams_to_read(database, what):
        raise NotFound("unknown_stream", f"No connection has a stream {stream!r}.")
    return what


def consumer_json(consumer: Consumer) -> dict[str, Any]:
    """A contract: fields are added, never changed or removed."""
    return {
        "name": consumer.name,
        "position": str(consumer.position),
        "created_at": consumer.created_at,
        "committed_at": consumer.committed_at,
        "behind": {
            "changes": consumer.changes,
            "at_least": consumer.counted_up,
            "seconds": consumer.seconds,
        },
        "expired": consumer.expired,
        "view": dict(consumer.view),
    }


def status_json(found: Status) -> dict[str, Any]:
    """How the feed is, for `changes --status`."""
    return {
        "epoch": found.feed.epoch,
        "end": str(found.feed.latest),
        "held_back": found.held_back,
        "held_back_seconds": round(found.seconds, 1) if found.held_back else 0.0,
        "holders": [
            {"pid": h.pid, "prepared": h.prepared, "database": h.database, "application": h.application,
             "state": h.state, "seconds": h.seconds}
            for h in found.holders
        ],
    }  # fmt: skip


def look_at_feed(database: Database) -> list[Finding]:
    """Does a forgotten transaction hold it back, must a reader begin again, is its cluster known?"""
    try:
        found, readers = status(database), consumers(database)
        row = database.one("SELECT headrace_cluster() AS identity")
    except HeadraceError as exc:
        hint = exc.hint or "Wait, with a beat running: it numbers the records in batches."
        return [Finding("feed", "warn", exc.message, hint)]
    return feed_findings(found, readers, row["identity"] if row else "")


def feed_findings(found: Status, readers: Sequence[Consumer], identity: str) -> list[Finding]:
    """What is to be said of the feed. Pure."""
    findings = []
    for holder in found.holders[:1]:  # the oldest: behind it the others don't matter
        if (holder.seconds or 0.0) >= LONG:
            hint = "End it, or what left it open: until then no change behind it is served. Nothing is lost."
            findings.append(Finding("feed", "warn", f"held back by {holder}", hint))
    for reader in readers:
        if reader.expired:
            hint = f"Let it begin again, or forget it: `headrace consumers delete {reader.name}`."
            words = f"consumer {reader.name} has not read deletions that were forgotten since"
            findings.append(Finding("feed", "warn", words, hint))
    if hidden := unreadable(identity):
        hint = "Allow it, or let consumers begin again after a failover or a restore of files."
        findings.append(Finding("feed", "warn", "; ".join(hidden), hint))
    return findings or [Finding("feed", "ok", _words(found, readers))]


def _words(found: Status, readers: Sequence[Consumer]) -> str:
    slowest = max((reader.seconds or 0.0 for reader in readers), default=0.0)
    behind = f", the slowest {format_duration(slowest)} behind" if readers else ""
    return f"epoch {found.feed.epoch}, {len(readers)} consumers{behind}"
