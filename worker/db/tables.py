"""The tables as SQLAlchemy sees them: for migrations to be held against, and for lists put together from filters.

The SQL of the migrations decides; a test fails where this differs from it.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB, UUID
from sqlalchemy.types import UserDefinedType

metadata = MetaData()

_NOW = text("now()")
_UUID7 = text("headrace_uuid7()")
_EMPTY = text("'{}'::jsonb")


class Xid8(UserDefinedType[int]):
    """A transaction's full 64-bit number."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


def _time(name: str, *, null: bool = True, default: Any = None) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=null, server_default=default)


def _count(name: str, kind: Any = BigInteger, *, default: bool = True) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=text("0") if default else None)


connections = Table(
    "connections",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("environment", Text, nullable=False, server_default="live"),
    Column("file_id", Text),
    Column("system", Text, nullable=False),
    Column("tenant", Text),
    Column("labels", JSONB, nullable=False, server_default=_EMPTY),
    Column("budget", Text),
    Column("settings", JSONB, nullable=False, server_default=_EMPTY),
    Column("secrets", JSONB, nullable=False, server_default=_EMPTY),
    Column("applied", JSONB),
    _time("paused_at"),
    _time("created_at", null=False, default=_NOW),
    _time("updated_at", null=False, default=_NOW),
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
    _time("next_run_at"),
    Column("place", BigInteger),
    _time("history_done_at"),
    Column("last_run_id", UUID),
    Column("last_outcome", Text),
    _time("last_finished_at"),
    _time("last_success_at"),
    Column("last_error_code", Text),
    Column("last_error", Text),
    _count("failures", Integer),
    _time("created_at", null=False, default=_NOW),
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
    _time("finished_at"),
    _time("updated_at", null=False, default=_NOW),
)

runs = Table(
    "runs",
    metadata,
    Column("id", UUID, primary_key=True, server_default=_UUID7),
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), nullable=False),
    Column("connection_id", BigInteger, nullable=False),
    Column("queue", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("track", Text, nullable=False),
    Column("scope", JSONB, nullable=False, server_default=_EMPTY),
    Column("scope_hash", Text, nullable=False, server_default=""),
    Column("lane", SmallInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="queued"),
    _time("not_before", null=False, default=_NOW),
    Column("wait_reason", Text),
    _time("published_at"),
    _count("claim_no", Integer),
    _count("attempt", Integer),
    _count("rescues", SmallInteger),
    Column("alone", Boolean, nullable=False, server_default=text("false")),
    _time("lease_until"),
    Column("worker", Text),
    Column("backend_pid", Integer),
    Column("request_id", Text, nullable=False),
    _time("created_at", null=False, default=_NOW),
    _time("claimed_at"),
    _time("started_at"),
    _time("cancel_requested_at"),
    _count("pages", Integer),
    _count("records_read"),
    _count("records_created"),
    _count("records_updated"),
    _count("records_deleted"),
    _count("records_refused"),
    _count("records_rejected"),
    Column("records_total", BigInteger),
    Column("error_code", Text),
    Column("error", Text),
    Column("steps", JSONB),
    Index(
        "runs_one_queued",
        "stream_id",
        "track",
        "scope_hash",
        unique=True,
        postgresql_where=text("state = 'queued'"),
    ),
    Index("runs_one_running", "stream_id", "track", unique=True, postgresql_where=text("state = 'running'")),
    Index(
        "runs_unpublished",
        "queue",
        "connection_id",
        "lane",
        "not_before",
        postgresql_where=text("state = 'queued' AND published_at IS NULL"),
    ),
    Index(
        "runs_published",
        "queue",
        "published_at",
        postgresql_where=text("state = 'queued' AND published_at IS NOT NULL"),
    ),
    Index(
        "runs_refused",
        "account",
        "not_before",
        postgresql_where=text("state = 'queued' AND wait_reason = 'limit'"),
    ),
    Index("runs_leases", "lease_until", postgresql_where=text("state = 'running'")),
    Index("runs_connection", "connection_id"),
)

run_history = Table(
    "run_history",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("uneventful", Boolean, primary_key=True),
    Column("stream_id", BigInteger, nullable=False),
    Column("connection_id", BigInteger, nullable=False),
    Column("queue", Text, nullable=False),
    Column("track", Text, nullable=False),
    Column("scope", JSONB, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("merged_into", UUID),
    Column("claim_no", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", Text),
    Column("request_id", Text, nullable=False),
    _time("created_at", null=False),
    _time("started_at"),
    _time("finished_at", null=False, default=_NOW),
    _count("pages", Integer, default=False),
    _count("records_read", default=False),
    _count("records_created", default=False),
    _count("records_updated", default=False),
    _count("records_deleted", default=False),
    _count("records_refused", default=False),
    _count("records_rejected", default=False),
    Column("error_code", Text),
    Column("error", Text),
    Column("steps", JSONB),
    Index("run_history_stream", "stream_id", text("id DESC")),
    Index("run_history_connection", "connection_id", text("id DESC")),
    postgresql_partition_by="LIST (uneventful)",
)

records = Table(
    "records",
    metadata,
    Column("bucket", SmallInteger, primary_key=True),
    Column("stream_id", BigInteger, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("raw", JSON, nullable=False),
    Column("content_hash", UUID, nullable=False),
    Column("version", BigInteger),
    _time("observed_at", null=False),
    _time("source_updated_at"),
    _time("first_seen_at", null=False, default=_NOW),
    _time("deleted_at"),
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
    Index("records_feed", "change_xid", "change_seq"),
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
    _time("first_seen_at", null=False, default=_NOW),
    _time("last_seen_at", null=False, default=_NOW),
)

processes = Table(
    "processes",
    metadata,
    Column("id", UUID, primary_key=True, server_default=_UUID7),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("queues", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    _count("slots", Integer),
    Column("version", Text, nullable=False),
    _time("started_at", null=False, default=_NOW),
    _time("seen_at", null=False, default=_NOW),
    _time("ticked_at"),
    Index("processes_seen", "seen_at"),
)

budget_quotas = Table(
    "budget_quotas",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    _time("period", null=False, default=text("'-infinity'")),
    _count("used", default=False),
    _count("lent", default=False),
    Column(
        "fetched", ARRAY(DateTime(timezone=True)), nullable=False, server_default=text("'{}'::timestamptz[]")
    ),
)
