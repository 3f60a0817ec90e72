"""How does a stream tell of deletes? The manifest's `deletes:` becomes streams of its own: ids only, and tombstones.

    deletes:
      removed: {field: "@removed", key: id}            # inside the list, where a record was
      tombstones: {path: /deleted, key: order_id, incremental: {field: at, param: since}}
      sweep: {params: {fields: id}, size: 1000}        # false: what is there can't be listed

What a sweep or a list of tombstones doesn't say itself is as in the stream.
"""

from collections.abc import Mapping
from typing import Any

from worker.connectors.manifest.streams.paging import read_paging
from worker.connectors.reading.shape import Removed, field_path_of

CONTENT = frozenset({"deletes", "incremental", "updated_at", "version", "deleted", "volatile"})
"""What says nothing where only the key counts."""
ASKED = frozenset({"total", "where", "filters", "fields"})
MERGED = frozenset({"body", "conditions"})
"""Of these a sweep says only what differs."""
RELATION = frozenset({"table", "query"})
"""Of a database, a stream is read from one of them."""
IDS_PER_PAGE = 10
"""So many times as many ids as records fit in a page, where the protocol knows how to ask for ids alone."""
MOST_IDS = 10_000


def removed_of(data: Mapping[str, Any]) -> Removed | None:
    """The mark of the stream, with its own key where it has none of its own."""
    found = data.get("deletes", {}).get("removed")
    if found is None:
        return None
    mark = {"field": found} if isinstance(found, str | list) else found
    key = mark.get("key", data["key"])
    paths = (field_path_of(key),) if isinstance(key, str) else tuple(field_path_of(path) for path in key)
    return Removed(field_path_of(mark["field"]), paths)


def sweep_data(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The stream that lists what is there, as a manifest would describe it; None: the system can't be asked so."""
    whole = data.get("tap", {}).get("replication", "full_table") == "full_table"
    found = data.get("deletes", {}).get("sweep", whole)
    if found is False:
        return None
    own = {} if found is True else dict(found)
    params = {**data.get("params", {}), **own.pop("params", {})}
    size = own.pop("size", None)
    for name in MERGED & own.keys():
        if isinstance(own[name], Mapping):
            own[name] = {**data.get(name, {}), **own[name]}
    paging = own.get("paging", data.get("paging", {}))
    left = CONTENT - {"incremental"} if _is_capped(paging) else CONTENT
    if read_paging(paging).seam == "record":
        # Pages that overlap are told to go on by what their records hold.
        left -= {"volatile"}
    swept = {name: value for name, value in data.items() if name not in left} | {"params": params} | own
    return swept if size is None else {**swept, "paging": _sized(swept.get("paging", {}), size)}


def tombstones_data(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The stream of what was deleted; None: the system keeps no list of it."""
    found = data.get("deletes", {}).get("tombstones")
    if not isinstance(found, Mapping):
        return None
    below = ("single",) if "explode" in data else ()
    without = {*CONTENT, *ASKED, "explode", "detail", *below, *(RELATION if RELATION & found.keys() else ())}
    kept = {name: value for name, value in data.items() if name not in without}
    if "conditions" in found:
        found = {**found, "conditions": {**data.get("conditions", {}), **found["conditions"]}}
    return {**kept, "params": {}, **found}


def tombstones_setting(data: Mapping[str, Any]) -> str | None:
    """The setting of a connection that must be true before the list is asked for."""
    found = data.get("deletes", {}).get("tombstones")
    return found.get("setting") if isinstance(found, Mapping) else None


def _is_capped(paging: Mapping[str, Any]) -> bool:
    """Such a list is read by its cursor, also for its keys."""
    return any("cap" in options for options in paging.values())


def _sized(paging: Mapping[str, Any], size: int) -> dict[str, Any]:
    kind, options = next(iter(paging.items()), ("none", {}))
    return {kind: {**options, "size": size} if "size" in options else options}
