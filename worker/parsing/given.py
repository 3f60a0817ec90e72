"""What does a row hold in JSON? Read once, and the same object as long as its text stays the same.

A connection may describe hundreds of streams in its settings, which every run gets with its claim: to read them and to tell
them from others would cost more than a run with nothing new costs in all. Safe to share between threads.
"""

import json
from collections import OrderedDict
from hashlib import blake2b
from threading import Lock
from typing import Any

MOST = 32 * 1024 * 1024
"""Characters of JSON that a process remembers."""


class Given(dict[str, Any]):
    """An object of JSON that nobody changes. `key` is the same for the same text, and for no other."""

    __slots__ = ("key",)

    def __init__(self, text: str) -> None:
        super().__init__(json.loads(text))
        self.key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Rows:
    """Objects by the rows that they stand in; those not asked for longest are forgotten first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = Lock()
        self._known: OrderedDict[int, tuple[str, Given]] = OrderedDict()
        self._size = 0

    def read(self, row: int, text: str) -> Given:
        """The object that stands in this row as `text`."""
        with self._lock:
            known = self._known.get(row)
            if known is not None and known[0] == text:
                self._known.move_to_end(row)
                return known[1]
        given = Given(text)
        with self._lock:
            before = self._known.pop(row, None)
            self._size += len(text) - (len(before[0]) if before else 0)
            self._known[row] = text, given
            while self._size > self._most and len(self._known) > 1:
                _, (oldest, _) = self._known.popitem(last=False)
                self._size -= len(oldest)
        return given
