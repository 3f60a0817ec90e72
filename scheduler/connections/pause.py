"""How is a connection stopped for a while, and started again?

Pausing takes the times off its streams and keeps queued runs where they are; what runs already ends its work. Resuming
owes each stream one run, however long the pause was. Both are harmless twice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID

from psycopg.rows import DictRow

from scheduler.access.audit import COMMAND_LINE, Actor, note_act
from scheduler.connections.current import queries
from scheduler.connections.resolve import find_connection_in
from scheduler.connections.transactions import Transaction, execute, retrying
from scheduler.connections.view import View
from worker.db.database import Database
from worker.errors import InvalidInput

TOGETHER = 500
"""How many are paused in one transaction: workers and beat don't wait for the rows of all of them."""


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
    disconnected: bool = False
    """It can't go on: its secrets were taken away."""


Done = TypeVar("Done", Paused, Resumed)


class Disconnected(InvalidInput):
    """Nothing can be fetched for it: its secrets were taken away."""


def pause(
    database: Database, name: str, environment: str | None = None, *, actor: Actor = COMMAND_LINE
) -> Paused:
    """Plan no more runs of the connection. Raises `NotFound`."""

    def work() -> Paused:
        with database.transaction() as tx:
            [done] = _pause(tx, [find_connection_in(tx, name, environment)], actor)
            return done

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
            [done] = _resume(tx, [row], actor)
            return done

    return retrying(work)


def pause_each(database: Database, view: View, *, actor: Actor = COMMAND_LINE) -> Iterator[Paused]:
    """Pause all that `view` shows, a few hundred in a transaction. It goes on as it is read; doing it again does the rest."""
    return _each(database, view, partial(_pause, actor=actor))


def resume_each(database: Database, view: View, *, actor: Actor = COMMAND_LINE) -> Iterator[Resumed]:
    """The same of resuming. Those that were disconnected stay as they are, and say so."""
    return _each(database, view, partial(_resume, actor=actor))


def _each(
    database: Database, view: View, act: Callable[[Transaction, list[DictRow]], list[Done]]
) -> Iterator[Done]:
    def work(after: int) -> list[Done]:
        with database.transaction() as tx:
            rows = execute(tx, queries.lock_seen, {**view, "after": after, "limit": TOGETHER})
            return act(tx, rows)

    after = 0
    while done := retrying(partial(work, after)):
        yield from done
        after = done[-1].connection_id


def _pause(tx: Transaction, rows: list[DictRow], actor: Actor) -> list[Paused]:
    params = {"connections": [row["id"] for row in rows]}
    changed = {row["id"] for row in execute(tx, queries.pause_connections, params)}
    execute(tx, queries.clear_next_runs, params)
    _note(tx, actor, "connection.pause", rows, changed)
    running = {row["connection_id"]: row["running"] for row in execute(tx, queries.count_running, params)}
    return [
        Paused(row["id"], row["name"], row["environment"], row["id"] in changed, running.get(row["id"], 0))
        for row in rows
    ]


def _resume(tx: Transaction, rows: list[DictRow], actor: Actor) -> list[Resumed]:
    gone = {row["id"] for row in rows if row["disconnected_at"] is not None}
    params = {"connections": [row["id"] for row in rows if row["id"] not in gone]}
    changed = {row["id"] for row in execute(tx, queries.resume_connections, params)}
    woken: dict[int, list[tuple[UUID, str]]] = {}
    if changed:
        params = {"connections": sorted(changed)}
        _note(tx, actor, "connection.resume", rows, changed)
        execute(tx, queries.set_next_runs, params)
        for run in execute(tx, queries.wake_queued_runs, params):
            woken.setdefault(run["connection_id"], []).append((run["id"], run["queue"]))
    return [
        Resumed(
            row["id"],
            row["name"],
            row["environment"],
            row["id"] in changed,
            tuple(woken.get(row["id"], ())),
            disconnected=row["id"] in gone,
        )
        for row in rows
    ]


def _note(tx: Transaction, actor: Actor, action: str, rows: list[DictRow], changed: set[int]) -> None:
    for row in rows:
        if row["id"] in changed:
            note_act(tx, actor, action, row["name"], about=row)
