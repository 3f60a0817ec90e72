"""What does a record look like, and where is what we need? Plain data from the manifest for the reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

import xxhash

FieldPath = tuple[str, ...]


def field_path_of(value: str | Sequence[str]) -> FieldPath:
    """A path as manifests write it: dotted text, or a list where names hold dots. Empty text is the whole."""
    if isinstance(value, str):
        return tuple(value.split(".")) if value else ()
    return tuple(value)


def parted(path: FieldPath) -> tuple[FieldPath, FieldPath]:
    """A path to records: where the list is, and what of each of its entries is a record (see `listing`)."""
    if "*" not in path:
        return path, ()
    first = path.index("*")
    return path[:first], path[first + 1 :]


INDEXES = frozenset(map(str, range(100)))
"""Names that may be places in a list."""


@dataclass(frozen=True, slots=True)
class TimeField:
    """Where a time or number of change stands (the first path that holds one counts) and how it is written."""

    paths: tuple[FieldPath, ...]
    form: str = "iso8601"
    zone: tzinfo = UTC
    together: bool = False
    """The paths are a day and a time of day, which make the moment together."""


@dataclass(frozen=True, slots=True)
class DeletedMark:
    """How a record says that it is gone: the field is truthy, or holds one of `equals`."""

    path: FieldPath
    equals: tuple[Any, ...] | None = None

    def marks(self, value: Any) -> bool:
        if self.equals is None:
            return bool(value)
        return any(
            value == gone and isinstance(value, bool) == isinstance(gone, bool) for gone in self.equals
        )


@dataclass(frozen=True, slots=True)
class Removed:
    """How a list says, where a record was, that it is gone: something stands at `field`, and the key at `key`."""

    field: FieldPath
    key: tuple[FieldPath, ...]


@dataclass(frozen=True, slots=True)
class Explode:
    """How a list's entries hold the records: each the children of one parent."""

    path: FieldPath
    """Where a parent holds them; with `*` as in `Shape.records`."""
    parent: tuple[tuple[str, FieldPath], ...]
    """Fields of the parent that each child gets, by the names that they have there."""
    by: int = 0
    """So many of the key's first fields name the parent, and a parent holds all of its children; 0: it may hold a part."""
    removed: Removed | None = None
    """A mark in the parent's place says that it is gone, and all of its children with it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where an answer holds its records, and where a record holds what the engine needs."""

    records: FieldPath
    """With `*` for every entry of a list."""
    key: tuple[FieldPath, ...]
    cursor: TimeField | None = None
    version: FieldPath | None = None
    updated_at: TimeField | None = None
    deleted: DeletedMark | None = None
    volatile: tuple[FieldPath, ...] = ()
    shuffled: bool = False
    """The system sends a record's fields in any order, so their order is left out when contents are compared."""
    total: FieldPath | None = None
    token: FieldPath | None = None
    """Where the last page says what the next window begins with."""
    needs_cursor: bool = False
    """A record without one is set aside."""
    columns: FieldPath | None = None
    """Rows are lists: where the names of their columns stand; empty: in the first row."""
    or_one: bool = False
    """An object in the place of the list is its only record."""
    explode: Explode | None = None
    """The list holds the parents of the records."""
    rows: bool = False
    """Entries of the list that are a text or a number are keys themselves."""
    empty: tuple[Any, ...] = ()
    """Values that mean null in times and versions."""

    @property
    def mark(self) -> str:
        """Tells one shape from another, today and after a restart."""
        return xxhash.xxh3_64_hexdigest(repr(self))
