"""What is a record called? One text per record, the same on every day, that a person can read.

One field: its text as it is, an integer by its digits. Several fields: the compact JSON array of their values, such as
`["PO-7","NORTH",3]`, so no two combinations can run into each other.
"""

import json
from collections.abc import Sequence

from worker.errors import BadRecord

MAX_CHARACTERS = 1000
MAX_BYTES = 2000
"""What an index of Postgres can hold besides the stream (2,704 bytes), with room to spare."""


def make_key(values: Sequence[object]) -> str:
    """The canonical key, or `BadRecord` (`bad_key`) that says what is wrong with it."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise BadRecord("bad_key", f"The key holds {_kind(value)} where a text or whole number belongs.")
        if isinstance(value, str) and "\0" in value:
            raise BadRecord("bad_key", "The key holds a NUL character.")
    if len(values) == 1:
        key = values[0] if isinstance(values[0], str) else _digits(values[0])
    else:
        key = json.dumps([_checked(value) for value in values], ensure_ascii=False, separators=(",", ":"))
    return check_key(key)


def parts_of(key: str, count: int) -> list[str | int]:
    """The values of the fields that such a key is made of, or `BadRecord` (`bad_key`)."""
    try:
        found = json.loads(key)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or len(found) != count:
        raise BadRecord("bad_key", f"{key[:40]!r} is no key of {count} fields.")
    if any(isinstance(part, bool) or not isinstance(part, int | str) for part in found):
        raise BadRecord("bad_key", f"{key[:40]!r} is no key: its parts are texts and whole numbers.")
    return found


def check_key(key: str) -> str:
    """The key itself, if Postgres can keep and index it."""
    if not key:
        raise BadRecord("bad_key", "The key is empty.")
    if "\0" in key:
        raise BadRecord("bad_key", "The key holds a NUL character.")
    try:
        size = len(key) if key.isascii() else len(key.encode())
    except UnicodeEncodeError:
        raise BadRecord("bad_key", "The key holds half a character (a lone surrogate).") from None
    if len(key) > MAX_CHARACTERS or size > MAX_BYTES:
        raise BadRecord(
            "bad_key", f"The key is longer than {MAX_CHARACTERS} characters or {MAX_BYTES} bytes."
        )
    return key


def _checked(value: object) -> object:
    if isinstance(value, int):
        _digits(value)
    return value


def _digits(value: object) -> str:
    if isinstance(value, int) and value.bit_length() < 256:
        return str(value)
    raise BadRecord("bad_key", "The key is a number too large to be one.")


def _kind(value: object) -> str:
    if value is None:
        return "null or nothing"
    names = {bool: "true or false", float: "a number with a fraction", dict: "an object", list: "a list"}
    return names.get(type(value), "something else")
