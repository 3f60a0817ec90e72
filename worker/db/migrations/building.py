"""How is an index built over tables that may hold millions of rows and are written to all the time?

Beside that, partition by partition, and not in a transaction. Whoever dies here is followed by another who goes on where it
stopped; a partition that is made meanwhile has its part from the start.
"""

from collections.abc import Iterator

import sqlalchemy

MISSING = """
SELECT t.relid::regclass::text AS name FROM pg_partition_tree('{table}') t
 WHERE t.isleaf AND NOT EXISTS (
       SELECT FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
        WHERE i.indrelid = t.relid AND h.inhparent = '{index}'::regclass)
 ORDER BY 1
"""
VALID = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('{index}') AND indisvalid"


def build_parted(connection: sqlalchemy.Connection, index: str, table: str, on: str) -> None:
    """An index of a table in partitions; its name begins with the table's."""
    _run(connection, f"CREATE INDEX IF NOT EXISTS {index} ON ONLY {table} {on}")
    for partition in _names(connection, MISSING.format(table=table, index=index)):
        part = f"{partition}_{index.removeprefix(f'{table}_')}"
        _build(connection, part, partition, on)
        _run(connection, f"ALTER INDEX {index} ATTACH PARTITION {part}")


def build_whole(connection: sqlalchemy.Connection, index: str, table: str, on: str) -> None:
    """An index of any other table."""
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
