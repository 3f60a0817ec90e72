"""How do rows become the body of an answer? Some at a time, and only as many as it may hold.

So many are fetched at once as fit, by what those before them took: a table of large rows is read in small steps, and a
page ends where it is large enough, though more rows were asked for. A row is never cut.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from worker.http.wire.message import TooLarge
from worker.sql.values import Placed, encode_row, place_of

FIRST = 10
"""Rows that are fetched before anything is known of their size."""
GROWTH = 8
ENOUGH = 2 * 1024 * 1024
"""Bytes of a page after which it ends."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A page."""

    body: bytes
    count: int
    last: tuple[Placed | None, ...] | None
    """The last row's place in the order."""
    full: bool
    """It ended before the rows did."""


def take_rows(
    fetch: Callable[[int], Sequence[Any]],
    names: Sequence[str],
    *,
    asked: int,
    most: int,
    comes: Callable[[int], None],
    likely: int = 0,
) -> Rows:
    """The rows, as one JSON array. `names`: of the values; none: each row is JSON already. `likely`: bytes of a row."""
    enough = min(ENOUGH, most // 2)
    pieces: list[bytes] = []
    size, full, last = 2, False, None
    step = min(asked, max(1, enough // (likely + 1))) if likely else FIRST
    while not full:
        wanted = min(step, asked - len(pieces))
        found = fetch(wanted)
        if not found:
            break
        for row in found:
            raw = row[0].encode() if not names else encode_row(names, row[: len(names)])
            if size + len(raw) + 2 > most:
                full = True
                break
            pieces.append(raw)
            size += len(raw) + 2
            last = row
        if not pieces:
            raise TooLarge
        comes(size)
        if full or len(found) < wanted:
            break
        full = len(pieces) >= asked or size >= enough
        step = _next_step(step, size, len(pieces), enough)
    return Rows(_array(pieces), len(pieces), _place(last, names), full)


def _next_step(step: int, size: int, count: int, enough: int) -> int:
    """As many as may still fit, but not many more than the last time: rows further down may be larger."""
    fit = (enough - size) // (size // count + 1)
    return max(1, min(step * GROWTH, fit))


def _array(pieces: Sequence[bytes]) -> bytes:
    return b"[" + b",\n".join(pieces) + b"]"


def _place(row: Any, names: Sequence[str]) -> tuple[Placed | None, ...] | None:
    if row is None:
        return None
    return tuple(place_of(value) for value in row[max(1, len(names)) :])
