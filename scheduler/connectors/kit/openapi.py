"""What does an OpenAPI document say that a manifest needs? Its lists become streams, the rest is marked for review. Pure.

OpenAPI 3 and Swagger 2, JSON or YAML. A GET without a place in its path whose answer holds a list of objects is a stream;
one below it with a single place in its path is how one record is asked for.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.connectors.kit.guessing import changed_param, paging_of_params
from scheduler.connectors.kit.writing import Sketch, name_of, with_guess
from worker.errors import InvalidInput

_PLACE = re.compile(r"\{[^}]+\}")
_CHANGED = re.compile(r"^(updated|modified|changed|last_?(updated|modified|changed)).*$", re.IGNORECASE)
_DEEPEST = 4
_TOTAL = re.compile(r"^(total|count|total_?(count|results|records|items))$", re.IGNORECASE)
_NEXT = re.compile(r"^next", re.IGNORECASE)


def sketch_of(document: Mapping[str, Any], system: str) -> Sketch:
    """The system that the document describes; `InvalidInput` where it describes none."""
    if not str(document.get("openapi") or document.get("swagger") or "").startswith(("3", "2")):
        hint = "An OpenAPI 3 or Swagger 2 document has `openapi: 3…` or `swagger: '2.0'` at its top."
        raise InvalidInput("not_openapi", "The file is no OpenAPI document.", hint=hint)
    info = document.get("info", {})
    title = str(info.get("title") or system)
    sketch = Sketch(system, title[:100], _base_url(document), _auth(document))
    sketch.description = str(info.get("description") or "").strip().split("\n")[0][:300]
    resolved = _Resolved(document)
    paths = document.get("paths") or {}
    for path, item in paths.items():
        if not isinstance(item, Mapping) or "get" not in item or _PLACE.search(path):
            continue
        _add(sketch, resolved, path, item, paths)
    return sketch


class _Resolved:
    """Follows `$ref` inside the document, never outside of it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def __call__(self, node: Any) -> dict[str, Any]:
        for _ in range(20):
            if not isinstance(node, Mapping):
                return {}
            reference = node.get("$ref")
            if reference is None:
                return dict(node)
            node = self._at(str(reference))
        return {}

    def schema(self, node: Any, depth: int = 0) -> dict[str, Any]:
        """With what `allOf` puts together."""
        found = self(node)
        if "allOf" not in found or depth > _DEEPEST:
            return found
        parts = [self.schema(part, depth + 1) for part in found["allOf"]]
        merged = {"type": "object", **{key: value for part in parts for key, value in part.items()}}
        merged["properties"] = {
            name: value for part in [*parts, found] for name, value in part.get("properties", {}).items()
        }
        return merged

    def _at(self, reference: str) -> Any:
        node: Any = self._document
        for part in reference.removeprefix("#/").split("/"):
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
        return node


def _add(
    sketch: Sketch, resolved: _Resolved, path: str, item: Mapping[str, Any], paths: Mapping[str, Any]
) -> None:
    found = _list_in(resolved, _answer(resolved, item["get"]), ())
    if found is None:
        return
    where, row, around = found
    params = [resolved(one) for one in [*item.get("parameters", ()), *item["get"].get("parameters", ())]]
    asked = [str(one.get("name")) for one in params if one.get("in") == "query"]
    fields = {name: resolved.schema(one) for name, one in row.get("properties", {}).items()}
    stream: dict[str, Any] = {"path": path, "records": ".".join(where)}
    remarks: dict[str, str] = {}
    single = next((other for other in paths if _is_below(other, path)), None)
    _key(stream, remarks, fields, single)
    if needed := [one["name"] for one in params if one.get("required") and one.get("in") == "query"]:
        remarks["path"] = f"The system wants these parameters: {', '.join(needed)}. Say them under `params`."
    _paging(stream, remarks, asked, around, where)
    _changes(stream, remarks, asked, fields)
    if single is not None and isinstance(stream["key"], str):
        stream["single"] = {"path": _PLACE.sub("{key}", single)} if single != f"{path}/{{key}}" else {}
    with_guess(
        sketch, name_of(path.strip("/").split("/")[-1] or "records", list(sketch.streams)), stream, remarks
    )


def _answer(resolved: _Resolved, operation: Mapping[str, Any]) -> dict[str, Any]:
    answers = operation.get("responses") or {}
    good = resolved(answers.get("200") or answers.get(200) or answers.get("default"))
    if "schema" in good:
        return resolved.schema(good["schema"])
    contents = good.get("content") or {}
    chosen: Any = next((one for kind, one in contents.items() if "json" in kind), {})
    return resolved.schema(chosen.get("schema")) if isinstance(chosen, Mapping) else {}


