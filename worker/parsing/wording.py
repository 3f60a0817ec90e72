"""How are fields and names called in an error, and which name was meant?"""

import difflib
from collections.abc import Iterable, Sequence

Path_ = Sequence[str | int]


def shown(value: object) -> str:
    """A value in short."""
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


def listed(names: Iterable[str], last: str) -> str:
    """`a, b or c`."""
    *first, end = names
    return f"{', '.join(first)} {last} {end}" if first else end


def counted(number: int, one: str, several: str = "") -> str:
    """So many of them, in words: `1 page`, `2 pages`."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"
