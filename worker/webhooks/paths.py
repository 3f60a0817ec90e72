"""What stands at a path of what was sent? `*` stands for every element of a list."""

from collections.abc import Sequence
from typing import Any

ALL = "*"


def values_at(data: Any, path: Sequence[str]) -> list[Any]:
    """The values there, in their order. A `*` that meets no list, and a name that isn't there, lead nowhere."""
    found = [data]
    for name in path:
        if name == ALL:
            found = [item for value in found if isinstance(value, list) for item in value]
        else:
            found = [value[name] for value in found if isinstance(value, dict) and name in value]
    return found


def value_at(data: Any, path: Sequence[str]) -> Any:
    """The first of them, None where there is none."""
    return next(iter(values_at(data, path)), None)
