"""What does a tap's catalog say, and how is one stream of it chosen? Both ways of saying so: metadata, and what came before it.

A catalog is what `--discover` prints: streams with a JSON schema each, and metadata by breadcrumb (`[]` is the stream,
`["properties", name]` a field). Older taps read `selected`, `key_properties` and `replication_key` at the stream itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from worker.connectors.contract.discovery import Found
from worker.connectors.manifest.singer import Method
from worker.connectors.protocols.singer_calls import Choice
from worker.errors import NeedsOperator, NotFound
from worker.parsing.documents import suggest

_TYPES = {"integer": "integer", "number": "number", "boolean": "boolean", "object": "json", "array": "json"}
_TIMES = {"date-time": "time", "date": "date"}
_METHODS: Mapping[str, Method] = {
    "INCREMENTAL": "incremental",
    "LOG_BASED": "log_based",
    "FULL_TABLE": "full_table",
}


def streams_of(catalog: Any) -> list[dict[str, Any]]:
    """The entries of a catalog, or `NeedsOperator` where it is none."""
    streams = catalog.get("streams") if isinstance(catalog, Mapping) else None
    if not isinstance(streams, list) or not all(isinstance(each, dict) and _id(each) for each in streams):
        message = "What the tap found is no catalog: an object with a list of `streams` was expected."
        raise NeedsOperator("tap_speaks_otherwise", message)
    return streams


def chosen(catalog: Any, choice: Choice) -> dict[str, Any]:
    """The catalog in which this stream alone is selected, and read in this way."""
    copy: dict[str, Any] = deepcopy(catalog)
    entries = streams_of(copy)
    if choice.stream not in (names := [_id(entry) for entry in entries]):
        message = f"The tap has no stream {choice.stream!r}."
        raise NotFound("unknown_stream", message, hint=suggest(choice.stream, names) or None)
    for entry in entries:
        is_chosen = _id(entry) == choice.stream
        entry["selected"] = is_chosen
        metadata = _metadata_of(entry)
        _root(metadata)["selected"] = is_chosen
        if is_chosen:
            _say_how(entry, _root(metadata), choice)
            _select_fields(entry, metadata, choice.leave_out)
    return copy


def found_in(catalog: Any) -> list[Found]:
    """What could be synced, in the manifest's words."""
    taken: set[str] = set()
    return [_found(entry, taken) for entry in streams_of(catalog)]


