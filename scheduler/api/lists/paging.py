"""How is a long list read? In pages: `limit` says how many, and `next` of each is the `cursor` of the one that follows.

A cursor holds the keys of the last one shown, so a page costs the same wherever it lies, and what is added meanwhile
moves nothing. It is opaque: what it holds may change with a version, so nobody should look inside or keep it for long.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query

from worker.errors import InvalidInput

Cursor = Annotated[
    str | None,
    Query(min_length=1, max_length=8000, description="`next` of the page before; left out: the first page."),
]
Key = str | int


def page_of(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    limit: int,
    *,
    by: Callable[[Mapping[str, Any]], Sequence[Any]],
    shape: Callable[[Mapping[str, Any]], Any] = dict,
) -> dict[str, Any]:
    """The answer for rows that were asked for with one more than `limit`: that one says that there is more.

    `by` are the keys by which the list is ordered.
    """
    shown = rows[:limit]
    more = len(rows) > limit and bool(shown)
    return {name: [shape(row) for row in shown], "next": write_cursor(*by(shown[-1])) if more else None}


def write_cursor(*keys: Any) -> str:
    """Keys as an opaque text; UUIDs and the like as theirs."""
    plain = [key if isinstance(key, str | int) else str(key) for key in keys]
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, *kinds: type[Key] | type[UUID]) -> tuple[Any, ...]:
    """The keys in it, one of each kind; all None for the first page. `InvalidInput` for what no page has given out."""
    if cursor is None:
        return (None,) * len(kinds)
    try:
        found = _decoded(cursor)
        if len(found) != len(kinds):
            raise ValueError
        return tuple(map(_read, found, kinds))
    except (ValueError, RecursionError, binascii.Error):
        raise _bad_cursor() from None


def read_cursors(cursor: str | None, kind: type[Key], rest: type[Key]) -> tuple[Any, ...]:
    """The same where the number of keys differs: one of the first kind, and any number of the second; none: the first page."""
    if cursor is None:
        return ()
    return read_cursor(cursor, kind, *[rest] * (_count(cursor) - 1))


def _count(cursor: str) -> int:
    try:
        return max(1, len(_decoded(cursor)))
    except (ValueError, RecursionError, binascii.Error):
        raise _bad_cursor() from None


def _decoded(cursor: str) -> list[Any]:
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    if isinstance(found, list):
        return found
    raise ValueError


def moment_of(key: str) -> datetime:
    """A time that a cursor holds, as ISO 8601 has it."""
    try:
        found = datetime.fromisoformat(key)
        found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _bad_cursor() from None
    return found


def _bad_cursor() -> InvalidInput:
    return InvalidInput(
        "bad_cursor",
        "This cursor isn't one of this list.",
        place="query.cursor",
        hint="Give `next` of the page before as it is, with the same filters; leave it out for the first page.",
    )


def _read(value: Any, kind: type[Key] | type[UUID]) -> Any:
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if type(value) is not kind:
        raise ValueError
    if isinstance(value, str) and "\0" in value.encode().decode():  # half a character can't be encoded
        raise ValueError
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError
    return value
