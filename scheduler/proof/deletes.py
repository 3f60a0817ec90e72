"""What do people see of deletes, and how do they decide on those that are held?

`accept` asks for a run that buries exactly what the fuse held when it was set, as far as it is still missing; `reject`
forgets all suspects, and the next sweep begins anew. The command line and the API come through here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from scheduler.access.audit import COMMAND_LINE, Actor, note_act
from scheduler.connections.view import EVERYTHING, View
from scheduler.runs.syncs import Refused, refuse_paused, request_one
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.runs.wakeups.publish import publish

sql = load_queries("scheduler.proof", "deletes.sql")

Row = Mapping[str, Any]
Cause = Literal["api", "cli"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The run that buries them."""

    run: UUID
    count: int


def held_deletes(
    database: Database,
    connection_id: int | None = None,
    *,
    limit: int = 500,
    after: int = 0,
    view: View = EVERYTHING,
) -> list[DictRow]:
    """Streams whose deletes wait for a decision, as far as `view` shows them; from behind the stream `after`."""
    return database.filtered(
        sql.held_deletes, {"connection": connection_id, "limit": limit, "after": after, **view}
    )


def deletes_of(database: Database, stream: Row) -> DictRow:
    """How it stands with the deletes of one stream."""
    row = database.one(sql.deletes_of, {"stream": stream["id"]})
    assert row is not None  # noqa: S101 - the stream was just found
    return row


def suspects_of(
    database: Database, stream: Row, *, limit: int, after: tuple[bool, str] = (False, "")
) -> list[DictRow]:
    """Those that are missing, with what the copy holds of them: first what a fuse holds, then the others, by key."""
    params = {"stream": stream["id"], "bucket": stream["bucket"], "limit": limit}
    return database.all(sql.suspects_of, params | {"after_free": after[0], "after_key": after[1]})


def request_sweep(database: Database, connection: Row, stream: Row, *, cause: Cause, request_id: str) -> UUID:
    """Ask for a sweep now; `Refused` while the connection is paused."""
    refuse_paused(connection)
    return request_one(
        database,
        connection,
        stream,
        lane=Lane.ON_DEMAND,
        cause=cause,
        request_id=request_id,
        track="sweep",
        scope={},
        actor=COMMAND_LINE,
    ).id


def accept(
    database: Database,
    connection: Row,
    stream: Row,
    *,
    cause: Cause,
    request_id: str,
    number: int | None = None,
    actor: Actor = COMMAND_LINE,
) -> Accepted:
    """Have what is held deleted. `number` is that of the fuse that was looked at; `Refused` if it is another by now."""
    with database.transaction() as transaction:
        fuse = _fuse(transaction, connection, stream, number)
        run = request_run(
            transaction,
            stream_id=stream["id"],
            system=connection["system"],
            lane=Lane.ON_DEMAND,
            cause=cause,
            request_id=request_id,
            track="sweep",
            scope={"accept": fuse["number"]},
        )
        decision = {"accepted_at": datetime.now(UTC).isoformat(), "accepted_by": cause}
        transaction.execute(sql.note_decision, {"stream": stream["id"], "decision": Jsonb(decision)})
        detail = {"stream": stream["name"], "records": fuse["count"], "run": str(run.id)}
        note_act(transaction, actor, "deletes.accept", connection["name"], about=connection, detail=detail)
    if run.ready:
        publish([(run.id, run.queue)])
    return Accepted(run.id, fuse["count"])


def reject(
    database: Database,
    connection: Row,
    stream: Row,
    *,
    number: int | None = None,
    actor: Actor = COMMAND_LINE,
) -> int:
    """Forget who is suspected; how many were."""
    with database.transaction() as transaction:
        _fuse(transaction, connection, stream, number)
        row = transaction.execute(sql.reject_deletes, {"stream": stream["id"]}).fetchone()
        forgotten = int(row["forgotten"]) if row else 0
        detail = {"stream": stream["name"], "records": forgotten}
        note_act(transaction, actor, "deletes.reject", connection["name"], about=connection, detail=detail)
    return forgotten


def _fuse(
    transaction: psycopg.Connection[DictRow], connection: Row, stream: Row, number: int | None
) -> dict[str, Any]:
    row = transaction.execute(sql.lock_fuse, {"stream": stream["id"]}).fetchone()
    fuse: dict[str, Any] | None = row["fuse"] if row else None
    name = f"{connection['name']} {stream['name']}"
    if fuse is None:
        raise Refused(
            "no_held_deletes",
            f"No deletes of {name} are held.",
            hint="`headrace deletes` lists the streams where some are.",
        )
    if number not in {None, fuse["number"]}:
        raise Refused(
            "other_deletes",
            f"Other deletes of {name} are held by now than those that were looked at.",
            hint="Look at them again before you decide.",
        )
    return fuse
