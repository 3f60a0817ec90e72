"""What is wrong with these bytes? The slow, careful reading of records and pages that the fast way stumbled over.

A NUL or half a character (a lone surrogate) in a text is right by JSON's grammar, and Postgres keeps it, but can't open
it: every later query that looks into that record would fail. Such a record gets a readable copy, in which a marker
(U+FFFD) stands for each of them and every other byte is as it came; the bytes as sent are kept beside it.
"""

import json
import re
from typing import Any

from worker.errors import BadRecord
from worker.telemetry.redaction import redactor

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL
)
"""Every escape of a JSON text, a whole surrogate pair as one: read from the left, so a backslash that is itself escaped
begins nothing."""
_UNREADABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})\Z")
_MARKER, _ESCAPED_MARKER = "\N{REPLACEMENT CHARACTER}", rb"\ufffd"
_HALF = re.compile("[\ud800-\udfff]")
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
    """The record as plain data, exactly as it was sent, or `BadRecord` that says why not."""
    try:
        data = json.loads(_text_of(raw), parse_constant=_no_constant, parse_int=_integer)
    except json.JSONDecodeError as exc:
        raise BadRecord("not_json", f"The record is not JSON: {exc.msg} (character {exc.pos}).") from None
    except RecursionError:
        raise BadRecord("nested_too_deeply", "The record is nested too deeply to be read.") from None
    except ValueError as exc:
        raise BadRecord("not_json", f"The record is not JSON: {exc}.") from None
    if not isinstance(data, dict):
        raise BadRecord("not_an_object", f"The record is {describe(data)}, not an object.")
    return data


def readable(raw: bytes) -> bytes:
    """The record with a marker for each NUL and half a character in it; the same bytes where there is none."""
    text = _text_of(raw)
    if not raw.isascii() and _HALF.search(text):
        raw = _HALF.sub(_MARKER, text).encode()
    if b"\\u" not in raw:
        return raw
    return _ESCAPE.sub(lambda found: _ESCAPED_MARKER if _UNREADABLE.match(found[0]) else found[0], raw)


def _text_of(raw: bytes) -> str:
    """Halves of characters may stand there as bytes, too: then it is no UTF-8, and can be read all the same."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as exc:
        raise BadRecord("not_utf8", f"The record is not UTF-8 text (byte {exc.start}).") from None


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
