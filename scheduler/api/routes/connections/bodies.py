"""What is a request's body where the schema of the connections file says what may stand in it?"""

from copy import deepcopy
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from scheduler.connections.editing.body import Body, read_body
from scheduler.connections.file.reading import load_schema, schema_of_an_entry


async def _read(request: Request) -> Body:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(415, "The body must be JSON: send `Content-Type: application/json`.")
    return read_body(await request.body())


JsonBody = Annotated[Body, Depends(_read)]
"""The body, read as strictly as a file; the checks of the file come next."""


def new_connection() -> dict[str, Any]:
    """For the OpenAPI document: a whole connection."""
    return _request(_inlined(schema_of_an_entry()), "application/json")


def changed_connection() -> dict[str, Any]:
    """A merge patch of one."""
    return _request(_patch(_inlined(schema_of_an_entry())), *_PATCHES)


def changed_stream() -> dict[str, Any]:
    """A merge patch of a stream."""
    schema = load_schema()
    return _request(_patch(_inlined({"$defs": schema["$defs"], **schema["$defs"]["stream"]})), *_PATCHES)


_PATCHES = ("application/json",)
"""`application/merge-patch+json` is taken, too; named here as well, it would be a second type of everything in it."""


def _request(schema: dict[str, Any], *kinds: str) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}}


def _patch(schema: dict[str, Any]) -> dict[str, Any]:
    """Each field may be left out, or null to take its value away."""
    schema = deepcopy(schema)
    schema.pop("required", None)
    schema["properties"] = {name: _or_null(field) for name, field in schema["properties"].items()}
    return schema


def _or_null(field: dict[str, Any]) -> dict[str, Any]:
    if isinstance(field.get("type"), str):
        return {**field, "type": [field["type"], "null"]}
    return {"anyOf": [field, {"type": "null"}]}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Without references: an OpenAPI document has its definitions elsewhere.

    Without titles within, too: a client generator calls a type by its title, and there may be only one of a name.
    """
    definitions = schema["$defs"]

    def within(part: Any) -> Any:
        if isinstance(part, dict):
            part = {**definitions[part["$ref"].rpartition("/")[2]], **part} if "$ref" in part else part
            return {key: within(value) for key, value in part.items() if not _is_left_out(key, value)}
        return [within(value) for value in part] if isinstance(part, list) else part

    found: dict[str, Any] = within(schema)
    return found | ({"title": schema["title"]} if "title" in schema else {})


def _is_left_out(key: str, value: Any) -> bool:
    """A property may be called `title`; a title is text."""
    return key in {"$ref", "$defs"} or (key == "title" and isinstance(value, str))
