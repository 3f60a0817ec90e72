"""What does a YAML or JSON file say, and on which line?

Files that people write (manifests, the connections file) are read here into plain data that remembers its places, so
every complaint can name `file:line`, the field and the nearest valid name. What makes YAML dangerous or surprising is
refused (aliases, tags, duplicate keys, several documents) or left out: only `true`, `false`, `null` and plain numbers
are not text, so `no`, `12:30`, `2024-01-01` and `0123` stay what was written.
"""

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from worker.errors import InvalidInput

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 50

Path_ = Sequence[str | int]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z", re.ASCII)
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_JSON_TOKEN = re.compile(r'[ \t\r\n]*([{}\[\],:]|"(?:[^"\\]|\\.)*"|[^{}\[\],:"\s]+)')


@dataclass(frozen=True)
class Document:
    """Plain data, and the line of every value in it."""

    name: str
    data: Any
    lines: Mapping[tuple[str | int, ...], int] = field(repr=False)

    def place(self, path: Path_) -> str:
        """`file:line` of a value (the line of its key), or of the nearest thing around it that exists."""
        return f"{self.name}:{self.line(path)}"

    def line(self, path: Path_) -> int:
        spot = tuple(path)
        while spot and spot not in self.lines:
            spot = spot[:-1]
        return self.lines.get(spot, 1)

    def holds(self, place: str) -> bool:
        """Whether that is a place in here already."""
        return place.startswith(f"{self.name}:")

    def error(self, path: Path_, code: str, message: str, *, hint: str | None = None) -> InvalidInput:
        """The error to raise for what stands at `path`."""
        return InvalidInput(code, message, place=self.place(path), hint=hint)


def load_document(path: Path) -> Document:
    """Read a file; `.json` is JSON, anything else YAML."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise InvalidInput(
            "unreadable_file", f"The file can't be read: {exc.strerror}.", place=str(path)
        ) from None
    return read_document(content, str(path))


def read_document(content: bytes, name: str) -> Document:
    """Read what a file holds; `name` is how its places are called."""
    if len(content) > MAX_BYTES:
        raise InvalidInput("file_too_large", f"The file is larger than {MAX_BYTES // 1024} kB.", place=name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise InvalidInput("bad_yaml", "The file is not UTF-8 text.", place=f"{name}:{line}") from None
    builder = _Builder(name)
    (_read_json if name.endswith(".json") else _read_yaml)(text, builder)
    return Document(name, builder.data, builder.lines)


class _Builder:
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
            raise self.refuse(f"The key {_shown(key)} stands here twice (first on line {first}).", line)
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


def _read_yaml(text: str, builder: _Builder) -> None:
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
        mark = exc.problem_mark or exc.context_mark
        line = mark.line + 1 if mark else 1
        words = ": ".join(part for part in (exc.context, exc.problem) if part)
        raise builder.refuse(f"This is not valid YAML: {words}.", line) from None


def _take_event(event: yaml.Event, builder: _Builder) -> None:
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


def _plain_value(text: str, line: int, builder: _Builder) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text):
        if not math.isfinite(value := float(text)):
            raise builder.refuse("This number is too large.", line)
        return value
    return text


def _read_json(text: str, builder: _Builder) -> None:
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


def _json_text(token: str, line: int, builder: _Builder) -> str:
    text = str(json.loads(token))
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise builder.refuse("This text holds half a character (a lone surrogate).", line)
    return text


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 1


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def field_path(path: Path_) -> str:
    """How a field is called in an error: `streams.sites.key[1]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the file"


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that `name` was probably meant to be."""
    return next(iter(difflib.get_close_matches(name, list(valid), n=1, cutoff=0.6)), None)


def suggest(name: str, valid: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest valid one, or all of them."""
    names = sorted(valid)
    if (meant := nearest(name, names)) is not None:
        return f"Did you mean {meant!r}?"
    return f"Valid: {', '.join(names[:30])}{', …' if len(names) > 30 else ''}." if names else ""


def validate(document: Document, schema: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` for the first problem: `unknown_key`, `missing_key` or `bad_value`.

    A key that is probably misspelled comes first: it explains the missing one beside it.
    """
    if problems := find_problems(document, schema):
        raise min(problems, key=lambda problem: not problem.misspelled).error(document)


def find_problems(document: Document, schema: Mapping[str, Any]) -> list["Problem"]:
    """All that is wrong, by line."""
    problems = [
        problem
        for error in Draft202012Validator(schema).iter_errors(document.data)
        for problem in _problems(_telling(error))
    ]
    return sorted(problems, key=lambda problem: document.line(problem.path))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a document, and where."""

    path: tuple[str | int, ...]
    code: str
    message: str
    hint: str | None = None
    misspelled: bool = False

    def error(self, document: Document) -> InvalidInput:
        return document.error(self.path, self.code, self.message, hint=self.hint)


