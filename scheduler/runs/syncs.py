"""Somebody wants something done now: which runs is that?

The command line and the API come through here, and from here through the one door of the ledger. All runs are committed
together or none; messages go out after that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from scheduler.access.audit import Actor, note_act
from scheduler.connections.resolve import streams_of, unknown_stream
from worker.db.database import Database
from worker.errors import InvalidInput
from worker.runs.request import Requested, request_run
from worker.runs.states import Lane
from worker.runs.wakeups.publish import publish


class Refused(InvalidInput):
    """What was asked for is known, and can't be done as things stand: paused, switched off."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run that will do what was asked for one stream."""

    id: UUID
    stream_id: int
    stream: str
    created: bool
    """False: a queued run was there already and does this, too."""


def request_sync(
    database: Database,
    connection: Mapping[str, Any],
    names: Sequence[str] | None,
    *,
    cause: Literal["api", "cli"],
    request_id: str,
    track: str = "live",
    scope: Mapping[str, Any] | None = None,
    actor: Actor,
) -> list[Wanted]:
    """Ask for a run of each named stream, or of all that are switched on. `connection` is its row; `actor` is noted."""
    chosen = choose_streams(database, connection, names)
    with database.transaction() as transaction:
        runs = [
            request_run(
                transaction,
                stream_id=stream["id"],
                system=connection["system"],
                lane=Lane.ON_DEMAND,
                cause=cause,
                request_id=request_id,
                track=track,
                scope=scope,
            )
            for stream in chosen
        ]
        detail = {"track": track, "streams": [stream["name"] for stream in chosen[:20]], "count": len(chosen)}
        _note(transaction, actor, connection, detail)
    publish((run.id, run.queue) for run in runs if run.ready)
    return [
        Wanted(run.id, stream["id"], stream["name"], run.created)
        for run, stream in zip(runs, chosen, strict=True)
    ]


def request_one(
    database: Database,
    connection: Mapping[str, Any],
    stream: Mapping[str, Any],
    *,
    lane: Lane,
    cause: str,
    request_id: str,
    track: str,
    scope: Mapping[str, Any],
    actor: Actor | None = None,
) -> Requested:
    """Ask for one run of one stream, whatever its connection may do now. Both are rows."""
    with database.transaction() as transaction:
        run = request_run(
            transaction,
            stream_id=stream["id"],
            system=connection["system"],
            lane=lane,
            cause=cause,
            request_id=request_id,
            track=track,
            scope=scope,
        )
        if actor is not None:
            detail = {"track": track, "streams": [stream["name"]], "scope": sorted(scope)}
            _note(transaction, actor, connection, detail)
    if run.ready:
        publish([(run.id, run.queue)])
    return run


def _note(
    transaction: psycopg.Connection[DictRow],
    actor: Actor,
    connection: Mapping[str, Any],
    detail: Mapping[str, Any],
) -> None:
    note_act(transaction, actor, "sync.request", connection["name"], about=connection, detail=detail)


def refuse_paused(connection: Mapping[str, Any]) -> None:
    """`Refused` where nothing of the connection may run."""
    if connection["paused_at"] is not None:
        raise Refused(
            "connection_paused",
            f"{connection['name']} is paused.",
            hint=f"`headrace resume {connection['name']}` lets it go on.",
        )


def choose_streams(
    database: Database, connection: Mapping[str, Any], names: Sequence[str] | None
) -> list[Mapping[str, Any]]:
    """The named streams, or all that are switched on; `Refused` where nothing may run now."""
    refuse_paused(connection)
    return _choose(connection["name"], streams_of(database, connection["id"]), names)


def _choose(
    connection: str, streams: Sequence[Mapping[str, Any]], names: Sequence[str] | None
) -> list[Mapping[str, Any]]:
    if names is None:
        chosen = [stream for stream in streams if stream["enabled"]]
        if not chosen:
            raise Refused("no_streams", f"{connection} has no stream that is switched on.")
        return chosen
    known = {stream["name"]: stream for stream in streams}
    for name in names:
        if name not in known:
            raise unknown_stream(connection, name, sorted(known))
        if not known[name]["enabled"]:
            raise Refused(
                "stream_off",
                f"The stream {name} of {connection} is switched off.",
                hint="Switch it on in the connections file and apply it.",
            )
    return [known[name] for name in dict.fromkeys(names)]
