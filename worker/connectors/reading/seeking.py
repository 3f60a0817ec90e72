"""Where in an answer does it say so? Values at a path, which may lead through lists, names unknown, and JSON in a text. Pure.

    error.code            names
    errors.0.message      an element of a list by its number
    errors.*.message      every element; where it is no list, every field
    _server_messages.0    a text that holds JSON is gone into

An answer may be a page of megabytes and hold no error at all. So it is searched for the names in a path first, as bytes:
where one isn't there, nothing stands at the path. Only then is it read, and of a large one only what lies on the path.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from worker.connectors.reading.shape import FieldPath
from worker.connectors.reading.split import slices

ANY = "*"
SMALL = 16 * 1024
"""An answer up to this size is read once as a whole, whatever is asked of it."""
Unreadable = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_PLAIN = re.compile(r"[A-Za-z0-9_@$:. -]+", re.ASCII)
"""No encoder of JSON writes these in another way."""


def seek(value: Any, path: FieldPath) -> Iterator[tuple[str | None, Any]]:
    """All that stands there, each with the name of the field that `*` stood for last."""
    yield from _seek(value, path, None)


def plain(text: str) -> bytes | None:
    """How it stands in any JSON that holds it; None where that may differ."""
    return text.encode() if _PLAIN.fullmatch(text) else None


def needles_of(path: FieldPath) -> tuple[bytes, ...]:
    """What the bytes of an answer hold if anything stands at the path. Only at the top a name has its quotes for sure."""
    names = [None if name == ANY or name.isdecimal() else plain(name) for name in path]
    return tuple(
        b'"%b"' % name if place == 0 else name for place, name in enumerate(names) if name is not None
    )


class Body:
    """One answer, asked for several values. `holds` is cheap, `values` less so."""

    __slots__ = ("_data", "_raw", "_read")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._data: Any = None
        self._read = False

    def holds(self, needles: tuple[bytes, ...]) -> bool:
        return all(needle in self._raw for needle in needles)

    @property
    def is_json(self) -> bool:
        """As far as its first character tells."""
        return self._raw[:64].lstrip(_BLANK)[:1] in {b"{", b"["}

    @property
    def text(self) -> str:
        """Its beginning."""
        return self._raw[:SMALL].decode("utf-8", "replace")

    def values(self, path: FieldPath) -> list[Any]:
        """All that stands at the path; nothing where the answer is no JSON."""
        if len(self._raw) > SMALL:
            return [value for _, value in seek(*_narrowed(self._raw, path))]
        if not self._read:
            self._data, self._read = _decoded(self._raw), True
        return [value for _, value in seek(self._data, path)]


_BLANK = b" \t\r\n\xef\xbb\xbf"


def _seek(value: Any, path: FieldPath, name: str | None) -> Iterator[tuple[str | None, Any]]:
    if not path:
        yield name, value
        return
    for field, inner in _below(_in_text(value) if isinstance(value, str) else value, path[0]):
        yield from _seek(inner, path[1:], field or name)


def _below(value: Any, step: str) -> Iterable[tuple[str | None, Any]]:
    """What one step of a path leads to, and the field's name where `*` stood for that."""
    if isinstance(value, dict):
        if step in value:
            return ((None, value[step]),)
        return value.items() if step == ANY else ()
    if isinstance(value, list):
        if step == ANY:
            return ((None, inner) for inner in value)
        if step.isdecimal() and int(step) < len(value):
            return ((None, value[int(step)]),)
    return ()


def _in_text(text: str) -> Any:
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    return _decoded(text.encode("utf-8", "surrogatepass"))


def _decoded(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except Unreadable:
        return None


def _narrowed(raw: bytes, path: FieldPath) -> tuple[Any, FieldPath]:
    """What lies at the part of the path that is made of names, built; and the rest of the path."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    for number, name in enumerate(path):
        if name == ANY or name.isdecimal():
            return _decoded(raw), path[number:]
        try:
            found = _decoder_of(name).decode(raw).found
        except msgspec.ValidationError:  # no object
            return _decoded(raw), path[number:]
        except Unreadable:
            found = _carefully(raw, name)
        if found is None:
            return None, path[number:]
        raw = bytes(found)
    return _decoded(raw), ()


def _carefully(raw: bytes, name: str) -> bytes | None:
    """Of a page that msgspec can't read: one record in it may be nested too deeply."""
    try:
        return slices(raw, {(name,)}).get((name,))
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _decoder_of(name: str) -> "msgspec.json.Decoder[Any]":
    kind = msgspec.defstruct("At", [("found", msgspec.Raw, None)], rename={"found": name}, gc=False)
    return msgspec.json.Decoder(kind)
