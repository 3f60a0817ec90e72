"""How late a stream's news came in, and why its cursor alone can't be trusted."""

from sqlalchemy import BigInteger, Column, Date, Double, ForeignKey, SmallInteger, Table, Text, text

from worker.db.tables.parts import NOW, count, metadata, time

cursor_lateness = Table(
    "cursor_lateness",
    metadata,
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Date, primary_key=True, server_default=text("CURRENT_DATE")),
    Column("grade", SmallInteger, primary_key=True),
    count("records", default=False),
    Column("within", Double, nullable=False),
)

cursor_doubts = Table(
    "cursor_doubts",
    metadata,
    Column("stream_id", BigInteger, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("reason", Text, primary_key=True),
    count("times", default=False),
    time("first_at", null=False, default=NOW),
    time("last_at", null=False, default=NOW),
)
