"""What the tables are put together from: their common metadata, and columns that return everywhere."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, MetaData, text
from sqlalchemy.types import UserDefinedType

metadata = MetaData()

NOW = text("now()")
UUID7 = text("headrace_uuid7()")
EMPTY = text("'{}'::jsonb")


class Xid8(UserDefinedType[int]):
    """A transaction's full 64-bit number."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


def time(name: str, *, null: bool = True, default: Any = None) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=null, server_default=default)


def count(name: str, kind: Any = BigInteger, *, default: bool = True) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=text("0") if default else None)
