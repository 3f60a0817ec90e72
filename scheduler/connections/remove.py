"""How does a connection go without a trace: its streams, runs, cursors, records and history?

The rows that a worker's fence looks for go first, the records after, in one transaction: a page that was committed
before is deleted with the rest, and one that is being loaded is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.connections.current import queries
from scheduler.connections.resolve import find_connection_in
from scheduler.connections.transactions import Transaction, execute, retrying
from worker.db.database import Database


@dataclass(frozen=True, slots=True)
class Removed:
    """What went."""

    connection_id: int
    name: str
    environment: str
    streams: int
    records: int


def remove_connection(database: Database, name: str, environment: str | None = None) -> Removed:
    """Delete the connection and everything that came through it. Raises `NotFound`."""

    def work() -> Removed:
        with database.transaction() as tx:
            execute(tx, queries.lock_apply)
            row = find_connection_in(tx, name, environment)
            streams, records = delete_connections(tx, [row["id"]])
            return Removed(row["id"], row["name"], row["environment"], streams, records)

    return retrying(work)


def delete_connections(tx: Transaction, connection_ids: Sequence[int]) -> tuple[int, int]:
    """The same for several, in the caller's transaction; how many streams and records went."""
    params = {"connections": list(connection_ids)}
    execute(tx, queries.delete_open_runs, params)
    streams = execute(tx, queries.delete_streams, params)
    gone = {"streams": [row["id"] for row in streams], "buckets": [row["bucket"] for row in streams]}
    records = tx.execute(queries.delete_records, gone).rowcount
    execute(tx, queries.delete_run_history, params)
    execute(tx, queries.delete_connections, params)
    return len(streams), records