def _list_in(
    resolved: _Resolved,
    schema: Mapping[str, Any],
    at: tuple[str, ...],
    around: Mapping[str, Any] | None = None,
) -> tuple[tuple[str, ...], dict[str, Any], Mapping[str, Any]] | None:
    """Where the list of objects is, what its objects are, and what stands beside it."""
    if schema.get("type") == "array" or "items" in schema:
        row = resolved.schema(schema.get("items"))
        return (at, row, around or {}) if row.get("properties") or row.get("type") == "object" else None
    if len(at) >= _DEEPEST:
        return None
    properties = {name: resolved.schema(one) for name, one in schema.get("properties", {}).items()}
    lists_first = sorted(properties.items(), key=lambda one: one[1].get("type") != "array")
    tried = (_list_in(resolved, one, (*at, name), schema) for name, one in lists_first)
    return next((found for found in tried if found is not None), None)


def _key(
    stream: dict[str, Any], remarks: dict[str, str], fields: Mapping[str, Any], single: str | None
) -> None:
    place = _PLACE.findall(single)[-1].strip("{}") if single else ""
    likely = [place, "id", "uuid", "ID", "_id", "key", "number", "code", "name", *fields]
    stream["key"] = next((name for name in likely if name in fields), "id")
    if stream["key"] not in {place, "id", "uuid"}:
        remarks["key"] = "Which field names a record, for ever and alone?"


def _paging(
    stream: dict[str, Any],
    remarks: dict[str, str],
    asked: list[str],
    around: Mapping[str, Any],
    where: tuple[str, ...],
) -> None:
    before = where[:-1]
    beside = list(around.get("properties", {})) if where else []
    total = next((name for name in beside if _TOTAL.match(name)), None)
    if total is not None:
        stream["total"] = ".".join([*before, total])
    paging = paging_of_params(asked)
    following = next((name for name in beside if _NEXT.match(name) and name not in where), None)
    if paging is None or "cursor" in paging:
        if following is not None:
            path = ".".join([*before, following])
            stream["paging"] = (
                {"cursor": {**paging["cursor"], "path": path}} if paging else {"next_link": {"path": path}}
            )
            remarks["paging"] = (
                "Guessed by its name: is it a link (next_link) or a text for a parameter (cursor)?"
            )
            return
        if paging is None:
            remarks["paging"] = "No parameter seems to ask for pages: does all of it come in one answer?"
            return
    stream["paging"] = paging
    remarks["paging"] = (
        "Guessed by the names of its parameters: is the first page 1 or 0, and how large may a page be?"
    )


def _changes(
    stream: dict[str, Any], remarks: dict[str, str], asked: list[str], fields: Mapping[str, Any]
) -> None:
    changed = next((name for name in fields if _CHANGED.match(name)), None)
    param = changed_param(asked)
    if changed is None:
        return
    if param is None:
        stream["updated_at"] = changed
        remarks["updated_at"] = (
            f"Can the system be asked for what changed since? incremental: {{field: {changed}, param: …}}"
        )
        return
    stream["incremental"] = {"field": changed, "param": param}
    remarks["incremental"] = "Is the bound inclusive, in UTC, and how late do changes show (overlap)?"


def _is_below(other: str, path: str) -> bool:
    rest = other.removeprefix(path.rstrip("/"))
    return rest != other and re.fullmatch(r"/\{[^}]+\}/?", rest) is not None


def _base_url(document: Mapping[str, Any]) -> str:
    servers = document.get("servers") or []
    for one in servers:
        url = str(one.get("url", ""))
        for name, variable in (one.get("variables") or {}).items():
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        if url.startswith("http"):
            return url.rstrip("/")
    if document.get("host"):
        scheme = next(iter(document.get("schemes") or ["https"]))
        return f"{scheme}://{document['host']}{document.get('basePath', '')}".rstrip("/")
    return "https://api.example.com"


def _auth(document: Mapping[str, Any]) -> str:
    schemes = (
        (document.get("components") or {}).get("securitySchemes") or document.get("securityDefinitions") or {}
    )
    return next(_kinds(schemes), "none" if not schemes else "bearer")


def _kinds(schemes: Mapping[str, Any]) -> Iterator[str]:
    for one in schemes.values():
        kind, scheme = one.get("type"), str(one.get("scheme", "")).lower()
        if kind == "apiKey" and one.get("in") == "header":
            yield f"header:{one.get('name', 'X-Api-Key')}"
        elif kind == "basic" or (kind == "http" and scheme == "basic"):
            yield "basic"
        elif kind in {"http", "oauth2"}:
            yield "bearer"
