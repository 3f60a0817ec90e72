"""Lists that are narrowed: the acts of one customer, person, token or kind, events that failed, fields that drifted, held deletes.

The tables may hold millions of rows and are written to all the time. So each index is built beside that, partition by
partition, and not in a transaction; whoever dies here is followed by another who goes on where it stopped.
"""

from collections.abc import Iterator

import sqlalchemy
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

PARTED = {
    "audit_tenant": ("audit", "(tenant, id DESC) WHERE tenant IS NOT NULL"),
    "audit_actor": ("audit", "(actor, id DESC)"),
    "audit_token": ("audit", "(token_id, id DESC) WHERE token_id IS NOT NULL"),
    "audit_action": ("audit", "(action, id DESC)"),
    "events_failed": ("events", "(id DESC) WHERE state = 'failed'"),
}
WHOLE = {
    "stream_fields_drifted": (
        "stream_fields",
        "(stream_id, path) WHERE state <> 'known' AND (accepted_at IS NULL OR accepted_at < changed_at)",
    ),
    "streams_held": ("streams", "(id) WHERE fuse IS NOT NULL"),
}

# Partitions without their part of an index; one that is made meanwhile has its own from the start.
MISSING = """
SELECT t.relid::regclass::text AS name FROM pg_partition_tree('{table}') t
 WHERE t.isleaf AND NOT EXISTS (
       SELECT FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
        WHERE i.indrelid = t.relid AND h.inhparent = '{index}'::regclass)
 ORDER BY 1
"""
VALID = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('{index}') AND indisvalid"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        for index, (table, on) in PARTED.items():
            _run(connection, f"CREATE INDEX IF NOT EXISTS {index} ON ONLY {table} {on}")
            for partition in _names(connection, MISSING.format(table=table, index=index)):
                part = f"{partition}_{index.removeprefix(f'{table}_')}"
                _build(connection, part, partition, on)
                _run(connection, f"ALTER INDEX {index} ATTACH PARTITION {part}")
        for index, (table, on) in WHOLE.items():
            if next(_names(connection, VALID.format(index=index))) == "0":
                _build(connection, index, table, on)


def _build(connection: sqlalchemy.Connection, index: str, table: str, on: str) -> None:
    # Here nobody waits behind us: it waits for transactions that are older, and holds nothing that they or others want.
    _run(connection, "SET lock_timeout = '10min'", "SET statement_timeout = 0")
    _run(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {index}")  # half of one, of somebody who died
    _run(connection, f"CREATE INDEX CONCURRENTLY {index} ON {table} {on}")
    _run(connection, "SET lock_timeout = '4s'", "SET statement_timeout = '10min'")


def _names(connection: sqlalchemy.Connection, statement: str) -> Iterator[str]:
    return iter([str(name) for (name,) in connection.exec_driver_sql(statement).fetchall()])


def _run(connection: sqlalchemy.Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("Nothing here is in the way of an older version.")
