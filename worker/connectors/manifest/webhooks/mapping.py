"""What does a payload tell of? Rules of the manifest turn events into hints: which record of which stream, and what of it.

A payload may hold one event, or a list of them at `batch`. All rules that fit an event count, since one may concern
several streams. An event that should name its record and doesn't becomes a hint at its whole stream: to read too much
does no harm.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

import msgspec

from worker.connectors.contract import Delivery, Hint, HintKind, Page
from worker.connectors.cursors import parse_cursor
from worker.connectors.reading.keys import make_key
from worker.connectors.reading.split import elements, slices
from worker.errors import BadRecord
from worker.webhooks.delivery import Refusal, Told
from worker.webhooks.paths import value_at, values_at

FieldPath = tuple[str, ...]

MOST_HINTS = 5_000
"""A payload that tells of more, or of more events, is taken as one hint for each stream: to look at each would hold up others."""
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands: in a header, or in the event; of it, what a pattern finds."""

    path: FieldPath = ()
    header: str | None = None
    pattern: re.Pattern[str] | None = None

    def texts(self, event: Any, delivery: Delivery) -> list[Any]:
        """Texts and whole numbers there; what fits no pattern is left out."""
        found = [delivery.header(self.header)] if self.header else values_at(event, self.path)
        if self.pattern is None:
            return found
        matches = [self.pattern.search(value) for value in found if isinstance(value, str)]
        return [match[match.lastindex or 0] for match in matches if match is not None]


@dataclass(frozen=True, slots=True)
class When:
    """Where an event says when it happened, and how that is written."""

    place: Place
    form: str = "iso8601"
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Rule:
    """Which events mean what."""

    stream: str
    types: tuple[str, ...] = ("*",)
    where: Mapping[FieldPath, Sequence[Any]] = field(default_factory=dict)
    key: tuple[Place, ...] = ()
    record: FieldPath | None = None
    deleted: bool = False
    believed: bool = False

    @property
    def kind(self) -> HintKind:
        if self.deleted:
            return "delete"
        if self.record is not None:
            return "full"
        return "record" if self.key else "stream"

    def fits(self, event: Any, type_: str | None) -> bool:
        return any(fnmatchcase(type_ or "", pattern) for pattern in self.types) and all(
            value_at(event, path) in allowed for path, allowed in self.where.items()
        )


