"""What was set aside, and what is to become of it? The reads and requests behind the command line, the API and beat.

Emits: quarantine_retry_requested, quarantine_discarded.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import structlog
from psycopg.rows import DictRow

from scheduler.access.audit import COMMAND_LINE, Actor, note_act
from scheduler.connections.systems import source_of
from scheduler.connections.view import EVERYTHING, View
from scheduler.runs.lists import id_range
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import HeadraceError, InvalidInput, NotFound
from worker.runs.request import Requested
from worker.runs.states import Lane

sql = load_queries("scheduler.proof", "quarantine.sql")
log = structlog.get_logger()

Stream = Mapping[str, Any]
"""Its row: with its id and name."""


def summary(
    database: Database,
    connection_id: int | None,
    view: View = EVERYTHING,
    *,
    after: tuple[int, str] = (0, ""),
    limit: int | None = None,
) -> list[DictRow]:
    """How much is set aside, by stream and reason, as far as `view` shows it; from behind a stream and reason."""
    params = {"connection": connection_id, "limit": limit, **view}
    return database.filtered(sql.quarantine_of, params | {"after_stream": after[0], "after_code": after[1]})


def list_quarantined(
    database: Database, stream: Stream, *, limit: int, after: tuple[datetime, UUID] | None = None
) -> list[DictRow]:
    """What is set aside of a stream, the latest first, from behind `after`: when it last came, and its id. Without the bytes."""
    seen, last = after or (None, None)
    return database.all(sql.quarantined, {"stream": stream["id"], "limit": limit, "seen": seen, "last": last})


def find_quarantined(
    database: Database, text: str, *, connection_id: int | None = None, stream_id: int | None = None
) -> DictRow:
    """The one whose id is or begins with this, with its bytes."""
    low, high = id_range(text)
    found = database.all(
        sql.quarantined_bytes, {"low": low, "high": high, "connection": connection_id, "stream": stream_id}
    )
    if len(found) > 1 and found[0]["id"] != found[1]["id"]:
        raise InvalidInput("ambiguous_id", f"Several records begin with {text}.", hint="Give more of the id.")
    if not found:
        raise NotFound(
            "unknown_quarantined",
            f"No record that was set aside has the id {text}.",
            hint="`headrace quarantine CONNECTION STREAM` lists them.",
        )
    return found[0]


def request_retry(
    database: Database,
    connection: Mapping[str, Any],
    stream: Stream,
    *,
    cause: Literal["api", "cli", "repair"],
    request_id: str,
    ids: Sequence[UUID] | None = None,
    actor: Actor | None = None,
) -> Requested:
    """Ask for a run that reads them again: all of the stream, or these."""
    from scheduler.runs.syncs import request_one  # noqa: PLC0415 - brings Celery, which a list doesn't need

    wanted = request_one(
        database,
        connection,
        stream,
        lane=Lane.BACKFILL if cause == "repair" else Lane.ON_DEMAND,
        cause=cause,
        request_id=request_id,
        track="records",
        scope={"quarantine": True if ids is None else sorted(map(str, ids))},
        actor=actor,
    )
    log.info("quarantine_retry_requested", stream=stream["name"], run=str(wanted.id), cause=cause)
    return wanted


def discard(
    database: Database,
    connection: Mapping[str, Any],
    stream: Stream,
    ids: Sequence[UUID] | None = None,
    *,
    actor: Actor = COMMAND_LINE,
) -> int:
    """Forget what was set aside: all of the stream, or these; how many there were."""
    hashes = None if ids is None else list(ids)
    with database.transaction() as tx:
        gone = tx.execute(sql.discard_quarantined, {"stream": stream["id"], "hashes": hashes}).rowcount
        detail = {"stream": stream["name"], "records": gone}
        note_act(tx, actor, "quarantine.discard", connection["name"], about=connection, detail=detail)
    log.info("quarantine_discarded", stream=stream["name"], records=gone)
    return gone


def retry_what_is_read_differently(database: Database, registry: Registry) -> int:
    """Where a manifest reads a stream in another way than when its quarantine was last looked at, it is tried again."""
    asked = 0
    for row in database.all(sql.streams_with_quarantine):
        try:
            mark = source_of(registry, row).stream(row["name"]).mark
        except HeadraceError:
            continue  # its runs say what is wrong
        if mark == row["quarantine_shape"]:
            continue
        if row["quarantine_shape"] is not None:
            request_retry(database, row, row, cause="repair", request_id=f"beat-{mark}")
            asked += 1
        database.run(sql.note_quarantine_shape, {"stream": row["id"], "mark": mark})
    return asked
