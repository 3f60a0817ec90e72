"""By what is a change noticed? A hash over a record's bytes, without the fields that change and mean nothing."""

import json
from functools import lru_cache

import msgspec
import xxhash

from worker.connectors.reading.fields import PARSE_ERRORS
from worker.connectors.reading.shape import FieldPath, Shape

digest = xxhash.xxh3_128_digest


def digest_of(raw: bytes, shape: Shape) -> bytes:
    """The hash by which a change is noticed."""
    return digest(_without(raw, shape.volatile) if is_rearranged(shape) else raw)


def is_rearranged(shape: Shape) -> bool:
    return bool(shape.volatile) or shape.shuffled


def _without(raw: bytes, volatile: tuple[FieldPath, ...]) -> bytes:
    """The fields in the order of their names, without the volatile ones; values byte by byte as they came."""
    try:
        fields = _fields_of(raw)
    except PARSE_ERRORS:
        return raw
    gone, deeper = _volatile_names(volatile)
    parts = []
    for name in sorted(fields.keys() - gone):
        value = bytes(fields[name])
        below = deeper.get(name)
        parts.append(_quoted(name) + (_without(value, below) if below else value))
    return b"{" + b",".join(parts) + b"}"


_fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@lru_cache(maxsize=1024)
def _volatile_names(
    volatile: tuple[FieldPath, ...],
) -> tuple[frozenset[str], dict[str, tuple[FieldPath, ...]]]:
    """What is left out here, and what is left out further down."""
    deeper: dict[str, tuple[FieldPath, ...]] = {}
    for path in volatile:
        if len(path) > 1:
            deeper[path[0]] = (*deeper.get(path[0], ()), path[1:])
    return frozenset(path[0] for path in volatile if len(path) == 1), deeper


@lru_cache(maxsize=4096)
def _quoted(name: str) -> bytes:
    return json.dumps(name).encode() + b":"
