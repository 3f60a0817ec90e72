"""The views that people can query: their names, columns, stores and models."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from worker.db.tables.parts import NOW, Xid8, metadata, time

_NO_PATH = text("'{}'::text[]")
_FALSE = text("false")
_NEVER = text("'epoch'::timestamptz")

view_prefixes = Table(
    "view_prefixes",
    metadata,
    Column("connection_id", BigInteger, primary_key=True, autoincrement=False),
    Column("prefix", Text, nullable=False, unique=True),
)

stream_views = Table(
    "stream_views",
    metadata,
    Column("stream_id", BigInteger, primary_key=True, autoincrement=False),
    Column("relation", ARRAY(Text), primary_key=True, server_default=_NO_PATH),
    Column("connection_id", BigInteger, nullable=False),
    Column("bucket", SmallInteger, nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("signature", Text),
    Column("basis", Text),
    time("looked_at", null=False, default=_NEVER),
    time("counted_at", null=False, default=_NEVER),
    Column("problem", Text),
    Index("stream_views_connection", "connection_id"),
)

view_columns = Table(
    "view_columns",
    metadata,
    Column("stream_id", BigInteger, primary_key=True, autoincrement=False),
    Column("relation", ARRAY(Text), primary_key=True, server_default=_NO_PATH),
    Column("name", Text, primary_key=True),
    Column("path", ARRAY(Text), nullable=False),
    Column("kind", Text, nullable=False),
    Column("declared", Boolean, nullable=False, server_default=_FALSE),
    Column("place", Integer, nullable=False),
)

view_stores = Table(
    "view_stores",
    metadata,
    Column("table_name", Text, primary_key=True),
    Column("stream_id", BigInteger, nullable=False),
    Column("bucket", SmallInteger, nullable=False),
    Column("active", Boolean, nullable=False, server_default=_FALSE),
    Column("signature", Text, nullable=False),
    Column("position", Xid8, nullable=False),
    Column("system_id", Text, nullable=False),
    Column("built_to", Text, nullable=False, server_default=text("''::text")),
    time("refreshed_at", null=False, default=NOW),
    Index("view_stores_active", "stream_id", unique=True, postgresql_where=text("active")),
    Index("view_stores_stream", "stream_id"),
)

model_mappings = Table(
    "model_mappings",
    metadata,
    Column("mapping", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("branch", Text),
    Column("lines", Text),
)

model_streams = Table(
    "model_streams",
    metadata,
    Column("model", Text, primary_key=True),
    Column("stream_id", BigInteger, primary_key=True, autoincrement=False),
    Column("connection_id", BigInteger, nullable=False),
    Column("bucket", SmallInteger, nullable=False),
    Column("mapping", Text, ForeignKey("model_mappings.mapping"), nullable=False),
    Index("model_streams_mapping", "mapping"),
)
