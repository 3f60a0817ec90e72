"""Who may come in, what they did, and how customers connect their own systems."""

from sqlalchemy import (
    ARRAY,
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
from sqlalchemy.dialects.postgresql import CIDR, INET, JSONB, UUID

from worker.db.tables.parts import EMPTY, NOW, UUID7, metadata, time

tokens = Table(
    "tokens",
    metadata,
    Column("id", UUID, primary_key=True, server_default=UUID7),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("ending", Text, nullable=False),
    Column("connections", ARRAY(BigInteger)),
    Column("tenants", ARRAY(Text)),
    Column("networks", ARRAY(CIDR)),
    Column("secret_prefixes", ARRAY(Text)),
    time("created_at", null=False, default=NOW),
    Column("created_by", UUID),
    time("expires_at"),
    Column("successor", UUID),
    time("revoked_at"),
    time("last_used_at"),
    Column("last_used_from", INET),
    Index("tokens_created", "environment", text("id DESC")),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("token_id", UUID, ForeignKey("tokens.id", ondelete="CASCADE"), nullable=False),
    time("created_at", null=False, default=NOW),
    time("seen_at", null=False, default=NOW),
    time("expires_at", null=False),
    Index("sessions_expired", "expires_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", UUID, primary_key=True, server_default=UUID7),
    time("at", null=False, default=NOW),
    Column("actor", Text, nullable=False),
    Column("token_id", UUID),
    Column("environment", Text),
    Column("tenant", Text),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("connection_id", BigInteger),
    Column("request_id", Text),
    Column("source", INET),
    Column("detail", JSONB, nullable=False, server_default=EMPTY),
    Index("audit_connection", "connection_id", text("id DESC")),
    Index("audit_tenant", "tenant", text("id DESC"), postgresql_where=text("tenant IS NOT NULL")),
    Index("audit_actor", "actor", text("id DESC")),
    Index("audit_token", "token_id", text("id DESC"), postgresql_where=text("token_id IS NOT NULL")),
    Index("audit_action", "action", text("id DESC")),
    postgresql_partition_by="RANGE (id)",
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("token_id", UUID, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", LargeBinary, nullable=False),
    time("created_at", null=False, default=NOW),
    Column("claim_no", Integer, nullable=False, server_default="1"),
    time("lease_until", null=False, default=NOW),
    time("done_at"),
    Column("status", SmallInteger),
    Column("headers", JSONB),
    Column("body", LargeBinary),
    Index("idempotency_keys_age", "created_at"),
)

connect_links = Table(
    "connect_links",
    metadata,
    Column("id", UUID, primary_key=True, server_default=UUID7),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("environment", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("connection_id", BigInteger, ForeignKey("connections.id", ondelete="CASCADE")),
    Column("name", Text, nullable=False),
    Column("tenant", Text),
    Column("labels", JSONB, nullable=False, server_default=EMPTY),
    Column("settings", JSONB, nullable=False, server_default=EMPTY),
    Column("secrets", JSONB, nullable=False, server_default=EMPTY),
    Column("network", JSONB, nullable=False, server_default=EMPTY),
    Column("store", Text, nullable=False),
    Column("return_url", Text),
    Column("created_by", UUID),
    time("created_at", null=False, default=NOW),
    time("expires_at", null=False),
    time("opened_at"),
    Column("session", LargeBinary),
    time("used_at"),
    time("revoked_at"),
    Index("connect_links_created", "environment", text("id DESC")),
)

oauth_states = Table(
    "oauth_states",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("link_id", UUID, ForeignKey("connect_links.id", ondelete="CASCADE")),
    Column("started", JSONB, nullable=False),
    time("created_at", null=False, default=NOW),
    time("expires_at", null=False),
    Index("oauth_states_expired", "expires_at"),
)
