"""What a sweep saw, and what is missing since."""

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, ForeignKey, Identity, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import UUID

from worker.db.tables.parts import NOW, count, metadata, time

sweeps = Table(
    "sweeps",
    metadata,
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", BigInteger, Identity(always=True), primary_key=True),
    Column("run_id", UUID, nullable=False),
    time("started_at", null=False, default=NOW),
    time("read_at"),
    time("finished_at"),
    count("pages", Integer),
    count("keys"),
    count("unreadable"),
    Column("total", BigInteger),
    Column("verdict", Text),
    Column("seen", BigInteger),
    Column("held", BigInteger),
    Column("missing", BigInteger),
    Column("unread", BigInteger),
    count("deleted"),
    Column("again", Boolean, nullable=False, server_default=text("false")),
    Column("words", Text),
)

swept_pages = Table(
    "swept_pages",
    metadata,
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("keys", ARRAY(Text), nullable=False),
    prefixes=["UNLOGGED"],
)

suspects = Table(
    "suspects",
    metadata,
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    time("suspected_at", null=False),
    time("evidence_at", null=False),
    Column("generation", BigInteger, nullable=False),
    Column("missed", Integer, nullable=False, server_default=text("1")),
    Column("reason", Text),
    Column("fuse", BigInteger),
)
