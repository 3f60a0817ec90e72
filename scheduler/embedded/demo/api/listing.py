"""What does a list request ask for, and which page answers it? The same for the list of deletes.

Three ways to page over the same order (updated_at, id): by cursor, by offset, by page number; the query says which.
Pure but for reading the shelf.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from scheduler.embedded.demo.plant.memory.shelf import Mark, Row, Shelf, Span
from scheduler.embedded.demo.plant.schema import ENTITIES, Entity, iso, parse_iso

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
LARGEST = 10**12


class BadQuery(ValueError):
    """A parameter is wrong, and how."""


@dataclass(frozen=True, slots=True)
class Listing:
    kind: Literal["cursor", "offset", "page"]
    limit: int
    span: Span
    deleted: bool
    fields: tuple[str, ...] = ()
    """Only these of each record; none: all."""
    mark: Mark | None = None
    offset: int = 0
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    rows: list[bytes]
    more: dict[str, Any]
    """What the body says beside the records."""
    next_cursor: str | None = None

    def body(self) -> bytes:
        """The records are bytes already, so a page costs a join."""
        rest = json.dumps(self.more)[1:].encode()
        return b'{"data":[' + b",".join(self.rows) + b"]," + rest


COMMON = {"updated_since", "updated_until", "include_deleted", "fields"}
PARAMETERS: Mapping[str, set[str]] = {
    "cursor": COMMON | {"limit", "cursor"},
    "offset": COMMON | {"limit", "offset", "sort"},
    "page": COMMON | {"page", "per_page", "sort"},
}


def read_query(query: Mapping[str, str], entity: Entity) -> Listing:
    """Raises BadQuery for the first parameter that is wrong."""
    kind = _kind(query)
    _only(query, PARAMETERS[kind], f"With paging by {kind}")
    limit = _whole(query, "per_page" if kind == "page" else "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    offset = _whole(query, "offset", 0, 0, LARGEST)
    if kind == "page":
        offset = (_whole(query, "page", 1, 1, LARGEST) - 1) * limit
    return Listing(
        kind=kind,
        limit=limit,
        span=Span(_time(query, "updated_since"), _time(query, "updated_until")),
        deleted=_flag(query, "include_deleted"),
        fields=_names(query.get("fields")),
        mark=_open_cursor(query["cursor"], entity) if "cursor" in query else None,
        offset=offset,
        newest_first=_newest_first(query),
    )


def read_purged_query(query: Mapping[str, str]) -> tuple[Entity, Listing]:
    """What is asked of the list of deletes. Raises BadQuery."""
    _only(query, {"entity", "since", "limit", "cursor"}, "In the list of deletes")
    entity = ENTITIES.get(query.get("entity", ""))
    if entity is None:
        raise BadQuery(f"entity must be one of {', '.join(ENTITIES)}.")
    limit = _whole(query, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    mark = _open_cursor(query["cursor"], entity) if "cursor" in query else None
    return entity, Listing("cursor", limit, Span(_time(query, "since")), deleted=True, mark=mark)


def answer_purged(listing: Listing, entity: Entity, shelf: Shelf) -> Answer:
    """What vanished and wasn't restored: entity, id and when, oldest first."""
    found, is_more = shelf.purged_after(listing.mark, listing.span, listing.limit)
    rows = [
        json.dumps({"entity": entity.name, "id": record_id, "deleted_at": iso(moment)}).encode()
        for moment, record_id in found
    ]
    cursor = _cursor(found[-1]) if found and is_more else None
    return Answer(rows, {"next_cursor": cursor}, cursor)


def following(listing: Listing, found: Answer) -> Listing | None:
    """What asks for the page after this one, if there is one."""
    if listing.kind == "cursor":
        mark = None if found.next_cursor is None else _read_mark(found.next_cursor)
        return None if mark is None else replace(listing, mark=mark)
    offset = listing.offset + listing.limit
    return replace(listing, offset=offset) if offset < found.more["total"] else None


def answer(listing: Listing, shelf: Shelf) -> Answer:
    total = shelf.count(listing.span, deleted=listing.deleted)
    if listing.kind == "cursor":
        rows, is_more = shelf.after(listing.mark, listing.span, listing.limit, deleted=listing.deleted)
        cursor = _cursor(rows[-1][:2]) if rows and is_more else None
        return Answer(_chosen(rows, listing.fields), {"next_cursor": cursor, "total": total}, cursor)
    rows = shelf.at(
        listing.offset,
        listing.span,
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
    return Answer(_chosen(rows, listing.fields), place)


def _chosen(rows: list[Row], fields: tuple[str, ...]) -> list[bytes]:
    if not fields:
        return [row[2] for row in rows]
    if fields == ("id",):
        return [json.dumps({"id": row[1]}).encode() for row in rows]
    records = (json.loads(row[2]) for row in rows)
    return [
        json.dumps({name: record[name] for name in fields if name in record}, ensure_ascii=False).encode()
        for record in records
    ]


def _kind(query: Mapping[str, str]) -> Literal["cursor", "offset", "page"]:
    if "page" in query or "per_page" in query:
        return "page"
    return "offset" if "offset" in query else "cursor"


def _only(query: Mapping[str, str], known: set[str], where: str) -> None:
    if unknown := sorted(query.keys() - known):
        allowed = ", ".join(sorted(known))
        raise BadQuery(f"Unknown parameter {unknown[0]!r}. {where} there are: {allowed}.")


def _names(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    names = tuple(text.split(","))
    if not all(name.isidentifier() for name in names):
        raise BadQuery("fields must be names with commas between them, as id,updated_at.")
    return names


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


def _time(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return parse_iso(text)
    except (ValueError, OverflowError) as error:
        raise BadQuery(f"{name} must be a time with a time zone, as 2026-03-01T07:00:00.000Z.") from error


def _cursor(mark: Mark) -> str:
    return base64.urlsafe_b64encode(json.dumps(mark).encode()).decode().rstrip("=")


def _open_cursor(text: str, entity: Entity) -> Mark:
    mark = _read_mark(text)
    if mark is None or not isinstance(mark[1], int if entity.form is None else str):
        raise BadQuery("cursor must be one that an answer gave as next_cursor for this entity.")
    return mark


def _read_mark(text: str) -> Mark | None:
    try:
        mark = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    match mark:
        case [int() as moment, (int() | str()) as record_id]:
            return moment, record_id
    return None
