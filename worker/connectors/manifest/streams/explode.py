"""Which records are the children of a list's entries, such as the lines of orders? The manifest's `explode:`.

    purchase_order_lines:
      explode: {of: purchase_orders, path: lines, parent: {order_id: id, order_updated_at: updated_at}, by: order_id}
      key: [order_id, line_no]

With `of` the stream asks as that one does, and what is left out is as it is there; fields of the parent are then read by the
names that the children have them under. Without it, everything is said of the stream itself. Where the parents' list holds
only their keys (`detail`), their children come with each parent that is asked for; with a `detail` of its own, the stream asks
below each of them (`detail`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from worker.connectors.reading.below import put_together
from worker.connectors.reading.shape import Explode, FieldPath, Removed, TimeField, field_path_of

Complain = Callable[[Sequence[str], str], Exception]

OF_THE_PARENT = frozenset(
    {
        "title", "key", "columns", "custom_fields", "lines", "volatile", "single", "detail", "explode", "after",
        "updated_at", "version", "deleted",
    }
)  # fmt: skip
"""What a stream says of its own records, and not of how it is asked."""


def inherited(
    streams: Mapping[str, Mapping[str, Any]],
    own: Mapping[str, Any],
    defaults: Mapping[str, Any],
    complain: Complain,
) -> Mapping[str, Any]:
    """A stream's own keys over those of the stream whose children it holds, where it names one.

    A list of the parents' ids holds no children, so a sweep reads the whole list unless the stream itself says otherwise.
    """
    own = {**own, "deletes": {"sweep": True, **own.get("deletes", {})}}
    of = own.get("explode", {}).get("of")
    if of is None:
        return own
    parent = streams.get(of)
    if parent is None:
        raise complain(("explode", "of"), f"there is no stream {of!r}.")
    if "explode" in parent:
        raise complain(("explode", "of"), f"the list of {of} holds no whole parents.")
    kept = {key: value for key, value in parent.items() if key not in OF_THE_PARENT}
    if "detail" in parent and "detail" not in own:
        if "single" in own:
            message = f"{of} has its own way to ask for each: say `detail`, too, to ask for something else below them."
            raise complain(("single",), message)
        kept["detail"] = {**parent["detail"], "whole": True}
        kept |= {key: parent[key] for key in ("single",) if key in parent}
    own["deletes"] = {
        **_of_parents(parent.get("deletes", {}), parent.get("key", defaults.get("key"))),
        **own["deletes"],
    }
    return {**kept, **own}


def cursor_of(time: TimeField, own: Mapping[str, Any], complain: Complain) -> TimeField:
    """Where a child has the cursor that stands in its parent, of a stream that asks as its parent's does."""
    if "of" not in own.get("explode", {}) or "incremental" in own:
        return time
    names = {field_path_of(path): name for name, path in own["explode"]["parent"].items()}
    for path in time.paths:
        if path not in names:
            message = f"the cursor stands in {'.'.join(path)!r}, which has to come along."
            raise complain(("explode", "parent"), message)
    return replace(time, paths=tuple((names[path],) for path in time.paths))


def read_explode(
    data: Mapping[str, Any], key: Sequence[FieldPath], removed: Removed | None, complain: Complain
) -> Explode | None:
    """What a stream says of it; the schema has been checked already."""
    found = data.get("explode")
    if found is None:
        return None
    if "single" in data and "detail" not in data:
        message = "single asks for records by their keys, and these come with their parents: with `detail`, it asks below each of them."
        raise complain(("single",), message)
    parent = {name: field_path_of(path) for name, path in found["parent"].items()}
    by = found.get("by", [])
    names = [by] if isinstance(by, str) else list(by)
    if [(name,) for name in names] != list(key[: len(names)]) or not set(names) <= parent.keys():
        message = "by names the first fields of the key, which are the parent's (explode.parent)."
        raise complain(("explode", "by"), message)
    if len(names) == len(key) and names:
        raise complain(("explode", "by"), "the key has to tell the children of one parent apart, too.")
    if removed is not None and len(removed.key) != len(names):
        raise complain(
            ("deletes",), "a parent that is gone takes its children with it only where `by` names it."
        )
    return Explode(field_path_of(found["path"]), tuple(parent.items()), len(names), removed)


def asks_below(data: Mapping[str, Any]) -> bool:
    """Whether what holds the children is asked for below each entry of a list."""
    return {"explode", "detail"} <= data.keys()


def as_taken_apart(data: Mapping[str, Any], parents: Explode | None) -> Explode | None:
    """How the children are taken out of what holds them, where the list has their parents so."""
    if parents is None or not asks_below(data) or data["detail"].get("whole"):
        return parents
    return put_together(parents, field_path_of(data.get("single", {}).get("record", "")))


def _of_parents(deletes: Mapping[str, Any], key: Any) -> dict[str, Any]:
    """What tells of the deletes of parents says their keys."""
    changed = {name: value for name, value in deletes.items() if name != "sweep"}
    if "removed" in changed:
        mark = changed["removed"]
        changed["removed"] = {"key": key, **(mark if isinstance(mark, Mapping) else {"field": mark})}
    if isinstance(changed.get("tombstones"), Mapping):
        changed["tombstones"] = {"key": key, **changed["tombstones"]}
    return changed


def check_tombstones(key: Sequence[FieldPath], explode: Explode, complain: Complain) -> int:
    """How many fields of a tombstone name the parent that is gone."""
    if not explode.by or len(key) != explode.by:
        raise complain(
            ("deletes",), "a parent that is gone takes its children with it only where `by` names it."
        )
    return explode.by
