"""A page of some rows, in the ways that systems page."""

import base64
import json
from collections.abc import Sequence

from scheduler.connectors.check.double.table import Row


def by_offset(rows: Sequence[Row], offset: int, limit: int) -> list[Row]:
    """Skip so many, send so many."""
    return list(rows[offset : offset + limit])


def by_number(rows: Sequence[Row], number: int, size: int, first: int = 1) -> list[Row]:
    """The page of that number."""
    return by_offset(rows, (number - first) * size, size)


def by_token(rows: Sequence[Row], token: str | None, size: int) -> tuple[list[Row], str | None]:
    """The rows after the place that the token names, and the token of the next page; None: these are the last.

    The place is the last row of the page before, in the order of change, as a good system does it: what changes
    meanwhile moves no page. ValueError for a token that it never gave.
    """
    ordered = sorted(rows, key=_place)
    if token:
        after = json.loads(base64.urlsafe_b64decode(token))
        ordered = [row for row in ordered if [*_place(row)] > after]
    page = ordered[:size]
    if len(ordered) <= size:
        return page, None
    return page, base64.urlsafe_b64encode(json.dumps(_place(page[-1])).encode()).decode()


def _place(row: Row) -> tuple[str, int]:
    return row.changed.isoformat(timespec="microseconds"), row.number
