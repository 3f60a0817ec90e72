"""How is a connection stopped for a while, and started again?

Pausing takes the times off its streams and keeps queued runs where they are; what runs already ends its work. Resuming
owes each stream one run, however long the pause was. Both are harmless twice.
"""

from dataclasses import dataclass
from uuid import UUID

from scheduler.connections.current import queries
from scheduler.connections.resolve import find_connection_in
from scheduler.connections.transactions import execute, retrying
from worker.db.database import Database


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


def pause(database: Database, name: str, environment: str | None = None) -> Paused:
    """Plan no more runs of the connection. Raises `NotFound`."""

    def work() -> Paused:
        with database.transaction() as tx:
            row = find_connection_in(tx, name, environment)
            params = {"connection": row["id"]}
            changed = bool(execute(tx, queries.pause_connection, params))
            execute(tx, queries.clear_next_runs, params)
            running = execute(tx, queries.count_running, params)[0]["running"]
            return Paused(row["id"], row["name"], row["environment"], changed, running)

    return retrying(work)


def resume(database: Database, name: str, environment: str | None = None) -> Resumed:
    """Go on. Raises `NotFound`."""

    def work() -> Resumed:
        with database.transaction() as tx:
            row = find_connection_in(tx, name, environment)
            params = {"connection": row["id"]}
            changed = bool(execute(tx, queries.resume_connection, params))
            woken = []
            if changed:
                execute(tx, queries.set_next_runs, params)
                woken = execute(tx, queries.wake_queued_runs, params)
            wakeups = tuple((run["id"], run["queue"]) for run in woken)
            return Resumed(row["id"], row["name"], row["environment"], changed, wakeups)

    return retrying(work)