def _telling(error: ValidationError) -> ValidationError:
    """Of a choice of schemas, the complaint of the branch that was meant."""
    return best_match([error]) or error


def _problems(error: ValidationError) -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    where = field_path(path)
    if error.validator in {"additionalProperties", "unevaluatedProperties"} and isinstance(
        error.instance, dict
    ):
        yield from _unknown_keys(error, path)
    elif error.validator == "required":
        key = next(key for key in error.validator_value if error.message.startswith(repr(key)))
        about = error.schema.get("properties", {}).get(key, {}).get("description")
        yield Problem(path, "missing_key", f"The key {key!r} is missing in {where}.", about)
    elif "propertyNames" in error.absolute_schema_path:
        key = str(error.instance)
        yield Problem((*path, key), "bad_value", f"{_shown(key)} can't be a name in {where}.", _about(error))
    else:
        yield Problem(path, "bad_value", *_bad_value(error, where, path))


def _unknown_keys(error: ValidationError, path: tuple[str | int, ...]) -> Iterator[Problem]:
    valid = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    for key in error.instance:
        if key not in valid and not any(re.search(pattern, key) for pattern in patterns):
            where = f" in {field_path(path)}" if path else ""
            message = f"Unknown key {_shown(key)}{where}."
            meant = nearest(key, valid) is not None
            yield Problem((*path, key), "unknown_key", message, suggest(key, valid), meant)


def _bad_value(error: ValidationError, where: str, path: Path_) -> tuple[str, str | None]:
    given = _given(error, path)
    if error.validator == "type":
        kinds = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        wanted = " or ".join(_KINDS[kind] for kind in kinds)
        return f"{where} must be {wanted}, not {given}.", _about(error)
    if error.validator in {"enum", "const"}:
        allowed = [str(value) for value in error.validator_value] if error.validator == "enum" else []
        wanted = f"one of {', '.join(allowed)}" if allowed else repr(error.validator_value)
        hint = nearest(str(error.instance), allowed)
        return f"{where} must be {wanted}, not {given}.", f"Did you mean {hint!r}?" if hint else _about(error)
    if error.validator == "pattern":
        return f"{where} can't be {given}.", _about(error)
    if error.validator in {"minProperties", "maxProperties"}:
        valid = ", ".join(error.schema.get("properties", {}))
        return f"{where} holds {len(error.instance)} keys.", f"Valid: {valid}." if valid else _about(error)
    for rule, words in _BOUNDS.items():
        if error.validator == rule:
            return f"{where} must be {words} {error.validator_value}; {given} was given.", _about(error)
    return f"{where} can't be {given}.", _about(error)


def _given(error: ValidationError, path: Path_) -> str:
    value = error.instance
    if "secrets" in path or error.schema.get("writeOnly"):
        return "what was given"
    for kind, words in ((dict, "a mapping of keys"), (list, "a list")):
        if isinstance(value, kind):
            return words
    if value is None:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else _shown(value)


def _about(error: ValidationError) -> str | None:
    about = error.schema.get("description") if isinstance(error.schema, dict) else None
    return str(about) if about else None


_KINDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "object": "a mapping of keys", "array": "a list", "null": "empty",
}  # fmt: skip
_BOUNDS = {
    "minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than", "exclusiveMaximum": "less than",
    "minLength": "of a length of at least", "maxLength": "of a length of at most",
    "minItems": "a list with a length of at least", "maxItems": "a list with a length of at most",
}  # fmt: skip
