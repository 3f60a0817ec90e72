"""The copy itself, and what could not be taken into it."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, UUID

from worker.db.tables.parts import NOW, Xid8, metadata, time

records = Table(
    "records",
    metadata,
    Column("bucket", SmallInteger, primary_key=True),
    Column("stream_id", BigInteger, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("raw", JSON, nullable=False),
    Column("content_hash", UUID, nullable=False),
    Column("version", BigInteger),
    time("observed_at", null=False),
    time("source_updated_at"),
    time("first_seen_at", null=False, default=NOW),
    time("deleted_at"),
    Column("cause_kind", Text, nullable=False),
    Column("cause_id", UUID, nullable=False),
    Column("change_xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column(
        "change_seq",
        BigInteger,
        nullable=False,
        server_default=text("nextval('record_change_seq'::regclass)"),
    ),
    Column("change_kind", Text, nullable=False),
    Column("delete_reason", Text),
    Column("exact", LargeBinary),
    Index("records_feed", "change_xid", "change_seq"),
    Index("records_tombstones", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
    postgresql_partition_by="LIST (bucket)",
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("content_hash", UUID, primary_key=True),
    Column("key", Text),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("run_id", UUID, nullable=False),
    Column("page", Integer, nullable=False),
    Column("seen", Integer, nullable=False, server_default=text("1")),
    time("first_seen_at", null=False, default=NOW),
    time("last_seen_at", null=False, default=NOW),
    time("retried_at"),
)