@dataclass(frozen=True, slots=True)
class EventMapping:
    """All that a manifest says of what webhooks tell."""

    rules: tuple[Rule, ...]
    batch: FieldPath | None = None
    id: Place | None = None
    type: tuple[Place, ...] = ()
    at: When | None = None

    def told(
        self, delivery: Delivery, proved: bytes | None, parse: Callable[[str, bytes], Page], fresh: str
    ) -> Told[Hint]:
        """What it tells of. `proved`: what was signed, if two webhooks with equal bodies differ in it; `fresh`: a text that
        no other webhook has.
        """
        events = self._events(delivery.body)
        if events is None:
            return Told(self._of_all_streams(delivery, proved, fresh))
        hints: list[Hint] = []
        refused: list[Refusal] = []
        for number, (event, raw) in enumerate(events):
            tail = f"#{number}" if len(events) > 1 else ""
            base = self._id(event, delivery, tail) or self._digest(raw, proved, tail, fresh)
            try:
                found = list(self._hints(event, raw, delivery, base, parse))
            except Refusal as refusal:
                refused.append(refusal)
                continue
            hints += [
                replace(hint, event_key=f"{base}/{place}") if place else hint
                for place, hint in enumerate(found)
            ]
            if len(hints) > MOST_HINTS:
                return Told(self._of_all_streams(delivery, proved, fresh), refused)
        return Told(hints, refused)

    def _events(self, body: bytes) -> Sequence[tuple[Any, bytes]] | None:
        """Each with its bytes; None: they are too many to look at."""
        try:
            data = msgspec.json.decode(body)
            raw: bytes | None = body
            if self.batch is not None:
                raw = slices(body, {self.batch}).get(self.batch)
                data = None if raw is None else msgspec.json.decode(raw)
                if not isinstance(data, list):
                    where = ".".join(self.batch)
                    raise Refusal("malformed", f"A list of events was expected at {where!r}.")
            if not isinstance(data, list):
                return [(data, body)]
            if len(data) > MOST_HINTS:
                return None
            return list(zip(data, elements(raw or b"[]"), strict=True))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            raise Refusal("malformed", "The body is no JSON.") from None

    def _of_all_streams(self, delivery: Delivery, proved: bytes | None, fresh: str) -> list[Hint]:
        base = self._id(None, delivery, "") or self._digest(delivery.body, proved, "", fresh)
        streams = dict.fromkeys(rule.stream for rule in self.rules)
        return [Hint(stream, "stream", f"{base}/{place}") for place, stream in enumerate(streams)]

    def _id(self, event: Any, delivery: Delivery, tail: str) -> str | None:
        """What the system itself calls the event. An id in a header is of all events that came together."""
        if self.id is None:
            return None
        for value in self.id.texts(event, delivery):
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                text = f"{value}{tail}" if self.id.header else str(value)
                return text if len(text) <= LONGEST and text.isprintable() else _sha256(text.encode())
        return None

    def _digest(self, raw: bytes, proved: bytes | None, tail: str, fresh: str) -> str:
        """Of what is signed, where that has a time of its own; else of the event, if no other can be equal to it."""
        if proved is not None:
            return _sha256(proved + tail.encode())
        alike = self.at is None and not any(rule.record is not None for rule in self.rules)
        return f"{_sha256(raw)}:{fresh}" if alike else _sha256(raw)

    def _hints(
        self, event: Any, raw: bytes, delivery: Delivery, base: str, parse: Callable[[str, bytes], Page]
    ) -> Iterator[Hint]:
        type_ = self._type(event, delivery)
        said_at = self._said_at(event, delivery)
        for rule in self.rules:
            if not rule.fits(event, type_):
                continue
            hint = Hint(rule.stream, rule.kind, base, type=type_, said_at=said_at)
            if rule.kind == "stream":
                yield hint
            elif rule.record is not None and not rule.deleted:
                yield from _full(hint, rule.record, raw, parse)
            else:
                keys = _keys(rule.key, event, delivery)
                yield from (replace(hint, key=key) for key in keys)
                if not keys:
                    yield replace(hint, kind="stream")

    def _type(self, event: Any, delivery: Delivery) -> str | None:
        parts = [str(value) for place in self.type for value in place.texts(event, delivery)[:1] if value]
        text = ".".join(parts)
        return text[:LONGEST].replace("\0", "�") or None

    def _said_at(self, event: Any, delivery: Delivery) -> datetime | None:
        if self.at is None:
            return None
        found = self.at.place.texts(event, delivery)
        try:
            moment = parse_cursor(found[0], self.at.form, self.at.zone) if found else None
        except BadRecord:
            return None
        return moment if isinstance(moment, datetime) else None


def _full(hint: Hint, path: FieldPath, raw: bytes, parse: Callable[[str, bytes], Page]) -> Iterator[Hint]:
    """The record as it came; one that can't be taken as it is is asked for, and one that isn't there is looked for."""
    record = raw if path == () else slices(raw, {path}).get(path)
    page = None if record is None else parse(hint.stream, record)
    if page is not None and page.records:
        yield replace(hint, key=page.records[0].key, record=page.records[0].raw)
    elif page is not None and page.rejected and page.rejected[0].key is not None:
        yield replace(hint, kind="record", key=page.rejected[0].key)
    elif page is not None and page.gone:
        yield replace(hint, kind="delete", key=page.gone[0].key)
    else:
        yield replace(hint, kind="stream")


def _keys(places: Sequence[Place], event: Any, delivery: Delivery) -> list[str]:
    """The keys that an event names. One place that holds several values names several records."""
    columns = [place.texts(event, delivery) for place in places]
    if min(map(len, columns), default=0) > MOST_HINTS:
        return []
    found: list[str] = []
    for values in zip(*columns, strict=False):
        if any(value is None for value in values):
            continue
        try:
            found.append(make_key(list(values)))
        except BadRecord as exc:
            raise Refusal("malformed", exc.message) from None
    return list(dict.fromkeys(found))


def _sha256(content: bytes) -> str:
    return "sha256:" + sha256(content).hexdigest()
