"""What is wrong with these bytes? The slow, careful reading of records and pages that the fast way stumbled over.

Quarantined as text that Postgres can keep but not open: a JSON string with a NUL or half a character makes every later
query over the stream's raw JSON fail, so such a record is set aside though its grammar is right.
"""

import json
import re
from typing import Any

from worker.errors import BadRecord
from worker.telemetry.redaction import redactor

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
SHOWN = 80
MASKED = 16 * 1024
"""So much is searched for secrets before the beginning is shown; none is longer than a quarter of it."""


def bad_text(body: bytes) -> bool:
    """Does anything in the page have to be looked at closely? Cheap: no copy for plain ASCII."""
    if b"\\u0000" in body:
        return True
    if body.isascii():
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return True
    return False


def parse_carefully(raw: bytes) -> dict[str, Any]:
    """The record as plain data, or `BadRecord` that says why not."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        raise BadRecord("not_utf8", f"The record is not UTF-8 text (byte {exc.start}).") from None
    try:
        data = json.loads(text, parse_constant=_no_constant, parse_int=_integer)
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRecord("half_character", "The record holds half a character (a lone surrogate).") from None
    except json.JSONDecodeError as exc:
        raise BadRecord("not_json", f"The record is not JSON: {exc.msg} (character {exc.pos}).") from None
    except RecursionError:
        raise BadRecord("nested_too_deeply", "The record is nested too deeply to be read.") from None
    except ValueError as exc:
        raise BadRecord("not_json", f"The record is not JSON: {exc}.") from None
    if not isinstance(data, dict):
        raise BadRecord("not_an_object", f"The record is {describe(data)}, not an object.")
    if _NUL.search(raw):
        raise BadRecord("nul_character", "The record holds a NUL character, which Postgres can't read back.")
    return data


def what_came(body: bytes, path: tuple[str, ...]) -> str:
    """In words for an error: what stands there instead of a list of records."""
    if not body.strip():
        return "the answer is empty."
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        kind = "HTML" if body.lstrip()[:1] == b"<" else "something that is not JSON"
        return f"{kind} came{_beginning(body)}."
    for depth, name in enumerate(path):
        if not isinstance(data, dict) or name not in data:
            at = f" at {'.'.join(path[:depth])!r}" if depth else ""
            return f"{describe(data)} came{at}{_beginning(body)}."
        data = data[name]
    return f"{describe(data)} came{_beginning(body)}."


def describe(value: Any) -> str:
    """What kind of JSON it is."""
    if isinstance(value, dict):
        names = ", ".join(name for name in list(value)[:5] if name.isprintable() and len(name) <= 40)
        return f"an object with {names}" if names else "an object"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return {str: "a text", int: "a number", float: "a number", list: "a list"}.get(type(value), "something")


def _beginning(body: bytes) -> str:
    # Masked before it is cut: half a secret is no longer known for one.
    seen = redactor.redact(body[:MASKED].decode("utf-8", "replace"))
    text = seen.strip()[:SHOWN]
    return f": {text}" if text.isprintable() else ""


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= 400 else float(digits)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
