"""Where does a list say no more than which records there are? The manifest's `detail:`.

    detail: {concurrency: 4}              # each record is asked for by the stream's `single`
    detail: {key: ref.id}                 # where an entry of the list holds the key, if elsewhere than the record does

An entry that is a text or a number is the key itself. With `explode`, each answer holds the children of an entry:

    order_lines:
      explode: {of: orders, path: items, parent: {order_id: id, order_updated_at: updatedAt}, by: order_id}
      detail: {}                          # the fields of the order stand in its list
      single: {path: "/orders/{key}/lines"}
      key: [order_id, line_no]
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from worker.connectors.manifest.streams.single import Single
from worker.connectors.reading.shape import Explode, FieldPath, Shape, TimeField, field_path_of

Complain = Callable[[Sequence[str], str], Exception]
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Below:
    """What is asked for below each entry of a list: the children of one parent."""

    asked: Single
    entry: Explode
    """What of the parent its children get; `by` is the number of fields that its key has."""
    keys: frozenset[FieldPath]
    """Where an entry holds the parent's key, if it is one value."""
    whole: bool = False
    """The answer is the parent with its children, and the fields that they get stand there."""
    more: FieldPath | None = None
    """Where an answer says that it doesn't hold all of them."""


@dataclass(frozen=True, slots=True)
class Detail:
    """How the records of a list come that holds only their keys."""

    entries: Shape
    """What an entry of the list looks like."""
    at_once: int = AT_ONCE
    below: Below | None = None
    """The entries are parents, and the records are their children; None: the entries are the records' keys."""


def read_detail(
    data: Mapping[str, Any], shape: Shape, single: Single | None, entry: Explode | None, complain: Complain
) -> Detail | None:
    """What a stream says of it; the schema has been checked already. `entry`: of a list of parents, what their children get."""
    if "detail" not in data:
        return None
    if entry is not None:
        return _read_below(data, shape, entry, single, complain)
    if single is None:
        raise complain(("detail",), "each record is asked for by its key, so the stream needs `single`.")
    found = data["detail"]
    for name in ("whole", "more"):
        if name in found:
            raise complain(("detail", name), f"{name} is about children (explode), and this stream has none.")
    if "key" in found and len(shape.key) > 1:
        message = f"detail.key is one field, and {len(shape.key)} make the key: leave it out where the list has them as records do."
        raise complain(("detail", "key"), message)
    key = (field_path_of(found["key"]),) if "key" in found else shape.key
    return Detail(_entries(data, shape, key, shape.cursor), found.get("concurrency", AT_ONCE))


def _read_below(
    data: Mapping[str, Any], shape: Shape, entry: Explode, single: Single | None, complain: Complain
) -> Detail:
    found, fields = data["detail"], dict(entry.parent)
    if single is None:
        message = 'what is below each entry is asked for by the key of the entry: single: {path: "/orders/{key}/lines"}.'
        raise complain(("detail",), message)
    if single.among or single.by is not None:
        raise complain(
            ("single",), "what is below an entry is asked for at a path of its own, not by `list` or `by`."
        )
    by = tuple(fields[path[0]] for path in shape.key[: entry.by])
    if not by:
        raise complain(
            ("explode",), "each parent is asked for by its key, so `by` has to say which fields hold it."
        )
    if "key" in found and len(by) > 1:
        message = f"detail.key is one field, and {len(by)} make the parent's key: leave it out, and the list has them as `parent` says."
        raise complain(("detail", "key"), message)
    key = (field_path_of(found["key"]),) if "key" in found else by
    cursor = shape.cursor and replace(
        shape.cursor, paths=tuple(fields.get(path[0], path) for path in shape.cursor.paths)
    )
    keys = frozenset([*key, *by]) if len(by) == 1 else frozenset[FieldPath]()
    below = Below(
        single,
        entry,
        keys,
        found.get("whole", False),
        field_path_of(found["more"]) if "more" in found else None,
    )
    return Detail(_entries(data, shape, key, cursor), found.get("concurrency", AT_ONCE), below)


def _entries(
    data: Mapping[str, Any], shape: Shape, key: tuple[FieldPath, ...], cursor: TimeField | None
) -> Shape:
    """What an entry of the list looks like."""
    return replace(
        shape,
        key=key,
        cursor=cursor if data.get("incremental", {}).get("descending") else None,
        explode=None,
        version=None,
        updated_at=None,
        deleted=None,
        needs_cursor=False,
        rows=True,
    )


def in_list(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The stream as its list is read: the key stands where the list has it."""
    key = None if "explode" in data else data.get("detail", {}).get("key")
    return data if key is None else {**data, "key": key}
