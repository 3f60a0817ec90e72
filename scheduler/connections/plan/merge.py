"""Three-way: what did the file last set, what is there, what does the file want now?

A field that is as the file left it follows the file. A field that somebody edited elsewhere is drift: it is shown and
left alone, unless the file's word is asked to count (`overwrite`). Where file and field agree, there is nothing to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Key = tuple[str, ...]
"""A field's place, such as `("settings", "base_url")`."""
Fields = Mapping[Key, Any]

ABSENT = object()
"""The field isn't there at all, which differs from null."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that becomes, or as drift would become, another. `ABSENT` is no value."""

    key: Key
    old: Any
    new: Any

    @property
    def field(self) -> str:
        return ".".join(self.key)


@dataclass(frozen=True, slots=True)
class Merged:
    """What the fields become, what is to be remembered as the file's last word, and what that means."""

    fields: dict[Key, Any]
    applied: dict[Key, Any]
    changes: tuple[FieldChange, ...]
    drift: tuple[FieldChange, ...]


def merge(current: Fields, applied: Fields, desired: Fields, *, overwrite: bool) -> Merged:
    fields, remembered = dict(current), dict(desired)
    changes: list[FieldChange] = []
    drift: list[FieldChange] = []
    for key in sorted({*current, *desired}):
        old, new, last = (side.get(key, ABSENT) for side in (current, desired, applied))
        if same(old, new):
            continue
        if not overwrite and not same(old, last):
            drift.append(FieldChange(key, old, new))
            _put(remembered, key, last)
        else:
            changes.append(FieldChange(key, old, new))
            _put(fields, key, new)
    return Merged(fields, remembered, tuple(changes), tuple(drift))


def same(one: Any, other: Any) -> bool:
    """Equal as JSON is: 1 and 1.0 are, 1 and true aren't."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def flatten(nested: Mapping[str, Any], *, groups: tuple[str, ...]) -> dict[Key, Any]:
    """`{"labels": {"region": "eu"}}` with `labels` as a group is `{("labels", "region"): "eu"}`."""
    fields: dict[Key, Any] = {}
    for key, value in nested.items():
        if key in groups:
            fields.update({(key, inner): part for inner, part in value.items()})
        else:
            fields[key,] = value
    return fields


def unflatten(fields: Fields, *, groups: tuple[str, ...]) -> dict[str, Any]:
    nested: dict[str, Any] = {group: {} for group in groups}
    for key, value in fields.items():
        if len(key) == 2:
            nested[key[0]][key[1]] = value
        else:
            nested[key[0]] = value
    return nested


def _put(fields: dict[Key, Any], key: Key, value: Any) -> None:
    if value is ABSENT:
        fields.pop(key, None)
    else:
        fields[key] = value
