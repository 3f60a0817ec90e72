"""How is a connection stopped for a while, and started again?

Pausing takes the times off its streams and keeps queued runs where they are; what runs already ends its work. Resuming
owes each stream one run, however long the pause was. Both are harmless twice.
"""

from dataclasses import dataclass
from uuid import UUID

from scheduler.access.audit import COMMAND_LINE, Actor, note_act
from scheduler.connections.current import queries
from scheduler.connections.resolve import find_connection_in
from scheduler.connections.transactions import execute, retrying
from worker.db.database import Database
from worker.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Paused:
    """`changed` is False where it was paused already; `running` runs are still at work."""

    connection_id: int
    name: str
    environment: str
    changed: bool
    running: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """`wakeups` are for `worker.runs.wakeups.publish.publish`, now that the commit is done."""

    connection_id: int
    name: str
    environment: str
    changed: bool
    wakeups: tuple[tuple[UUID, str], ...]


class Disconnected(InvalidInput):
    """Nothing can be fetched for it: its secrets were taken away."""


def pause(
    database: Database, name: str, environment: str | None = None, *, actor: Actor = COMMAND_LINE
) -> Paused:
    """Plan no more runs of the connection. Raises `NotFound`."""

    def work() -> Paused:
        with database.transaction() as tx:
            row = find_connection_in(tx, name, environment)
            params = {"connection": row["id"]}
            changed = bool(execute(tx, queries.pause_connection, params))
            execute(tx, queries.clear_next_runs, params)
            if changed:
                note_act(tx, actor, "connection.pause", row["name"], about=row)
            running = execute(tx, queries.count_running, params)[0]["running"]
            return Paused(row["id"], row["name"], row["environment"], changed, running)

    return retrying(work)


def resume(
    database: Database, name: str, environment: str | None = None, *, actor: Actor = COMMAND_LINE
) -> Resumed:
    """Go on. Raises `NotFound`, and `Disconnected`."""

    def work() -> Resumed:
        with database.transaction() as tx:
            row = find_connection_in(tx, name, environment)
            if row["disconnected_at"] is not None:
                raise Disconnected(
                    "connection_disconnected",
                    f"{row['name']} was disconnected: no secret of it is known any more.",
                    hint="Give its secrets again, and it goes on.",
                )
            params = {"connection": row["id"]}
            changed = bool(execute(tx, queries.resume_connection, params))
            woken = []
            if changed:
                note_act(tx, actor, "connection.resume", row["name"], about=row)
                execute(tx, queries.set_next_runs, params)
                woken = execute(tx, queries.wake_queued_runs, params)
            wakeups = tuple((run["id"], run["queue"]) for run in woken)
            return Resumed(row["id"], row["name"], row["environment"], changed, wakeups)

    return retrying(work)
