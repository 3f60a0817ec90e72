"""Runs of a state that is rare, in a list over all connections: else every run that changed something is looked at.

The table may hold millions of rows, and every run that ends writes there. So the index is built beside them, partition by
partition, and not in a transaction; whoever dies here is followed by another who goes on where it stopped.
"""

from typing import Any

import sqlalchemy
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INDEX = "run_history_wrong"
ON = "(state, id DESC) WHERE state <> 'succeeded'"

# Partitions without their part of the index; one that is made meanwhile has its own from the start.
MISSING = """
SELECT t.relid::regclass::text AS name FROM pg_partition_tree('run_history_eventful') t
 WHERE t.isleaf AND NOT EXISTS (
       SELECT FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
        WHERE i.indrelid = t.relid AND h.inhparent = 'run_history_wrong'::regclass)
 ORDER BY 1
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        _run(connection, f"CREATE INDEX IF NOT EXISTS {INDEX} ON ONLY run_history_eventful {ON}")
        for (partition,) in connection.exec_driver_sql(MISSING).fetchall():
            _build(connection, partition)


def _build(connection: sqlalchemy.Connection, partition: str) -> None:
    part = f"{partition}_wrong"
    # Here nobody waits behind us: it waits for transactions that are older, and holds nothing that they or others want.
    _run(connection, "SET lock_timeout = '10min'", "SET statement_timeout = 0")
    _run(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {part}")  # half of one, of somebody who died
    _run(connection, f"CREATE INDEX CONCURRENTLY {part} ON {partition} {ON}")
    _run(connection, "SET lock_timeout = '4s'", "SET statement_timeout = '10min'")
    _run(connection, f"ALTER INDEX {INDEX} ATTACH PARTITION {part}")


def _run(connection: sqlalchemy.Connection, *statements: Any) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("Nothing here is in the way of an older version.")
