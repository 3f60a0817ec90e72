"""What is wrong with data that doesn't fit its schema, in sentences for whoever wrote it: the field, what was expected, and
what was probably meant. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from worker.errors import InvalidInput
from worker.parsing.meant import Guess, meant_by
from worker.parsing.wording import Path_, field_path, listed, nearest, shown

Path = tuple[str | int, ...]


class Places(Protocol):
    """Knows where things stand in a file."""

    def error(self, path: Path_, code: str, message: str, *, hint: str | None = None) -> InvalidInput: ...


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a document, and where."""

    path: Path
    code: str
    message: str
    hint: str | None = None
    meant: str | None = None
    """Of an unknown key: which of the valid ones it is, misspelled."""

    @property
    def misspelled(self) -> bool:
        return self.meant is not None

    def error(self, document: Places) -> InvalidInput:
        return document.error(self.path, self.code, self.message, hint=self.hint)


def problems_in(data: Any, schema: Mapping[str, Any]) -> Iterator[Problem]:
    """All that is wrong, each thing once."""
    for error in Draft202012Validator(schema).iter_errors(data):
        yield from _problems(_telling(error), schema)


def _telling(error: ValidationError) -> ValidationError:
    """Of a choice of schemas, the complaint of the branch that was meant."""
    return error if _choice_of_keys(error) else best_match([error]) or error


def _problems(error: ValidationError, whole: Mapping[str, Any]) -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    where = field_path(path)
    if error.validator in {"additionalProperties", "unevaluatedProperties"} and isinstance(
        error.instance, dict
    ):
        yield from _unknown_keys(error, path, whole)
    elif error.validator == "required":
        key = next(key for key in error.validator_value if error.message.startswith(repr(key)))
        about = _description(error.schema.get("properties", {}).get(key, {}), whole)
        yield Problem(path, "missing_key", f"The key {key!r} is missing in {where}.", about)
    elif error.validator == "dependentRequired":
        key, needs = _dependent(error)
        yield Problem(
            (*path, needs), "missing_key", f"The key {key!r} is missing in {where}: it goes with {needs}."
        )
    elif keys := _choice_of_keys(error):
        yield _wrong_choice(error, path, keys)
    elif "propertyNames" in error.absolute_schema_path:
        yield _bad_name(error, path)
    elif error.validator in {"minProperties", "maxProperties"}:
        yield _wrong_number(error, path)
    else:
        yield Problem(path, "bad_value", *_bad_value(error, where, path))


def _unknown_keys(error: ValidationError, path: Path, whole: Mapping[str, Any]) -> Iterator[Problem]:
    valid = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    unknown = [
        key
        for key in error.instance
        if key not in valid and not any(re.search(pattern, key) for pattern in patterns)
    ]
    if path and isinstance(path[-1], str) and path[-1] in valid and len(unknown) == len(error.instance):
        among = field_path(path[:-1])
        words = f"{path[-1]} stands among the names in {among}, and is a key of what they name."
        yield Problem(path, "unknown_key", words, "Is it indented too little?")
        return
    for key in unknown:
        where = f" in {field_path(path)}" if path else ""
        found: Guess = meant_by(key, error.instance[key], error.schema, path, whole)
        yield Problem(
            (*path, key), "unknown_key", f"Unknown key {shown(key)}{where}.", found.hint, found.meant
        )


def _dependent(error: ValidationError) -> tuple[str, str]:
    """Which key is missing, and which one needs it."""
    for needs, keys in error.validator_value.items():
        for key in keys:
            if error.message == f"{key!r} is a dependency of {needs!r}":
                return str(key), str(needs)
    return "", ""


def _choice_of_keys(error: ValidationError) -> list[str]:
    """Where schemas to choose from ask for nothing but a key each: those keys."""
    if error.validator not in {"oneOf", "anyOf"}:
        return []
    branches = error.validator_value
    if not all(branch.keys() == {"required"} and len(branch["required"]) == 1 for branch in branches):
        return []
    return [branch["required"][0] for branch in branches]


def _wrong_choice(error: ValidationError, path: Path, keys: list[str]) -> Problem:
    there = [key for key in keys if key in error.instance]
    where = field_path(path)
    if there:
        words = f"{where} holds {listed(there, 'and')}, and only one of them can count."
        return Problem(path, "bad_value", words)
    return Problem(path, "missing_key", f"One of the keys {listed(keys, 'or')} is missing in {where}.")


