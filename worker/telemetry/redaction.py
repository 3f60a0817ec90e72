"""Which words must never be written down, and how are they kept out?

Promises: a value given to `add` is replaced wherever `redact` sees it: plain, percent-encoded, escaped as in JSON or in
Python's repr, or inside base64 (as the password of a Basic header is). It works by value, so it doesn't matter which
field, message or traceback a secret strays into. What has the form of a token of ours is replaced also if nobody knows it:
a client may have put one into a path or a name. Safe between threads; looking costs the same for one secret as for
ten thousand; nothing registered costs nothing.
Does not promise to find a value cut in half, encrypted or hashed, or one shorter than four characters, which would
blot out ordinary words.
"""

import base64
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from pathlib import PurePath
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

from structlog.typing import EventDict, WrappedLogger

MASK = "[redacted]"
SHORTEST = 4
MOST_VALUES = 10_000
MOST_LINES = 200
SHORTEST_LINE = 12
DEEPEST = 8
MOST_LIKENESSES = 1_000
"""With more beginnings than this most letters look like one."""

_BASE64_RUN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_TOKEN = re.compile(r"hr_(live|test)_[0-9A-Za-z]{28}")
_HEX = re.compile(r"%[0-9A-F]{2}")
_PLAIN = (bool, int, float, type(None), datetime, date, time, timedelta)


class Redactor:
    """Holds the values of one process. The least recently added go first when there are too many."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._lock = Lock()
        self._values: OrderedDict[str, tuple[_Form, ...]] = OrderedDict()
        self._kept: set[str] = set()
        self._index: dict[str, tuple[_Form, ...]] = {}
        self._looks_like: re.Pattern[str] | None = None
        """Finds where a form may begin, or more places than that; None: anywhere."""

    def add(self, value: str, *, keep: bool = False) -> None:
        """Never show `value` from now on. One that is added once and for good says `keep`, others again at each use."""
        if len(value) < SHORTEST:
            return
        with self._lock:
            if keep:
                self._kept.add(value)
            if value in self._values:
                self._values.move_to_end(value)
                return
            self._values[value] = forms = tuple(_forms(value))
            self._looks_like = None  # before what it doesn't know of is entered
            for form in forms:
                self._enter(form)
            while len(self._values) - len(self._kept) > self._most:
                self._forget(next(old for old in self._values if old not in self._kept))

    def redact(self, text: str) -> str:
        """The text with every registered value masked. Readers take no lock: entries are replaced whole."""
        if "hr_" in text:
            text = _TOKEN.sub(MASK, text)
        index = self._index
        if not index or len(text) < SHORTEST:
            return text
        spans: list[tuple[int, int]] = []
        for at in self._places(text, index):
            found = index.get(text[at : at + SHORTEST])
            if found is not None:
                spans.extend(_matches(text, at, found))
        return _masked(text, spans) if spans else text

    def _places(self, text: str, index: "dict[str, tuple[_Form, ...]]") -> Iterable[int]:
        """Where to look. With few values known, that is almost nowhere, and found out without a step for each letter."""
        if len(index) > MOST_LIKENESSES:
            return range(len(text) - SHORTEST + 1)
        looks_like = self._looks_like
        if looks_like is None:
            with self._lock:
                looks_like = self._looks_like = _likeness(self._index)
        return [found.start() for found in looks_like.finditer(text)]

    def walk(self, value: Any, depth: int = 0) -> Any:
        """Any value of a log entry, with texts masked and objects turned to masked text."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, _PLAIN):
            return value
        if depth < DEEPEST and isinstance(value, Mapping):
            return {self.redact(str(key)): self.walk(item, depth + 1) for key, item in value.items()}
        if (
            depth < DEEPEST
            and isinstance(value, Sequence | AbstractSet)
            and not isinstance(value, bytes | bytearray)
        ):
            return [self.walk(item, depth + 1) for item in value]
        return self.redact(str(value) if isinstance(value, UUID | PurePath) else repr(value))

    def _enter(self, form: "_Form") -> None:
        known = self._index.get(form[0][:SHORTEST], ())
        self._index[form[0][:SHORTEST]] = (*known, form)

    def _forget(self, value: str) -> None:
        for form in self._values.pop(value):
            prefix = form[0][:SHORTEST]
            rest = list(self._index.get(prefix, ()))
            if form in rest:
                rest.remove(form)
            if rest:
                self._index[prefix] = tuple(rest)
            else:
                self._index.pop(prefix, None)


