"""How does a reference name one field of a secret that holds several? `…#key`, and what follows it after `?`. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

from worker.telemetry.redaction import redactor

_KEY = re.compile(r"[^#?\s\x00-\x1f\x7f]{1,256}")
_SEGMENT = re.compile(r"[A-Za-z0-9_.+=@:~-]{1,255}")
"""Nothing that a client encodes, decodes or resolves: what is written is what is asked for."""


def split(name: str) -> tuple[str, str | None, str | None]:
    """What stands before `#`, the key after it, and what follows that after `?`."""
    head, query = name, None
    if "?" in name:
        head, _, query = name.rpartition("?")
    path, hash_, key = head.partition("#")
    return path, key if hash_ else None, query


def check_path(path: str) -> None:
    """`ValueError` for a path that a client or a server could take for another."""
    segments = path.split("/")
    if any(segment in {"", ".", ".."} or _SEGMENT.fullmatch(segment) is None for segment in segments):
        raise ValueError(
            "holds a path with an empty part, with . or .., or with a character that no path may have"
        )


def check_key(key: str) -> None:
    """`ValueError` for what is no field's name."""
    if _KEY.fullmatch(key) is None:
        raise ValueError("names no field after #, or one with a character that no name may have")


def field_of(fields: Mapping[str, Any], key: str) -> str:
    """The text in the field. `LookupError` says why there is none. The texts of all its fields are redacted from here on."""
    for text in fields.values():
        if isinstance(text, str):
            redactor.add(text)
    if key not in fields:
        raise LookupError("it has no field of that name")
    value = fields[key]
    if not isinstance(value, str) or not value.strip():
        raise LookupError("that field is empty, or no text")
    return value


def json_fields(text: str) -> dict[str, Any]:
    """The fields of a secret that is kept as JSON; `LookupError` if it isn't."""
    redactor.add(text)
    try:
        match json.loads(text):
            case dict(found):
                return found
    except (ValueError, RecursionError):
        pass
    raise LookupError("it is no JSON object, so it has no fields")
