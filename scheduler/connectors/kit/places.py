"""What stands where in an answer? Lists and values with their paths. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

DEEPEST = 4
"""No deeper is looked."""
At = tuple[str, ...]


def lists_in(data: Any, at: At = ()) -> Iterator[tuple[At, list[Any]]]:
    """All lists outside of other lists."""
    if isinstance(data, list):
        yield at, data
    elif isinstance(data, dict) and len(at) < DEEPEST:
        for name, value in data.items():
            yield from lists_in(value, (*at, name)) if name else ()


def scalars_in(data: Any, at: At = ()) -> Iterator[tuple[At, Any]]:
    """All that is neither an object nor a list, and is in no list."""
    if isinstance(data, dict) and len(at) < DEEPEST:
        for name, value in data.items():
            yield from scalars_in(value, (*at, name)) if name else ()
    elif at and not isinstance(data, list):
        yield at, data


def as_path(at: Sequence[str]) -> str | list[str]:
    """As manifests write it."""
    return list(at) if any("." in name for name in at) else ".".join(at)
