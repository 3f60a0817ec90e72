"""How is a record removed for good? From every table, with word of its end in the feed, and so that it doesn't come back.

In three steps, each harmless when done again. The erasure is noted first: who claims a run from then on has the screen.
Then the runs that were claimed before are taken from their workers, whose pages in flight the fence refuses. Then nothing
can bring the record back, and it is removed everywhere. What Postgres itself keeps for a while (dead rows until they are
vacuumed, the write-ahead log, backups) is beyond us: docs/privacy.md says what to do. Emits: record_erased.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from scheduler.access.audit import COMMAND_LINE, Actor, note_act
from scheduler.connections.transactions import Transaction, execute, retrying
from scheduler.keeping.erasure.take_back import take_back_runs
from worker.config import Settings
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.engine.keep.digests import PrivacyKey, privacy_key
from worker.errors import InvalidInput, NeedsOperator, NotFound
from worker.parsing.sent_json import read_sent
from worker.runs.wakeups.publish import Wakeup

log = structlog.get_logger()

sql = load_queries("scheduler.keeping.erasure", "erase.sql")

PLACES = (
    "record", "record_versions", "quarantine", "suspects", "swept_pages", "verifications", "pending_deliveries", "events",
    "event_keys", "untold_changes", "webhook_refusals", "idempotency_keys", "cursors", "runs", "run_history", "streams",
)  # fmt: skip
"""In the order in which they are emptied; the statement of each is `erase_<place>`."""
TELLING = 6
"""Texts shorter than this say nothing of whom they are about."""
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Erased:
    """What went, by place, and the runs to be woken."""

    removed: Mapping[str, int]
    wakeups: tuple[Wakeup, ...]

    @property
    def was_there(self) -> bool:
        return self.removed["record"] > 0


def erase_record(
    database: Database,
    settings: Settings,
    stream: Mapping[str, Any],
    key: str,
    reason: str | None = None,
    *,
    actor: Actor = COMMAND_LINE,
    connection: Mapping[str, Any] | None = None,
) -> Erased:
    """Remove the record of this key, whether the copy holds it or not. Raises `NeedsOperator` without a privacy key.

    Who had it erased is noted, with the connection's row, and nothing of the record.
    """
    if not key or "\0" in key:
        raise InvalidInput(
            "bad_key", "This is no record's key.", hint="Give it as `headrace records` shows it."
        )
    secret = privacy_key(settings)
    erasure = _note(database, stream, secret, key, reason, by=(actor, connection))
    wakeups = take_back_runs(database, stream)
    removed = retrying(lambda: _remove(database, stream, key, erasure))
    log.info("record_erased", stream_id=stream["id"], erasure=str(erasure), removed=dict(removed))
    return Erased(removed, wakeups)


def allow_again(
    database: Database,
    settings: Settings,
    stream: Mapping[str, Any],
    key: str | None,
    *,
    actor: Actor = COMMAND_LINE,
    connection: Mapping[str, Any] | None = None,
) -> int:
    """Let the record come back at the next sync that reads it; None: all of the stream. How many erasures went."""
    digest = None if key is None else privacy_key(settings).of_key(stream["id"], key)
    with database.transaction() as tx:
        gone = execute(tx, sql.allow_again, {"stream": stream["id"], "digest": digest})
        execute(tx, sql.note_allowed, {"stream": stream["id"]})
        if gone:
            detail = {"count": len(gone)}
            note_act(tx, actor, "record.allow", f"stream {stream['name']}", about=connection, detail=detail)
    if not gone:
        what = "Nothing" if key is None else "No such record"
        raise NotFound("not_erased", f"{what} was erased from this stream.")
    return len(gone)


def _note(
    database: Database,
    stream: Mapping[str, Any],
    secret: PrivacyKey,
    key: str,
    reason: str | None,
    *,
    by: tuple[Actor, Mapping[str, Any] | None],
) -> Any:
    params = {
        "stream": stream["id"],
        "digest": secret.of_key(stream["id"], key),
        "mark": secret.mark,
        "reason": reason and reason[:LONGEST_REASON],
    }
    with database.transaction() as tx:
        if execute(tx, sql.other_marks, params)[0]["found"]:
            raise NeedsOperator(
                "privacy_key_changed",
                "Records were erased from this stream with another key than the one behind HEADRACE_PRIVACY_KEY.",
                hint="Give it the key that it had then, or let all of them come back: --allow-all.",
            )
        erasure = execute(tx, sql.note_erasure, params)[0]["id"]
        actor, connection = by
        note_act(
            tx,
            actor,
            "record.erase",
            f"stream {stream['name']}",
            about=connection,
            detail={"erasure": str(erasure)},
        )
        return erasure


def _remove(database: Database, stream: Mapping[str, Any], key: str, erasure: Any) -> dict[str, int]:
    place = {"stream": stream["id"], "bucket": stream["bucket"], "key": key}
    with database.transaction() as tx:
        needles = sorted(telling(key, (row["raw"] for row in execute(tx, sql.contents_of, place))))
        params = {
            **place,
            "erasure": erasure,
            "needles": needles,
            "quoted": json.dumps(key, ensure_ascii=False),
        }
        return {name: _count(tx, getattr(sql, f"erase_{name}"), params) for name in PLACES}


def _count(tx: Transaction, statement: str, params: Mapping[str, Any]) -> int:
    return tx.execute(statement, params).rowcount


def telling(key: str, contents: Iterable[str]) -> set[str]:
    """By which words the record is found where it has no key: its texts, as they read and as JSON escapes them."""
    found = {key}
    for content in contents:
        found.update(_texts(read_sent(content)))
    long = {text for text in found if len(text) >= TELLING and "\0" not in text}
    return long | {json.dumps(text)[1:-1] for text in long}


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for below in value.values():
            yield from _texts(below)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
