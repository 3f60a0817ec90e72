"""How do fields leave a record without touching the rest of it? Pure: bytes go in, bytes come out.

The bytes are followed token by token, so what stays is what was sent, digits, order, escapes and spaces and all. A path
leads through objects by name and through lists into each of their entries. A name that stands twice is found twice,
however it is escaped. Only valid JSON may come in: the caller has parsed it.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

FieldPath = tuple[str, ...]
Action = Literal["exclude", "hash"]

_TOKEN = re.compile(
    rb'[ \t\r\n]*(?:("(?:[^"\\]++|\\.)*+")|([{\[])|([}\]])|(,)|(:)|([^\s{}\[\],:"]++))', re.DOTALL
)


@dataclass(slots=True)
class Rules:
    """What happens to a value, and to what is inside of it."""

    action: Action | None = None
    below: dict[str, "Rules"] = field(default_factory=dict)

    @classmethod
    def of(cls, *, exclude: Iterable[Sequence[str]] = (), hashed: Iterable[Sequence[str]] = ()) -> "Rules":
        """Where a path is in both, it is left out."""
        root = cls()
        for action, paths in (("hash", hashed), ("exclude", exclude)):
            for path in paths:
                node = root
                for name in path:
                    node = node.below.setdefault(name, cls())
                node.action = action  # type: ignore[assignment]
        return root

    def __bool__(self) -> bool:
        return bool(self.below)


Edit = tuple[int, int, bytes]


@dataclass(slots=True)
class _Open:
    """An object or list that isn't closed yet."""

    start: int
    is_object: bool
    rules: Rules | None
    """None: nothing in it is touched."""
    hashed: bool = False
    """It is replaced as a whole once it is closed."""
    name_at: int = -1
    name: bytes = b""
    members: list[tuple[int, int, bool]] = field(default_factory=list)
    """Where each member of an object begins and ends, and whether it leaves."""


def screen_fields(raw: bytes, rules: Rules, digest: Callable[[str], str]) -> bytes:
    """The record without what is excluded, and with digests in the place of what is hashed."""
    if not _may_concern(raw, rules):
        return raw
    edits = _Walk(raw, rules, digest).edits()
    return _apply(raw, edits) if edits else raw


def _may_concern(raw: bytes, rules: Rules) -> bool:
    """Whether any path may begin here. An escape may hide a name, so with one nothing is certain."""
    return b"\\" in raw or any(json.dumps(name, ensure_ascii=False).encode() in raw for name in rules.below)


class _Walk:
    """Goes over the tokens once, without recursion, and notes what is to be changed."""

    def __init__(self, raw: bytes, rules: Rules, digest: Callable[[str], str]) -> None:
        self._raw = raw
        self._root = rules
        self._digest = digest
        self._stack: list[_Open] = []
        self._edits: list[Edit] = []

    def edits(self) -> list[Edit]:
        at = 0
        while match := _TOKEN.match(self._raw, at):
            at = match.end()
            kind = match.lastindex
            start = match.start(kind or 0)
            if kind == 1 and self._awaits_name():
                self._stack[-1].name_at, self._stack[-1].name = start, match[1]
            elif kind in {1, 6}:
                self._scalar(start, at)
            elif kind == 2:
                self._open(start, is_object=match[2] == b"{")
            elif kind == 3:
                self._close(at)
        return self._edits

    def _awaits_name(self) -> bool:
        return bool(self._stack) and self._stack[-1].is_object and self._stack[-1].name_at < 0

    def _rules_here(self) -> Rules | None:
        """What is said of the value that begins now."""
        if not self._stack:
            return self._root
        around = self._stack[-1]
        if around.rules is None or not around.is_object:
            return around.rules
        return around.rules.below.get(json.loads(around.name))

    def _scalar(self, start: int, end: int) -> None:
        rules = self._rules_here()
        if rules is not None and rules.action == "hash":
            self._replace(start, end)
        self._ended(end, rules)

    def _open(self, start: int, *, is_object: bool) -> None:
        rules = self._rules_here()
        hashed = is_object and rules is not None and rules.action == "hash"
        untouched = rules is None or hashed or rules.action == "exclude"
        self._stack.append(_Open(start, is_object, None if untouched else rules, hashed))

    def _close(self, end: int) -> None:
        closed = self._stack.pop()
        if closed.hashed:
            self._replace(closed.start, end)
        elif any(leaves for _, _, leaves in closed.members):
            self._edits.extend(_cuts(closed.members))
        self._ended(end, self._rules_here())

    def _ended(self, end: int, rules: Rules | None) -> None:
        """A value has come to its end: in an object, its member has."""
        if self._stack and (around := self._stack[-1]).is_object:
            leaves = rules is not None and rules.action == "exclude"
            around.members.append((around.name_at, end, leaves))
            around.name_at = -1

    def _replace(self, start: int, end: int) -> None:
        text = text_of(self._raw[start:end])
        if text is not None:
            self._edits.append((start, end, json.dumps(self._digest(text)).encode()))


def text_of(value: bytes) -> str | None:
    """What of a value is hashed: a text as it reads, a number by its digits, so that 7 and "7" meet; None for null.

    An object counts by its content, whatever the order of its names.
    """
    if value == b"null":
        return None
    if value[:1] == b'"':
        return str(json.loads(value))
    if value[:1] == b"{":
        return json.dumps(json.loads(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return value.decode()


def _cuts(members: Sequence[tuple[int, int, bool]]) -> Iterable[Edit]:
    """A member leaves with the comma behind it; what is at the end, with the comma before it."""
    last_kept = max((place for place, (_, _, leaves) in enumerate(members) if not leaves), default=-1)
    for place, (start, _, leaves) in enumerate(members[: last_kept + 1]):
        if leaves:
            yield start, members[place + 1][0], b""
    if last_kept + 1 < len(members):
        first = members[0][0] if last_kept < 0 else members[last_kept][1]
        yield first, members[-1][1], b""


def _apply(raw: bytes, edits: list[Edit]) -> bytes:
    """The text with the edits made; what lies inside of another is gone with it."""
    parts: list[bytes] = []
    at = 0
    for start, end, new in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if start < at:
            at = max(at, end)
            continue
        parts += (raw[at:start], new)
        at = end
    return b"".join([*parts, raw[at:]])


def hidden_texts(value: object, rules: Rules | None) -> Iterable[str]:
    """The texts of a parsed record that must not be repeated in words about it."""
    if rules is None:
        return
    if isinstance(value, list):
        for entry in value:
            yield from hidden_texts(entry, rules)
    elif rules.action is not None:
        yield from _texts_in(value)
    elif isinstance(value, dict):
        for name, below in value.items():
            yield from hidden_texts(below, rules.below.get(name))


def _texts_in(value: object) -> Iterable[str]:
    if isinstance(value, dict):
        for below in value.values():
            yield from _texts_in(below)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts_in(entry)
    elif value is not None:
        yield value if isinstance(value, str) else json.dumps(value)
