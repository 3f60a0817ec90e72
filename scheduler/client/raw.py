"""Where in an answer does each record stand, to the byte? Reading JSON loses what systems mean by it: digits, and order."""

import json
from collections.abc import Iterator
from typing import Any

_decoder = json.JSONDecoder()
_BLANK = " \t\r\n"


def values_of(text: str, at: int = 0) -> Iterator[tuple[str, Any, str]]:
    """The fields of the object that begins there: name, value, and the value's own text. `ValueError` for what is none."""
    at = _expect(text, _skip(text, at), "{")
    at = _skip(text, at)
    while text[at : at + 1] != "}":
        name, at = _decoder.raw_decode(text, at)
        at = _skip(text, _expect(text, _skip(text, at), ":"))
        value, end = _decoder.raw_decode(text, at)
        yield name, value, text[at:end]
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)


def items_of(text: str) -> Iterator[str]:
    """The texts of the objects in a list."""
    at = _skip(text, _expect(text, _skip(text, 0), "["))
    while text[at : at + 1] != "]":
        _, end = _decoder.raw_decode(text, at)
        yield text[at:end]
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _expect(text: str, at: int, character: str) -> int:
    if text[at : at + 1] != character:
        raise ValueError("it is no such JSON")
    return at + 1
