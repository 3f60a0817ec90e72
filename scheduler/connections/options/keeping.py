"""What may the connections file say of how long a record is kept, and which of its fields? What people write, and back.

In the file a path is dotted text (`requester.email`), or a list of names where one of them holds a dot. On the row it is
a list of names, and a duration is seconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.connectors.contract import Stream
from worker.engine.keep.privacy import key_paths_at_fault
from worker.errors import InvalidInput
from worker.parsing.durations import format_duration, parse_duration

SHORTEST_KEEP = 86400.0
LONGEST_KEEP = 3653 * 86400.0
_KEY_HINT = "A record is known by its key. Hash or exclude it at the readers, or leave the stream out."


def parse_paths(given: Sequence[Any]) -> list[list[str]]:
    """The paths of `exclude` and `hash` for the row, each once. Raises `InvalidInput`."""
    paths: list[list[str]] = []
    for place, path in enumerate(given):
        names = path.split(".") if isinstance(path, str) else list(path)
        if not names or not all(names):
            raise InvalidInput(
                "bad_path",
                f"{path!r} is no path: a name in it is empty.",
                place=str(place),
                hint="Write it like email or requester.email.",
            )
        if names not in paths:
            paths.append(names)
    return paths


def file_paths(paths: Sequence[Sequence[str]]) -> list[Any]:
    """As the connections file writes them."""
    return [list(path) if any("." in name for name in path) else ".".join(path) for path in paths]


def check_exclude(paths: Any, stream: Stream) -> None:
    """The fields of the key must stay, or two records could no longer be told apart."""
    _check({"exclude": paths}, stream, "left out")


def check_hash(paths: Any, stream: Stream) -> None:
    """The same: the key is asked for at the system, and written as it is."""
    _check({"hash": paths}, stream, "hashed")


def _check(options: Mapping[str, Any], stream: Stream, done: str) -> None:
    for path in key_paths_at_fault(options, stream.key_fields):
        raise InvalidInput(
            "key_not_kept",
            f"{'.'.join(path)!r} can't be {done} in {stream.name}: the key of its records is made of it.",
            hint=_KEY_HINT,
        )


def parse_keep(given: Any) -> float:
    """Seconds for which versions are kept; 0: they aren't. Raises `InvalidInput`."""
    seconds = parse_duration(given)
    if seconds and not SHORTEST_KEEP <= seconds <= LONGEST_KEEP:
        raise InvalidInput(
            "bad_duration",
            f"{given!r} is not between 1d and 3653d.",
            hint="Give keep_versions in days, such as 90d; 0d switches it off.",
        )
    return seconds


def file_keep(seconds: Any) -> str:
    """As the connections file writes it."""
    return format_duration(seconds) if seconds else "0d"
