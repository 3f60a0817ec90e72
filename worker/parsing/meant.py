"""Which key did somebody mean who wrote one that isn't known here? By its spelling, by what others call it, or by where it
belongs. Pure.

A schema may say in `x-synonyms` what people write who know another tool: `{"primary_key": "key"}`.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from worker.parsing.wording import field_path, listed, nearest, suggest

SURE = 0.8
"""Above this a key is taken for misspelled though it belongs elsewhere as it stands."""
DEEPEST = 6
MOST_HOMES = 4
_MANY = {"<name>", "[]"}

Path = tuple[str | int, ...]


class Guess(NamedTuple):
    """What to say, and which valid key it is that was misspelled."""

    hint: str | None
    meant: str | None = None


def meant_by(key: str, value: Any, here: Mapping[str, Any], path: Path, whole: Mapping[str, Any]) -> Guess:
    """What was meant by a key that the schema `here` doesn't know."""
    valid = here.get("properties", {})
    if key in {"type", "kind"} and (kind := _kind_as_key(path, value, here)):
        return Guess(kind)
    synonym = next((other for other in whole.get("x-synonyms", {}).get(key, ()) if other in valid), None)
    if synonym is not None:
        return Guess(f"Did you mean {synonym!r}?", synonym)
    close = nearest(key, valid)
    sure = close is not None and difflib.SequenceMatcher(None, key, close).ratio() >= SURE
    homes = () if sure else homes_of(key, whole, path)
    if homes:
        return Guess(f"It belongs {listed(homes, 'or')}.")
    return Guess(suggest(key, valid) or None, close)


def homes_of(key: str, whole: Mapping[str, Any], path: Path) -> list[str]:
    """Where a key is known, in words: below where it stands if there are such places, else near the top."""
    found = [home for home in dict.fromkeys(_homes(key, whole, whole, ())) if home != path]
    below = [
        home for home in found if path and len(path) < len(home) <= len(path) + 2 and _lies_in(home, path)
    ]
    near = below or [home for home in found if len(home) < 2 or (len(home) == 2 and home[1] in _MANY)]
    near.sort(key=lambda home: (home == ("defaults",), len(home)))
    return [f"in {_called(home)}" if home else "at the top of the file" for home in near[:MOST_HOMES]]


def _called(home: tuple[str, ...]) -> str:
    return field_path(home).replace(".[]", "[]")


def _lies_in(home: tuple[str, ...], path: Path) -> bool:
    return all(name in _MANY or name == step for name, step in zip(home, path, strict=False))


def _homes(
    key: str, node: Mapping[str, Any], whole: Mapping[str, Any], at: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    if len(at) > DEEPEST:
        return
    node = _resolved(node, whole)
    for name, field in node.get("properties", {}).items():
        if name == key:
            yield at
        yield from _homes(key, field, whole, (*at, name))
    for keyword, called in (("additionalProperties", "<name>"), ("items", "[]")):
        if isinstance(below := node.get(keyword), dict):
            yield from _homes(key, below, whole, (*at, called))


def _resolved(node: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(node.get("$ref", "")).rpartition("/")[2]
    return {**whole.get("$defs", {}).get(name, {}), **node} if name else node


def _kind_as_key(path: Path, value: Any, here: Mapping[str, Any]) -> str | None:
    """Where a kind is a key with what belongs to it below: that, and not `type: kind` beside it."""
    valid, name = here.get("properties", {}), path[-1] if path else "it"
    if isinstance(value, str) and value in valid:
        return f"The kind is a key: {name}: {{{value}: {{…}}}}."
    if valid and here.get("maxProperties") == 1:
        return f"The kind is a key, one of {listed(valid, 'or')}."
    return None
