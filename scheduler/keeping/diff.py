"""What is different between two states of a record? Field by field, pure.

Objects are gone into, lists are compared as wholes: an entry that was put in would else make all that follow it differ.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

ABSENT: Final = "absent"
"""In the place of a value: the field isn't there."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, as JSON text before and after; None where it isn't there."""

    path: str
    before: str | None
    after: str | None


def field_changes(before: str | None, after: str | None) -> list[FieldChange]:
    """The fields that differ between two records as JSON texts, in the order in which they stand; None: no record."""
    return list(_compare("", _parsed(before), _parsed(after)))


def _parsed(text: str | None) -> Any:
    return {} if text is None else json.loads(text, parse_float=_Number, parse_int=_Number)


class _Number(str):
    """Digits as they were sent: 1.10 is written so, and compared so."""

    __slots__ = ()


def _compare(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            below = f"{path}.{name}" if path else name
            if name not in after:
                yield FieldChange(below, _text(before[name]), None)
            elif name not in before:
                yield FieldChange(below, None, _text(after[name]))
            else:
                yield from _compare(below, before[name], after[name])
    elif _text(before) != _text(after):
        yield FieldChange(path, _text(before), _text(after))


def _text(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, Mapping):
        return (
            "{"
            + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {_text(v)}" for k, v in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
