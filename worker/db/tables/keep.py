"""Earlier versions of records, what was erased, and what is on its way out."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSON, UUID

from worker.db.tables.parts import NOW, UUID7, metadata, time

record_versions = Table(
    "record_versions",
    metadata,
    Column("stream_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    time("valid_from", null=False),
    time("valid_to", null=False),
    Column("raw", JSON, nullable=False),
    Column("exact", LargeBinary),
    Column("content_hash", UUID, nullable=False),
    Column("version", BigInteger),
    time("observed_at", null=False),
    time("source_updated_at"),
    time("first_seen_at", null=False),
    time("deleted_at"),
    Column("delete_reason", Text),
    Column("change_kind", Text, nullable=False),
    Column("cause_id", UUID, nullable=False),
    Column("ended_by", UUID, nullable=False),
    Index("record_versions_key", "stream_id", "key", "valid_to"),
    Index("record_versions_ended", "ended_by"),
    Index("record_versions_cause", "cause_id"),
    postgresql_partition_by="RANGE (valid_to)",
)

erasures = Table(
    "erasures",
    metadata,
    Column("id", UUID, primary_key=True, server_default=UUID7),
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), nullable=False),
    Column("key_digest", LargeBinary, nullable=False),
    Column("made_with", LargeBinary, nullable=False),
    Column("reason", Text),
    time("erased_at", null=False, default=NOW),
    UniqueConstraint("stream_id", "key_digest", name="erasures_key"),
)

removed_streams = Table(
    "removed_streams",
    metadata,
    Column("stream_id", BigInteger, primary_key=True, autoincrement=False),
    Column("bucket", SmallInteger, nullable=False),
    time("removed_at", null=False, default=NOW),
)

storage_samples = Table(
    "storage_samples",
    metadata,
    time("taken_at", null=False, default=NOW),
    Column("bytes", BigInteger, nullable=False),
    Column("free_bytes", BigInteger),
    Column("disk_bytes", BigInteger),
)
