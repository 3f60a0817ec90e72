"""What is synced: connections, their streams, and how far each has been read."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from worker.db.tables.parts import EMPTY, NOW, count, metadata, time

connections = Table(
    "connections",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("environment", Text, nullable=False, server_default="live"),
    Column("file_id", Text),
    Column("system", Text, nullable=False),
    Column("tenant", Text),
    Column("labels", JSONB, nullable=False, server_default=EMPTY),
    Column("budget", Text),
    Column("settings", JSONB, nullable=False, server_default=EMPTY),
    Column("secrets", JSONB, nullable=False, server_default=EMPTY),
    Column("applied", JSONB),
    time("paused_at"),
    time("created_at", null=False, default=NOW),
    time("updated_at", null=False, default=NOW),
    UniqueConstraint("environment", "name", name="connections_name_key"),
    UniqueConstraint("environment", "file_id", name="connections_file_id_key"),
)

streams = Table(
    "streams",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("connection_id", BigInteger, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("bucket", SmallInteger, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("schedule", JSONB, nullable=False),
    Column("history_days", Integer),
    time("next_run_at"),
    Column("place", BigInteger),
    time("history_done_at"),
    Column("last_run_id", UUID),
    Column("last_outcome", Text),
    time("last_finished_at"),
    time("last_success_at"),
    Column("last_error_code", Text),
    Column("last_error", Text),
    count("failures", Integer),
    time("created_at", null=False, default=NOW),
    UniqueConstraint("connection_id", "name", name="streams_name_key"),
    Index("streams_due", "next_run_at", postgresql_where=text("next_run_at IS NOT NULL")),
)

cursors = Table(
    "cursors",
    metadata,
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("track", Text, primary_key=True),
    Column("slice", Text, primary_key=True, server_default=""),
    Column("window_since", JSONB),
    Column("window_until", JSONB),
    Column("position", JSONB),
    Column("watermark", JSONB),
    time("finished_at"),
    time("updated_at", null=False, default=NOW),
)
