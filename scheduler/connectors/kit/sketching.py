"""What does an OpenAPI document say of one list? Its key, its pages, its changes, and how one record is asked for. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from scheduler.connectors.kit import names
from scheduler.connectors.kit.first import setting_names
from scheduler.connectors.kit.guessing import name_in
from scheduler.connectors.kit.names import Param
from scheduler.connectors.kit.places import as_path
from scheduler.connectors.kit.schemas import Listed, Resolved, answer_of, beside, kind_of, mapping, sequence
from worker.connectors.manifest.templates import as_text

_PLACE = re.compile(r"\{([^}]+)\}")
_BELOW = re.compile(r"/\{([^}]+)\}(/|\.json)?")
_ONE = 2
"""So deep an answer may wrap its record."""


def stream_of(
    resolved: Resolved, path: str, paths: Mapping[str, Any], listed: Listed
) -> tuple[dict[str, Any], dict[str, str]]:
    """The keys of a stream, and a remark for each that is unsure."""
    query = _query(resolved, paths[path])
    params = [_param(resolved, one) for one in query]
    stream: dict[str, Any] = {"path": setting_names(path), "records": as_path(listed.at or ())}
    remarks: dict[str, str] = {}
    if listed.at is None:
        remarks["records"] = (
            "The document doesn't describe this answer: where does it hold its list, and which field names a record?"
        )
    fields = {name: one for name, one in resolved.properties(listed.row).items() if _can_be_key(one)}
    single = below(path, paths)
    _key(stream, remarks, [*fields], path, _PLACE.findall(single)[-1] if single else "")
    _paging(stream, remarks, params, [*beside(resolved, listed)])
    _required(resolved, stream, remarks, query)
    _changes(stream, remarks, [one.name for one in params], [*fields])
    if single is not None and isinstance(stream["key"], str):
        answer = answer_of(resolved, paths[single]["get"])
        where = _record_in(resolved, answer, stream["key"], ())
        _single(stream, remarks, single, where)
    return stream, remarks


def asks_for_pages(resolved: Resolved, item: Mapping[str, Any]) -> bool:
    """Whether the parameters of a path seem to ask for pages."""
    params = [_param(resolved, one) for one in _query(resolved, item)]
    return names.counted_paging(params) is not None or names.cursor_param(params) is not None


def _query(resolved: Resolved, item: Mapping[str, Any]) -> list[dict[str, Any]]:
    own = sequence(mapping(item["get"]).get("parameters"))
    given = [resolved(one) for one in [*sequence(item.get("parameters")), *own]]
    return [one for one in given if one.get("in") == "query" and isinstance(one.get("name"), str)]


def _param(resolved: Resolved, one: Mapping[str, Any]) -> Param:
    schema = {**one, **resolved.schema(one.get("schema"))}
    most, usual = schema.get("maximum"), schema.get("default")
    return Param(
        str(one.get("name")),
        int(most) if isinstance(most, int | float) and not isinstance(most, bool) and most >= 1 else None,
        usual if isinstance(usual, int) and not isinstance(usual, bool) else None,
    )


def _can_be_key(schema: Mapping[str, Any]) -> bool:
    return kind_of(schema) not in {"object", "array", "boolean"} and schema.get("format") != "password"


def _key(stream: dict[str, Any], remarks: dict[str, str], fields: list[str], path: str, place: str) -> None:
    found, sure = names.key_among(fields, of=name_in(path), place=place)
    stream["key"] = (found if "." not in found else [found]) if found else "id"
    if not sure:
        remarks["key"] = "Which field names a record, for ever and alone?"


def _required(
    resolved: Resolved, stream: dict[str, Any], remarks: dict[str, str], query: list[dict[str, Any]]
) -> None:
    """Parameters that must be given: with the only value that there is, or to be asked for."""
    said = names.named_in(stream.get("paging", {}))
    wanting = []
    for one in query:
        if not one.get("required") or one.get("name") in said:
            continue
        schema = {**one, **resolved.schema(one.get("schema"))}
        values = sequence(schema.get("enum"))
        only = values[0] if len(values) == 1 else schema.get("default")
        if only is None:
            wanting.append(str(one["name"]))
        else:
            stream.setdefault("params", {})[str(one["name"])] = as_text(only)
    if wanting:
        remarks["path"] = f"The system wants these parameters: {', '.join(wanting)}. Say them under `params`."


def _paging(
    stream: dict[str, Any],
    remarks: dict[str, str],
    params: list[Param],
    around: list[tuple[tuple[str, ...], dict[str, Any]]],
) -> None:
    totals = [at for at, one in around if names.is_total(at[-1]) and kind_of(one) != "string"]
    if totals:
        stream["total"] = as_path(min(totals, key=lambda at: (names.plain(at[-1]) == "count", len(at))))
    cursor = names.cursor_param(params)
    texts = [at for at, _ in around if names.next_cursor_at(at)]
    links = [at for at, one in around if names.next_link_at(at) or _either(at, one) == "link"]
    either = [at for at, one in around if _either(at, one) == "text"]
    if cursor is not None and (texts or either):
        words = {"param": cursor.name, "path": as_path((texts or either)[0])}
        stream["paging"] = {"cursor": names.with_size(words, params)}
        remarks["paging"] = "Guessed by their names: does the text at `path` go into `param`?"
    elif links or (either and cursor is None):
        stream["paging"] = {"next_link": names.with_size({"path": as_path((links or either)[0])}, params)}
        remarks["paging"] = (
            "Guessed by its name: is it a link (next_link) or a text for a parameter (cursor)?"
        )
    elif (counted := names.counted_paging(params)) is not None:
        stream["paging"] = counted
        remarks["paging"] = (
            "Guessed by the names of its parameters: is the first page 1 or 0, and how large may a page be?"
        )
    elif cursor is not None:
        stream["paging"] = {"cursor": names.with_size({"param": cursor.name, "path": "next_cursor"}, params)}
        remarks["paging"] = (
            f"The parameter {cursor.name} asks for a page: where does an answer hold what goes into it (path, or header)?"
        )
    else:
        remarks["paging"] = (
            "No parameter seems to ask for pages: does all of it come in one answer, or is there a Link header?"
        )


def _either(at: tuple[str, ...], schema: Mapping[str, Any]) -> str:
    """What leaves open how it names the next page may say so by its format."""
    if not names.next_either_at(at) or names.next_link_at(at):
        return ""
    return "link" if schema.get("format") in {"uri", "url", "uri-reference"} else "text"


def _changes(stream: dict[str, Any], remarks: dict[str, str], asked: list[str], fields: list[str]) -> None:
    changed = next((name for name in fields if names.is_changed(name)), None)
    param = names.changed_param(asked)
    if changed is None:
        remarks["streams"] = "No field seems to say when a record changed: all of it is read each time."
    elif param is None:
        stream["updated_at"] = changed
        remarks["updated_at"] = (
            f"Can the system be asked for what changed since? incremental: {{field: {changed}, param: …}}"
        )
    else:
        stream["incremental"] = {"field": changed, "param": param}
        remarks["incremental"] = "Is the bound inclusive, in UTC, and how late do changes show (overlap)?"


def below(path: str, paths: Mapping[str, Any]) -> str | None:
    """The path of one record of the list at `path`: with one place more."""
    stem = path.rstrip("/").removesuffix(".json")
    return next(
        (
            other
            for other, item in paths.items()
            if other.startswith(f"{stem}/") and _BELOW.fullmatch(other[len(stem) :]) and "get" in item
        ),
        None,
    )


def _single(
    stream: dict[str, Any],
    remarks: dict[str, str],
    single: str,
    where: tuple[str, ...] | None,
) -> None:
    stem, behind = single[: single.rindex("{")], single[single.rindex("}") + 1 :]
    asked = f"{setting_names(stem)}{{key}}{behind}"
    usual = f"{stream['path'].rstrip('/')}/{{key}}{'/' if stream['path'].endswith('/') else ''}"
    stream["single"] = {} if asked == usual else {"path": asked}
    if where:
        stream["single"]["record"] = ".".join(where)
    elif where is None:
        remarks["single"] = (
            "The document doesn't say where the answer for one record holds it: is it the record itself? Else: {record: …}."
        )


def _record_in(
    resolved: Resolved, schema: dict[str, Any], key: str, at: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Where an answer holds the record that has the key; empty: it is the record; None: it can't be told."""
    if kind_of(schema) == "array":
        inner = resolved.schema(schema.get("items"))
        return (*at, "0") if key in resolved.properties(inner) else None
    fields = resolved.properties(schema)
    if key in fields:
        return at
    if len(at) >= _ONE:
        return None
    found = (_record_in(resolved, one, key, (*at, name)) for name, one in fields.items())
    return next((one for one in found if one is not None), None)
