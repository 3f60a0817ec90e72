"""How does a connection go without a trace: its streams, runs, cursors, records and history?

For everybody who looks it is gone at once, in one transaction, with the rows that a worker's fence looks for: a page that is
being loaded is refused from then on. Millions of records would make that transaction hold up the whole cluster's change
feed, so they follow in batches (`scheduler.beat.upkeep.retention`), found by the numbers of their streams.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.access.audit import COMMAND_LINE, Actor, note_act
from scheduler.connections.current import queries
from scheduler.connections.resolve import find_connection_in
from scheduler.connections.transactions import Transaction, execute, retrying
from worker.db.database import Database
from worker.views.tending import take_views


@dataclass(frozen=True, slots=True)
class Removed:
    """What went."""

    connection_id: int
    name: str
    environment: str
    streams: int
    records: int


def remove_connection(
    database: Database, name: str, environment: str | None = None, *, actor: Actor = COMMAND_LINE
) -> Removed:
    """Delete the connection and everything that came through it. Raises `NotFound`."""

    def work() -> Removed:
        with database.transaction() as tx:
            execute(tx, queries.lock_apply)
            row = find_connection_in(tx, name, environment)
            streams, records = delete_connections(tx, [row["id"]])
            detail = {"streams": streams, "records": records}
            note_act(tx, actor, "connection.delete", row["name"], about=row, detail=detail)
            return Removed(row["id"], row["name"], row["environment"], streams, records)

    return retrying(work)


def delete_connections(tx: Transaction, connection_ids: Sequence[int]) -> tuple[int, int]:
    """The same for several, in the caller's transaction; how many streams went, and records are to follow."""
    params = {"connections": list(connection_ids)}
    records = sum(row["records"] for row in execute(tx, queries.count_records, params))
    execute(tx, queries.delete_open_runs, params)
    streams = execute(tx, queries.delete_streams, params)
    gone = {"streams": [row["id"] for row in streams], "buckets": [row["bucket"] for row in streams]}
    execute(tx, queries.note_removed, gone)
    take_views(tx, connection_ids)
    execute(tx, queries.delete_run_history, params)
    execute(tx, queries.part_registrations, params)
    execute(tx, queries.delete_connections, params)
    return len(streams), records
