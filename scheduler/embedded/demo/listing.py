"""What does a list request ask for, and which page answers it?

Three ways to page over the same order (updated_at, id): by cursor, by offset, by page number; the query says which.
Pure but for reading the shelf.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scheduler.embedded.demo.plant.schema import Entity, parse_iso
from scheduler.embedded.demo.plant.shelf import Mark, Shelf

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
LARGEST = 10**12


class BadQuery(ValueError):
    """A parameter is wrong, and how."""


@dataclass(frozen=True, slots=True)
class Listing:
    kind: Literal["cursor", "offset", "page"]
    limit: int
    since: int | None
    deleted: bool
    mark: Mark | None = None
    offset: int = 0
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    rows: list[bytes]
    more: dict[str, object]
    """What the body says beside the records."""
    next_cursor: str | None = None

    def body(self) -> bytes:
        """The records are bytes already, so a page costs a join."""
        rest = json.dumps(self.more)[1:].encode()
        return b'{"data":[' + b",".join(self.rows) + b"]," + rest


COMMON = {"updated_since", "include_deleted"}
PARAMETERS: Mapping[str, set[str]] = {
    "cursor": COMMON | {"limit", "cursor"},
    "offset": COMMON | {"limit", "offset", "sort"},
    "page": COMMON | {"page", "per_page", "sort"},
}


def read_query(query: Mapping[str, str], entity: Entity) -> Listing:
    """Raises BadQuery for the first parameter that is wrong."""
    kind = _kind(query)
    if unknown := sorted(query.keys() - PARAMETERS[kind]):
        allowed = ", ".join(sorted(PARAMETERS[kind]))
        raise BadQuery(f"Unknown parameter {unknown[0]!r}. With paging by {kind} there are: {allowed}.")
    limit = _whole(query, "per_page" if kind == "page" else "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    offset = _whole(query, "offset", 0, 0, LARGEST)
    if kind == "page":
        offset = (_whole(query, "page", 1, 1, LARGEST) - 1) * limit
    return Listing(
        kind=kind,
        limit=limit,
        since=_since(query.get("updated_since")),
        deleted=_flag(query, "include_deleted"),
        mark=_open_cursor(query["cursor"], entity) if "cursor" in query else None,
        offset=offset,
        newest_first=_newest_first(query),
    )


def answer(listing: Listing, shelf: Shelf) -> Answer:
    total = shelf.count_since(listing.since, deleted=listing.deleted)
    if listing.kind == "cursor":
        rows, is_more = shelf.after(listing.mark, listing.since, listing.limit, deleted=listing.deleted)
        cursor = _cursor(rows[-1][:2]) if rows and is_more else None
        return Answer([row[2] for row in rows], {"next_cursor": cursor, "total": total}, cursor)
    rows = shelf.at(
        listing.offset,
        listing.since,
        listing.limit,
        deleted=listing.deleted,
        newest_first=listing.newest_first,
    )
    place: dict[str, object] = {"offset": listing.offset, "limit": listing.limit, "total": total}
    if listing.kind == "page":
        place = {
            "page": listing.offset // listing.limit + 1,
            "per_page": listing.limit,
            "total_pages": -(-total // listing.limit),
            "total": total,
        }
    return Answer([row[2] for row in rows], place)


def _kind(query: Mapping[str, str]) -> Literal["cursor", "offset", "page"]:
    if "page" in query or "per_page" in query:
        return "page"
    return "offset" if "offset" in query else "cursor"


def _whole(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 14 and least <= int(text) <= most):
        raise BadQuery(f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in {"true", "false"}:
        raise BadQuery(f"{name} must be true or false.")
    return text == "true"


def _newest_first(query: Mapping[str, str]) -> bool:
    text = query.get("sort", "updated_at")
    if text not in {"updated_at", "-updated_at"}:
        raise BadQuery("sort must be updated_at or -updated_at.")
    return text == "-updated_at"


def _since(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_iso(text)
    except (ValueError, OverflowError) as error:
        raise BadQuery(
            "updated_since must be a time with a time zone, as 2026-03-01T07:00:00.000Z."
        ) from error


def _cursor(mark: Mark) -> str:
    return base64.urlsafe_b64encode(json.dumps(mark).encode()).decode().rstrip("=")


def _open_cursor(text: str, entity: Entity) -> Mark:
    kind = int if entity.form is None else str
    try:
        mark = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        mark = None
    match mark:
        case [int() as moment, (int() | str()) as record_id] if isinstance(record_id, kind):
            return moment, record_id
    raise BadQuery("cursor must be one that an answer gave as next_cursor for this entity.")
