"""What was found when the copy was held against the source, and the fields that records have."""

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from worker.db.tables.parts import EMPTY, NOW, count, metadata, time

stream_fields = Table(
    "stream_fields",
    metadata,
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("path", ARRAY(Text), primary_key=True),
    Column("types", ARRAY(Text), nullable=False),
    Column("state", Text, nullable=False, server_default="new"),
    Column("example", Text),
    count("seen"),
    count("missed"),
    time("first_seen_at", null=False, default=NOW),
    time("last_seen_at", null=False, default=NOW),
    time("changed_at", null=False, default=NOW),
    count("gap"),
    Column("was", ARRAY(Text)),
    time("accepted_at"),
    Index(
        "stream_fields_drifted",
        "stream_id",
        "path",
        postgresql_where=text("state <> 'known' AND (accepted_at IS NULL OR accepted_at < changed_at)"),
    ),
)

verifications = Table(
    "verifications",
    metadata,
    Column("run_id", UUID, primary_key=True),
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), nullable=False),
    time("started_at", null=False),
    time("finished_at", null=False, default=NOW),
    Column("methods", ARRAY(Text), nullable=False),
    Column("scope", JSONB, nullable=False),
    count("allowance", Integer, default=False),
    count("requests", Integer, default=False),
    count("checked", default=False),
    count("copy_records", default=False),
    Column("source_records", BigInteger),
    count("missing", Integer, default=False),
    count("extra", Integer, default=False),
    count("different", Integer, default=False),
    count("pending", Integer, default=False),
    count("repaired", Integer, default=False),
    Column("proven", Boolean, nullable=False),
    Column("words", Text, nullable=False),
    Column("examples", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("waiting", JSONB, nullable=False, server_default=EMPTY),
    Index("verifications_stream", "stream_id", text("run_id DESC")),
)