def column_types(schema: Mapping[str, Any]) -> dict[str, str]:
    """The types of columns that a JSON schema tells of; plain text needs no telling."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    types = {name: _column(about) for name, about in properties.items() if isinstance(about, Mapping)}
    return {name: kind for name, kind in types.items() if kind is not None}


def _column(about: Mapping[str, Any]) -> str | None:
    alternatives = [about, *(each for each in about.get("anyOf", ()) if isinstance(each, Mapping))]
    kinds: set[str] = set()
    for each in alternatives:
        told = each.get("type")
        names = told if isinstance(told, list) else [told]
        if (time := _TIMES.get(str(each.get("format")))) and ("string" in names or told is None):
            kinds.add(time)
        elif str(each.get("format")).endswith("singer.decimal"):
            kinds.add("number")
        else:
            kinds.update(_TYPES.get(str(name), "text") for name in names if name not in {None, "null"})
    if kinds == {"integer", "number"}:
        return "number"
    if len(kinds) != 1:  # several: what a record holds decides
        return None
    kind = kinds.pop()
    return None if kind == "text" else kind


def _found(entry: Mapping[str, Any], taken: set[str]) -> Found:
    root = next((each for at, each in _metadata(entry) if not at), {})
    key = _names(
        root.get("table-key-properties") or root.get("view-key-properties") or entry.get("key_properties")
    )
    valid = _names(root.get("valid-replication-keys"))
    replication_key = _text(root.get("replication-key")) or _text(entry.get("replication_key"))
    replication_key = replication_key or (valid[0] if valid else None)
    method = _method_of(entry, root, replication_key)
    schema = entry.get("schema") if isinstance(entry.get("schema"), Mapping) else {}
    columns = column_types(schema or {})
    tap: dict[str, Any] = {"stream": _id(entry), "replication": method}
    if method == "incremental" and replication_key is not None:
        tap["replication_key"] = replication_key
    describe: dict[str, Any] = {"tap": tap, "key": key[0] if len(key) == 1 else list(key)}
    if method == "incremental" and columns.get(replication_key or "") in {"time", "integer"}:
        describe["version"] = replication_key
    if method == "incremental" and columns.get(replication_key or "") == "time":
        describe["updated_at"] = replication_key
    if columns:
        describe["columns"] = columns
    name = _name(_id(entry), taken)
    title = _text(entry.get("table_name")) or _text(entry.get("stream")) or name
    return Found(
        name=name,
        title=title.replace("_", " ").capitalize(),
        describe=describe,
        key=key,
        cursor=replication_key if method == "incremental" else None,
        fields=tuple((schema or {}).get("properties", {})),
        remarks=tuple(_remarks(key, method, valid)),
    )


def _method_of(entry: Mapping[str, Any], root: Mapping[str, Any], replication_key: str | None) -> Method:
    told = (
        root.get("forced-replication-method")
        or root.get("replication-method")
        or entry.get("replication_method")
    )
    if isinstance(told, Mapping):  # some say why beside it
        told = told.get("replication-method")
    known = _METHODS.get(str(told).upper())
    return known or ("incremental" if replication_key else "full_table")


def _remarks(key: Sequence[str], method: Method, valid: Sequence[str]) -> Iterator[str]:
    if not key:
        yield "The tap tells no key: name the fields that tell its records apart in `key`."
    if method == "full_table" and valid:
        yield f"It could be read incrementally by {' or '.join(valid)}."
    elif method == "full_table":
        yield "It is read whole each time, unless a `replication_key` is named that the tap takes."


def _say_how(entry: dict[str, Any], root: dict[str, Any], choice: Choice) -> None:
    if choice.method is not None and "forced-replication-method" not in root:
        root["replication-method"] = entry["replication_method"] = choice.method.upper()
    if choice.replication_key is not None:
        root["replication-key"] = entry["replication_key"] = choice.replication_key


def _select_fields(entry: dict[str, Any], metadata: list[dict[str, Any]], leave_out: Sequence[str]) -> None:
    schema = entry.get("schema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return
    known = {tuple(each.get("breadcrumb", ())): each.setdefault("metadata", {}) for each in metadata}
    for name in properties:
        about = known.get(("properties", name))
        if about is None:
            about = {}
            metadata.append({"breadcrumb": ["properties", name], "metadata": about})
        if about.get("inclusion") not in {"unsupported", "automatic"}:
            about["selected"] = name not in leave_out


def _metadata_of(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The list itself, made where a tap knows none: it reads `selected` then, and overlooks this."""
    if not isinstance(entry.get("metadata"), list):
        entry["metadata"] = []
    found: list[dict[str, Any]] = entry["metadata"]
    return found


def _root(metadata: list[dict[str, Any]]) -> dict[str, Any]:
    for each in metadata:
        if not each.get("breadcrumb"):
            found: dict[str, Any] = each.setdefault("metadata", {})
            return found
    made: dict[str, Any] = {}
    metadata.append({"breadcrumb": [], "metadata": made})
    return made


def _metadata(entry: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    for each in entry.get("metadata") or ():
        if isinstance(each, Mapping) and isinstance(each.get("metadata"), Mapping):
            yield tuple(each.get("breadcrumb") or ()), each["metadata"]


def _id(entry: Mapping[str, Any]) -> str:
    return _text(entry.get("tap_stream_id")) or _text(entry.get("stream")) or ""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _names(value: Any) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _name(stream: str, taken: set[str]) -> str:
    """A name that streams may have, and that no other has."""
    plain = re.sub(r"[^a-z0-9_]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stream).lower()).strip("_")
    plain = plain if plain[:1].isalpha() else f"s_{plain}"
    name, number = plain[:60], 1
    while name in taken:
        number += 1
        name = f"{plain[:56]}_{number}"
    taken.add(name)
    return name
