"""The change feed: its epoch, who reads it from where, and what goes out."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from worker.db.tables.parts import NOW, Xid8, count, metadata, time

feed_state = Table(
    "feed_state",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", Integer, nullable=False, server_default=text("1")),
    Column("identity", Text),
    time("opened_at", null=False, default=NOW),
    count("floor_epoch", Integer),
    Column("floor_xid", Xid8, nullable=False, server_default=text("'0'::xid8")),
    count("floor_seq"),
)

feed_consumers = Table(
    "feed_consumers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", Text, nullable=False),
    time("created_at", null=False, default=NOW),
    time("committed_at", null=False, default=NOW),
    Column("environment", Text),
    Column("tenants", ARRAY(Text)),
    Column("connections", ARRAY(BigInteger)),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("connection_id", BigInteger, ForeignKey("connections.id", ondelete="CASCADE")),
    Column("stream", Text),
    Column("kinds", ARRAY(Text)),
    Column("state", Text, nullable=False, server_default="active"),
    Column("reason", Text),
    Column("position", Text, nullable=False),
    time("replay_since"),
    Column("replay_until", Text),
    count("attempt", Integer),
    time("failing_since"),
    time("next_at"),
    time("woken_at"),
    count("claim_no"),
    time("lease_until"),
    count("delivered"),
    time("last_success_at"),
    time("last_failure_at"),
    Column("last_error", Text),
    time("created_at", null=False, default=NOW),
    Column("environment", Text),
    Column("tenants", ARRAY(Text)),
    Column("connections", ARRAY(BigInteger)),
    Column("labels", JSONB),
    Index("subscriptions_connection", "connection_id"),
)

pending_deliveries = Table(
    "pending_deliveries",
    metadata,
    Column(
        "subscription_id", BigInteger, ForeignKey("subscriptions.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    time("next_at"),
    Column("error", Text, nullable=False),
    time("failed_at", null=False, default=NOW),
    Index(
        "pending_deliveries_due", "subscription_id", "next_at", postgresql_where=text("next_at IS NOT NULL")
    ),
    Index("pending_deliveries_stream", "stream_id"),
)
