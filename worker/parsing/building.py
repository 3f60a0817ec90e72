"""How does the text of a YAML or JSON file become plain data that remembers its lines?

What makes YAML dangerous or surprising is refused (aliases, tags, duplicate keys, several documents) or left out: only
`true`, `false`, `null` and plain numbers are not text.
"""

import json
import math
import re
from typing import Any

import yaml

from worker.errors import InvalidInput
from worker.parsing.wording import shown
from worker.parsing.yaml_mistakes import mistake_in

MAX_DEPTH = 50

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z", re.ASCII)
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_JSON_TOKEN = re.compile(r'[ \t\r\n]*([{}\[\],:]|"(?:[^"\\]|\\.)*"|[^{}\[\],:"\s]+)')


class Builder:
    """Puts values together without recursion, and keeps their lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data: Any = None
        self.lines: dict[tuple[str | int, ...], int] = {}
        self._open: list[tuple[dict[str, Any] | list[Any], tuple[str | int, ...]]] = []
        self._key: list[str | None] = []

    def wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], dict) and self._key[-1] is None

    def key(self, key: str, line: int) -> None:
        into, path = self._open[-1]
        if key in into:
            first = self.lines[(*path, key)]
            raise self.refuse(f"The key {shown(key)} stands here twice (first on line {first}).", line)
        self._key[-1] = key
        self.lines[(*path, key)] = line

    def add(self, value: Any, line: int) -> None:
        path = self._put(value, line)
        if isinstance(value, dict | list):
            if len(self._open) >= MAX_DEPTH:
                raise self.refuse(f"The file is nested deeper than {MAX_DEPTH} levels.", line)
            self._open.append((value, path))
            self._key.append(None)

    def close(self) -> None:
        self._open.pop()
        self._key.pop()

    def refuse(self, message: str, line: int) -> InvalidInput:
        return InvalidInput("bad_yaml", message, place=f"{self.name}:{line}")

    def _put(self, value: Any, line: int) -> tuple[str | int, ...]:
        if not self._open:
            self.data = value
            self.lines[()] = line
            return ()
        into, path = self._open[-1]
        if isinstance(into, list):
            into.append(value)
            path = (*path, len(into) - 1)
            self.lines[path] = line
            return path
        key = self._key[-1]
        assert key is not None  # noqa: S101  # a mapping's value comes after its key
        self._key[-1] = None
        into[key] = value
        return (*path, key)


def read_yaml(text: str, builder: Builder) -> None:
    try:
        documents = 0
        for event in yaml.parse(text, Loader=_Loader):
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise builder.refuse("The file holds several documents; one is read.", _line(event))
            _take_event(event, builder)
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        raise builder.refuse("The file holds a character that YAML doesn't allow.", line) from None
    except yaml.MarkedYAMLError as exc:
        line, words = mistake_in(text, exc)
        raise builder.refuse(f"This is not valid YAML: {words}.", line) from None


def _take_event(event: yaml.Event, builder: Builder) -> None:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise builder.refuse("Anchors and aliases (& and *) are not allowed; write the value out.", line)
    if getattr(event, "tag", None):
        raise builder.refuse("Tags (!…) are not allowed.", line)
    if isinstance(event, yaml.ScalarEvent):
        if builder.wants_key():
            builder.key(event.value, line)
        else:
            plain = event.implicit[0]
            builder.add(_plain_value(event.value, line, builder) if plain else event.value, line)
    elif isinstance(event, yaml.CollectionStartEvent):
        if builder.wants_key():
            raise builder.refuse("A key must be plain text.", line)
        builder.add({} if isinstance(event, yaml.MappingStartEvent) else [], line)
    elif isinstance(event, yaml.CollectionEndEvent):
        builder.close()


def _plain_value(text: str, line: int, builder: Builder) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text):
        if not math.isfinite(value := float(text)):
            raise builder.refuse("This number is too large.", line)
        return value
    return text


def read_json(text: str, builder: Builder) -> None:
    """The standard library says whether it is JSON; then the tokens are walked once more for their lines."""
    try:
        json.loads(text, parse_constant=_no_constant, parse_int=float)
    except json.JSONDecodeError as exc:
        raise builder.refuse(f"This is not valid JSON: {exc.msg}.", exc.lineno) from None
    except (ValueError, RecursionError) as exc:
        words = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise builder.refuse(f"This can't be read: {words}.", 1) from None
    at, line = 0, 1
    while (match := _JSON_TOKEN.match(text, at)) is not None:
        symbol = match[1]
        line += text.count("\n", at, match.start(1))
        at = match.end()
        if symbol in {"}", "]"}:
            builder.close()
        elif symbol in {"{", "["}:
            builder.add({} if symbol == "{" else [], line)
        elif builder.wants_key() and symbol not in {",", ":"}:
            builder.key(_json_text(symbol, line, builder), line)
        elif symbol not in {",", ":"}:
            read = _json_text if symbol[0] == '"' else _plain_value
            builder.add(read(symbol, line, builder), line)


def _json_text(token: str, line: int, builder: Builder) -> str:
    text = str(json.loads(token))
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise builder.refuse("This text holds half a character (a lone surrogate).", line)
    return text


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 1