def _bad_name(error: ValidationError, path: Path) -> Problem:
    key, pattern = str(error.instance), error.schema.get("pattern", "")
    words = f"{shown(key)} can't be a name in {field_path(path)}."
    other = re.sub(r"[^a-z0-9_]+", "_", key.lower()).strip("_")
    about = _about(error)
    if error.validator == "pattern" and other and other != key and re.search(pattern, other):
        about = " ".join(part for part in (f"Did you mean {other!r}?", about) if part)
    return Problem((*path, key), "bad_value", words, about)


def _wrong_number(error: ValidationError, path: Path) -> Problem:
    valid, given, where = list(error.schema.get("properties", {})), list(error.instance), field_path(path)
    one = error.schema.get("minProperties") == error.schema.get("maxProperties") == 1
    if one and valid:
        stands = f"{listed(given, 'and')} stand there" if given else "it is empty"
        words = f"{where} must hold one of {listed(valid, 'or')}; {stands}."
        return Problem((*path, given[-1]) if given else path, "bad_value", words)
    if not given:
        return Problem(path, "bad_value", f"{where} is empty.", _about(error))
    hint = f"Valid: {', '.join(valid)}." if valid else _about(error)
    return Problem(path, "bad_value", f"{where} must be empty, and holds {listed(given, 'and')}.", hint)


def _bad_value(error: ValidationError, where: str, path: Path) -> tuple[str, str | None]:
    given = _given(error, path)
    if error.validator == "type":
        kinds = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        wanted = " or ".join(_KINDS[kind] for kind in kinds)
        return f"{where} must be {wanted}, not {given}.", _way_out(error, path, kinds) or _about(error)
    if error.validator in {"enum", "const"}:
        return _not_allowed(error, where, given)
    if error.validator == "uniqueItems":
        return f"{where} holds an entry twice.", _about(error)
    for rule, words in _BOUNDS.items():
        if error.validator == rule:
            return f"{where} must be {words} {error.validator_value}; {given} was given.", _about(error)
    return f"{where} can't be {given}.", _about(error)


def _not_allowed(error: ValidationError, where: str, given: str) -> tuple[str, str | None]:
    if error.validator == "const":
        return f"{where} must be {error.validator_value!r}, not {given}.", _about(error)
    allowed = [str(value) for value in error.validator_value]
    wanted = f"one of {', '.join(allowed)}" if len(allowed) > 1 else allowed[0]
    hint = nearest(str(error.instance), allowed)
    about = _about(error)
    if about and set(re.findall(r"\w+", about)) <= {*allowed, "or"}:
        about = None  # it lists them once more
    return f"{where} must be {wanted}, not {given}.", f"Did you mean {hint!r}?" if hint else about


def _way_out(error: ValidationError, path: Path, kinds: list[str]) -> str | None:
    """How to write it, where what was meant can be seen."""
    value = error.instance
    if isinstance(value, str):
        if {"integer", "number"} & {*kinds} and re.fullmatch(r"-?[0-9]+", value):
            return "Write it without quotes."
        if "boolean" in kinds and value.lower() in {"true", "false", "yes", "no", "on", "off"}:
            return f"Write {'true' if value.lower() in {'true', 'yes', 'on'} else 'false'}, without quotes."
        choice = error.schema.get("maxProperties") == 1 and value in error.schema.get("properties", {})
        if "object" in kinds and choice:
            return f"Write {path[-1]}: {{{value}: {{…}}}}, with what belongs to {value} in it."
    if "string" in kinds and isinstance(value, dict) and value and not any(value.values()):
        return "In YAML, { begins a mapping: put the text in quotes."
    return None


def _given(error: ValidationError, path: Path) -> str:
    value = error.instance
    if "secrets" in path or error.schema.get("writeOnly"):
        return "what was given"
    for kind, words in ((dict, "a mapping of keys"), (list, "a list")):
        if isinstance(value, kind):
            return words
    if value is None:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else shown(value)


def _about(error: ValidationError) -> str | None:
    about = error.schema.get("description") if isinstance(error.schema, dict) else None
    return str(about) if about else None


def _description(field: Mapping[str, Any], whole: Mapping[str, Any]) -> str | None:
    """What a field is, in its own words or in those of what it refers to."""
    for _ in range(3):
        if about := field.get("description"):
            return str(about)
        name = str(field.get("$ref", "")).rpartition("/")[2]
        field = whole.get("$defs", {}).get(name, {})
    return None


_KINDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "object": "a mapping of keys", "array": "a list", "null": "empty",
}  # fmt: skip
_BOUNDS = {
    "minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than", "exclusiveMaximum": "less than",
    "minLength": "of a length of at least", "maxLength": "of a length of at most",
    "minItems": "a list with a length of at least", "maxItems": "a list with a length of at most",
}  # fmt: skip
