"""Where does each record of a page begin and end, when the page as a whole can't be parsed?

One record that is nested a thousand levels deep, or holds `NaN` or half a character, must not stop the others. This is
the slow way, taken only for such a page: brackets, strings and commas are followed without recursion and without
looking at what the values mean. A page whose brackets don't close raises ValueError.
"""

import re
from collections.abc import Collection, Iterator
from itertools import count

from worker.connectors.reading.shape import FieldPath

_TOKEN = re.compile(rb'[\s]*(?:("(?:[^"\\]++|\\.)*+")|([{\[])|([}\]])|(,)|(:)|([^\s{}\[\],:"]++))', re.DOTALL)
_PAIRS = {b"{": b"}", b"[": b"]"}


def slices(body: bytes, paths: Collection[FieldPath]) -> dict[FieldPath, bytes]:
    """The bytes of the values at these paths, as far as they are there."""
    found: dict[FieldPath, bytes] = {}
    starts: dict[FieldPath, int] = {}
    stems = {path[:length] for path in paths for length in range(len(path))}
    for kind, path, start, end in _values(body, stems):
        if path in paths and path is not None:
            if kind == "open":
                starts[path] = start
            else:
                found[path] = body[starts.pop(path, start) : end]
    return found


def elements(array: bytes) -> list[bytes]:
    """The bytes of each element of an array."""
    found: list[bytes] = []
    depth, start = 0, 0
    for kind, _, begin, end in _values(array, ()):
        if kind == "open":
            if depth == 0 and array[begin : begin + 1] != b"[":
                raise ValueError("not an array")
            start = begin if depth == 1 else start
            depth += 1
        elif kind == "close":
            depth -= 1
            if depth == 1:
                found.append(array[start:end])
        elif depth == 0:
            raise ValueError("not an array")
        elif depth == 1:
            found.append(array[begin:end])
    return found


def _values(body: bytes, stems: Collection[FieldPath]) -> Iterator[tuple[str, FieldPath | None, int, int]]:
    """Every value as it opens and closes (`open`, `close`) or passes (`whole`), with its path; None below what is no stem.

    The entries of a list have their places as names.
    """
    stack: list[tuple[bytes, FieldPath | None, Iterator[int]]] = []
    key: str | None = None
    at = 0
    while match := _TOKEN.match(body, at):
        at = match.end()
        start, number = match.start(match.lastindex or 0), match.lastindex
        in_object = bool(stack) and stack[-1][0] == b"}"
        if number == 1 and in_object and key is None:
            key = match[1][1:-1].decode("utf-8", "replace")
        elif number in {1, 2, 6}:
            path: FieldPath | None = None if stack else ()
            if stack and (around := stack[-1][1]) in stems and around is not None:
                path = (*around, key or "" if in_object else str(next(stack[-1][2])))
            key = None
            if match[2]:
                stack.append((_PAIRS[match[2]], path, count()))
            yield ("open" if match[2] else "whole"), path, start, at
        elif number == 3:
            if not stack or stack[-1][0] != match[3]:
                raise ValueError("brackets don't match")
            yield "close", stack.pop()[1], start, at
    if stack or body[at:].strip():
        raise ValueError("the text ends too early")
