"""Events of webhooks: the work that they are, what was refused, and how well they tell."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import INET, JSONB, UUID

from worker.db.tables.parts import EMPTY, NOW, UUID7, count, metadata, time

events = Table(
    "events",
    metadata,
    Column("id", UUID, primary_key=True, server_default=UUID7),
    Column("connection_id", BigInteger, nullable=False),
    Column("stream_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text),
    Column("type", Text),
    Column("event_key", Text, nullable=False),
    Column("record", LargeBinary),
    time("said_at"),
    time("received_at", null=False, default=NOW),
    Column("request_id", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("run_id", UUID),
    count("attempts", SmallInteger),
    time("not_before"),
    Column("outcome", Text),
    Column("error", Text),
    time("done_at"),
    Index("events_pending", "stream_id", "id", postgresql_where=text("state = 'pending'")),
    Index("events_connection", "connection_id", text("id DESC")),
    Index("events_record", "stream_id", "key", "received_at"),
    Index("events_failed", text("id DESC"), postgresql_where=text("state = 'failed'")),
    postgresql_partition_by="RANGE (id)",
)

untold_changes = Table(
    "untold_changes",
    metadata,
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    time("found_at", null=False, default=NOW),
    time("changed_at"),
    Index("untold_changes_found", "found_at"),
)

event_keys = Table(
    "event_keys",
    metadata,
    Column("connection_id", BigInteger, primary_key=True),
    Column("key", Text, primary_key=True),
    time("received_at", null=False, default=NOW),
    Index("event_keys_age", "received_at"),
)

webhook_refusals = Table(
    "webhook_refusals",
    metadata,
    Column("id", UUID, primary_key=True, server_default=UUID7),
    Column("connection_id", BigInteger),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("headers", JSONB, nullable=False, server_default=EMPTY),
    Column("body", Text),
    Column("source", INET),
    Column("request_id", Text, nullable=False),
    Index("webhook_refusals_connection", "connection_id", text("id DESC")),
)

webhook_counts = Table(
    "webhook_counts",
    metadata,
    Column("connection_id", BigInteger, primary_key=True),
    Column("stream_id", BigInteger, primary_key=True, server_default=text("0")),
    Column("day", Date, primary_key=True, server_default=text("CURRENT_DATE")),
    count("received"),
    count("repeated"),
    count("refused"),
    count("told"),
    count("missed"),
    count("unheard"),
)

webhook_listeners = Table(
    "webhook_listeners",
    metadata,
    Column("id", UUID, primary_key=True),
    time("opened_at", null=False, default=NOW),
    time("seen_at", null=False, default=NOW),
    time("closed_at"),
    Index("webhook_listeners_seen", "seen_at"),
)

webhook_registrations = Table(
    "webhook_registrations",
    metadata,
    Column("connection_id", BigInteger, primary_key=True),
    Column("topic", Text, primary_key=True, server_default=""),
    Column("remote_id", Text),
    Column("settled", Boolean, nullable=False, server_default=false()),
    Column("state", Text, nullable=False, server_default="wanted"),
    Column("url", Text, nullable=False),
    time("expires_at"),
    time("next_at", null=False, default=NOW),
    count("claim_no", Integer),
    count("attempts", Integer),
    Column("error", Text),
    Column("parting", JSONB),
    time("created_at", null=False, default=NOW),
    time("updated_at", null=False, default=NOW),
    Index("webhook_registrations_due", "next_at"),
)
