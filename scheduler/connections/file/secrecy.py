"""Does a setting hold a secret that was typed in plain? Judged by its name and its looks; better refused than stored."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from worker.connectors.describing import DESCRIBE

_NAMES = re.compile(
    r"(?:^|[_.-])(?:password|passwd|passphrase|pwd|pin|secret|token|credentials?|jwt|bearer"
    r"|(?:api|access|auth|private|secret|signing|client|subscription|shared|encryption)[_.-]?(?:key|secret|token)"
    r"|apikey|authorization)\Z",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_IN_URL = re.compile(
    r"://[^/?#\s@]*:[^/?#\s@]+@|[?&][^=&\s]*(?:password|secret|token|api_?key|signature)=[^&\s]",
    re.IGNORECASE,
)


def sounds_secret(name: str, value: Any) -> bool:
    """Whether a plain value under this name, or the value itself, is likely a secret. Switches and nulls aren't."""
    if value is None or isinstance(value, bool | Mapping | list):
        return False
    if isinstance(value, str) and _IN_URL.search(value):
        return True
    return _NAMES.search(_CAMEL.sub("_", name)) is not None


_SENT = frozenset({"headers", "params", "body"})
"""Where a manifest's words say what is sent as it stands; anywhere else, `secret: token` is a name."""


def secret_paths(settings: Mapping[str, Any]) -> Iterator[tuple[str | int, ...]]:
    """Where in the settings, however deep, something sounds like a secret."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), settings)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(((*path, str(key)), inner) for key, inner in value.items())
        elif isinstance(value, list):
            waiting.extend(((*path, at), inner) for at, inner in enumerate(value))
        elif path and sounds_secret(_name(path), value):
            yield path


def _name(path: tuple[str | int, ...]) -> str:
    """What a value is called; what a description calls by the manifest's words is called nothing."""
    if path[0] == DESCRIBE and _SENT.isdisjoint(path):
        return ""
    return next(str(part) for part in reversed(path) if isinstance(part, str))
