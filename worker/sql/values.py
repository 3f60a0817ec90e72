"""How do values of a database become JSON, and come back as they were? For databases that don't write JSON as we want it.

    numbers with a fixed point    text, to the last digit
    times                         ISO 8601, with their offset where they have one
    bytes                         base64
    NaN and infinities            "NaN", "Infinity", "-Infinity"
    anything else                 as msgspec writes it, or its text

A place in an order is kept as JSON, too; what JSON has no type for is tagged there with its own.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

Placed = str | int | float | dict[str, str]
"""A value as a place keeps it."""

_PLAIN = frozenset({str, int, bool, type(None)})


def encode_row(names: Sequence[str], values: Sequence[Any]) -> bytes:
    """One row as an object."""
    if not _PLAIN.issuperset(map(type, values)):
        values = [value if type(value) in _PLAIN else plain(value) for value in values]
    return _encode(dict(zip(names, values, strict=True)))


def plain(value: Any) -> Any:
    """What JSON can say of it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _INFINITE[str(value)]
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {str(name): plain(held) for name, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(held) for held in value]
    return value


_INFINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def place_of(value: Any) -> Placed | None:
    """The value as a place keeps it."""
    if value is None or isinstance(value, str | int | float):
        return value
    for name, kind in _TAGGED.items():
        if isinstance(value, kind):
            return {name: str(plain(value)) if name == "bytes" else _text(value)}
    return {"text": str(value)}


def value_at(placed: Placed) -> Any:
    """The value that `place_of` kept."""
    if not isinstance(placed, dict):
        return placed
    name, text = next(iter(placed.items()))
    match name:
        case "datetime" | "date" | "time":
            return _TAGGED[name].fromisoformat(text)
        case "decimal":
            return Decimal(text)
        case "uuid":
            return UUID(text)
        case "bytes":
            return base64.b64decode(text)
        case _:
            return text


_TAGGED: Mapping[str, Any] = {
    "datetime": datetime,
    "date": date,
    "time": time,
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": (bytes, bytearray, memoryview),
}


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _hook(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else str(value)


_encode = msgspec.json.Encoder(enc_hook=_hook).encode