def _likeness(prefixes: Iterable[str]) -> re.Pattern[str]:
    """Any first letter of the prefixes, then any second one, and so on: four sets, which the regex engine is quick at."""
    letters = [
        re.escape("".join(sorted({prefix[at : at + 1] for prefix in prefixes}))) for at in range(SHORTEST)
    ]
    return re.compile("(?=" + "".join(f"[{each}]" for each in letters) + ")")


_Form = tuple[str, bool]
"""One way in which a value is written, and whether it stands inside a longer run of base64."""


def _forms(value: str) -> Iterator[_Form]:
    """Each way of writing the value, and of each long line of it: a key in PEM is seldom quoted as a whole."""
    parts = [value]
    if "\n" in value:
        lines = (line.strip() for line in value.splitlines()[:MOST_LINES])
        parts += [line for line in lines if len(line) >= SHORTEST_LINE]
    texts = {text for part in parts for text in _written(part)}
    encoded = {text for part in parts for text in _in_base64(part)}
    yield from ((text, False) for text in texts)
    yield from ((text, True) for text in encoded - texts)


def _written(value: str) -> set[str]:
    raw = value.encode("utf-8", "surrogatepass")
    percent = {quote(raw, safe=""), quote(raw, safe="/"), quote_plus(raw), quote(raw, safe="!$&'()*+,;=:@/?")}
    percent |= {_HEX.sub(lambda match: match[0].lower(), text) for text in percent}
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    in_json |= {text.replace("/", "\\/") for text in in_json}
    return {value, *percent, *in_json, repr(value)[1:-1], repr(raw)[2:-1]}


def _in_base64(value: str) -> set[str]:
    """What base64 makes of the value wherever in a longer text it stands.

    Three bytes become four characters, so there are three alignments; the characters at the edges, which the
    neighbours share, are left out here and masked with the run that they stand in.
    """
    raw = value.encode("utf-8", "surrogatepass")
    cores = set()
    for before in range(3):
        first = (before * 8 + 5) // 6
        last = (before + len(raw)) * 8 // 6
        padded = b"\0" * before + raw + b"\0" * 2
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            cores.add(encode(padded)[first:last].decode())
    return {core for core in cores if len(core) >= SHORTEST}


def _matches(text: str, at: int, forms: Iterable[_Form]) -> Iterator[tuple[int, int]]:
    for form, in_base64 in forms:
        if not text.startswith(form, at):
            continue
        start, end = at, at + len(form)
        while in_base64 and start > 0 and text[start - 1] in _BASE64_RUN:
            start -= 1
        while in_base64 and end < len(text) and text[end] in _BASE64_RUN:
            end += 1
        yield start, end


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with the spans masked; spans that overlap are one, so no rest of either is left standing."""
    pieces: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            pieces += [text[done:start], MASK]
        done = max(done, end)
    return "".join([*pieces, text[done:]])


redactor = Redactor()
"""The one of this process: whoever opens a secret or receives a token adds it here."""


_SAFE = frozenset({int, float, bool, type(None)})


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The processor for structlog: every value, name and traceback of the entry."""
    redact, walk = redactor.redact, redactor.walk
    safe: EventDict = {}
    for key, value in event.items():
        kind = type(value)
        if kind is str:
            safe[key] = value if key.startswith("_") else redact(value)
        else:
            safe[key] = value if kind in _SAFE or key.startswith("_") else walk(value)
    return safe
