"""May a name hold a slash? In a path it is written `%2F`, and stays part of its segment.

Servers decode a path before it is routed, so the slash of a name would look like any other. The frame puts a character in
its place that no text holds, and whatever reads a segment of a path puts the slash back.
"""

from urllib.parse import unquote

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.types import Scope

_STANDS_FOR_SLASH = "\ufdd0"
"""A noncharacter of Unicode."""


class _Segment(StringConvertor):
    """What stands between two slashes of a path."""

    def convert(self, value: str) -> str:
        return with_slashes(value)


def with_slashes(segment: str) -> str:
    """A segment of a path as it was meant."""
    return segment.replace(_STANDS_FOR_SLASH, "/")


register_url_convertor("str", _Segment())


def keep_slashes(scope: Scope) -> Scope:
    """The scope, with a path whose encoded slashes part nothing."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw.lower():
        return scope
    segments = (
        unquote(segment).replace("/", _STANDS_FOR_SLASH) for segment in raw.decode("latin-1").split("/")
    )
    return {**scope, "path": "/".join(segments)}
