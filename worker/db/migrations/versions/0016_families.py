"""Children of one parent are found by how their keys begin, however the database sorts its texts.

Where that is by bytes the primary key finds them. Elsewhere an index of its own does, which holds the keys of several fields:
they begin with a bracket.
"""

from alembic import op

from worker.db.migrations.building import build_parted

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# ICU sorts by language even where the collation is called C.
BY_BYTES = """
CREATE OR REPLACE FUNCTION headrace_sorts_by_bytes() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT datlocprovider = 'b' OR (datlocprovider = 'c' AND datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8'))
      FROM pg_database WHERE datname = current_database()
$$
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        connection.exec_driver_sql(BY_BYTES)
        if not connection.exec_driver_sql("SELECT headrace_sorts_by_bytes()").scalar_one():
            on = """(stream_id, key COLLATE "C") WHERE key LIKE '[%%'"""
            build_parted(connection, "records_families", "records", on)


def downgrade() -> None:
    raise NotImplementedError("Nothing here is in the way of an older version.")
