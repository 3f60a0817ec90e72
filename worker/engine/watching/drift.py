"""Which fields do the records of a stream have, and when did one appear, vanish or change its type?

A few records of each page that brought something are looked at: names and types, two levels down, never content. What
was seen before costs a look into a dictionary of this process; Postgres is asked when a field or type appears, and once
an hour for the counts that tell what vanished. Never fatal: a copy holds whatever its system sends. While the first
history comes in, everything is learned and nothing is news. Emits: fields_changed, fields_not_noted.
"""

import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import psycopg
import structlog
from psycopg.types.json import Jsonb

from worker.connectors.contract import Page
from worker.db.database import Database
from worker.db.queries import sql
from worker.db.words import storable
from worker.errors import HeadraceError
from worker.runs.claim import Run

log = structlog.get_logger()

Path = tuple[str, ...]
Signature = tuple[Any, ...]

EACH = "*"
"""Stands in a path for the entries of a list."""
SAMPLE, SAMPLE_SETTLED = 8, 3
"""Records looked at on a page; fewer once many pages brought nothing new."""
SETTLED = 32
DEEP = 2
WIDE = 200
"""An object with more fields than this is a map by some id: its names are no fields."""
MOST_FIELDS = 1000
LONG_NAME = 200
MOST_BYTES = 256 * 1024
MOST_SIGNATURES = 512
MOST_STREAMS = 1024
KEEP_COUNTS = 3600.0

_NAMES = ("null", "boolean", "integer", "number", "text", "time", "date", "object", "list")
_NULL, _BOOLEAN, _INTEGER, _NUMBER, _TEXT, _TIME, _DATE, _OBJECT, _LIST = (1 << place for place in range(9))
_PLAIN = {type(None): _NULL, bool: _BOOLEAN, int: _INTEGER, float: _NUMBER}
_DATED = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?( ?Z|[+-]\d\d(:?\d\d)?)?)?\Z", re.ASCII)


def note_fields(database: Database, run: Run, page: Page) -> None:
    """Look at some records of a page that is screened and loaded. Raises nothing: what fails here is tried again later."""
    _streams_of(database).of(database, run).look(database, run, page)


class Fields:
    """What this process knows of one stream's fields. Safe to share between threads."""

    def __init__(self, known: Mapping[Path, int], clock: Callable[[], float] = time.monotonic) -> None:
        self._known = dict(known)
        self._clock = clock
        self._lock = threading.Lock()
        self._quiet = 0
        self._kept_at = clock()
        self._looked = 0
        self._signatures: dict[Signature, list[int]] = {}
        """How often each was seen since the counts were kept, and when last, in records looked at."""
        self._seen: Counter[Path] = Counter()
        self._last: dict[Path, int] = {}
        self._within: Counter[Path] = Counter()
        """How often something was there to hold fields: `()` is the record itself."""

    def look(self, database: Database, run: Run, page: Page) -> None:
        with self._lock:
            news = self._news(page)
            self._quiet = 0 if news else self._quiet + 1
            if not news and self._clock() - self._kept_at < KEEP_COUNTS:
                return
            self._fold()
            fields = {_kept(path): self._as_row(path, news.get(path)) for path in self._known}
            try:
                keep(database, run, fields)
            except (HeadraceError, psycopg.Error) as exc:
                for path in news:  # looked at again with the next page
                    self._known.pop(path, None)
                log.warning("fields_not_noted", error=type(exc).__name__)
                return
            self._forget_counts()

    def _news(self, page: Page) -> dict[Path, tuple[int, str]]:
        """Fields and types that weren't known, with what a value looks like."""
        news: dict[Path, tuple[int, str]] = {}
        for record in sampled(page, SAMPLE_SETTLED if self._quiet > SETTLED else SAMPLE):
            signature = signature_of(record)
            self._looked += 1
            found = self._signatures.get(signature)
            if found is not None:
                found[0] += 1
                found[1] = self._looked
                continue
            for path, kind, value in _walked(record, signature):
                before = self._known.get(path, 0)
                if kind & ~before and (before or len(self._known) < MOST_FIELDS):
                    self._known[path] = before | kind
                    news[path] = (self._known[path], looks_like(value))
            self._signatures[signature] = [1, self._looked]
            if len(self._signatures) > MOST_SIGNATURES:
                self._fold()
        return news

    def _fold(self) -> None:
        """Count by field what was counted by signature."""
        for signature, (times, last) in self._signatures.items():
            self._within[()] += times
            for path, kind in _paths(signature):
                self._seen[path] += times
                self._last[path] = max(last, self._last.get(path, 0))
                if kind & (_OBJECT | _LIST):
                    self._within[path] += times
        self._signatures.clear()

    def _as_row(self, path: Path, news: tuple[int, str] | None) -> dict[str, Any]:
        seen = self._seen[path]
        looked = self._within[_parent(path)]
        share = 0.0 if not self._looked else 1.0 - self._last.get(path, 0) / self._looked
        return {
            "types": names(self._known[path]),
            "example": None if news is None else news[1],
            "seen": seen,
            "missed": round(looked * share) if seen else looked,
            "gap": -(-looked // seen) if seen else 0,
        }

    def _forget_counts(self) -> None:
        self._kept_at, self._looked = self._clock(), 0
        self._seen.clear()
        self._last.clear()
        self._within.clear()


def keep(database: Database, run: Run, fields: Mapping[Path, Mapping[str, Any]]) -> None:
    """Write what was seen, and say what is news. While the history comes in, nothing is."""
    learning = run.history_done_at is None
    with database.transaction() as connection:
        changed = connection.execute(
            sql.note_stream_fields,
            {
                "stream": run.stream_id,
                "fields": Jsonb([{"path": path, **facts} for path, facts in fields.items()]),
                "learning": learning,
            },
        ).fetchall()
        if not learning:
            changed += connection.execute(sql.vanished_fields, {"stream": run.stream_id}).fetchall()
    if changed:
        by_state: dict[str, list[str]] = {}
        for row in changed:
            by_state.setdefault(row["state"], []).append(shown(row["path"]))
        log.warning("fields_changed", **{state: sorted(paths)[:20] for state, paths in by_state.items()})


def sampled(page: Page, most: int) -> Iterator[dict[str, Any]]:
    """Some records of a page, from its beginning to its end, as plain data."""
    records = page.records
    step = max(1, -(-len(records) // most))
    size = 0
    for record in records[::step]:
        size += len(record.raw)
        if size > MOST_BYTES and size > len(record.raw):
            return
        try:
            found = msgspec.json.decode(record.raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            continue
        if type(found) is dict:
            yield found


def signature_of(record: Mapping[str, Any], deep: int = DEEP) -> Signature:
    """Names and types of a record: the same for all that look alike."""
    parts: list[Any] = []
    for name, value in record.items():
        kind = _PLAIN.get(type(value))
        if kind is not None:
            parts.append((name, kind))
        elif type(value) is str:
            parts.append((name, kind_of_text(value)))
        else:
            below = _below(value) if deep else None
            kind = _OBJECT if type(value) is dict else _LIST
            parts.append((name, kind) if below is None else (name, kind, signature_of(below, deep - 1)))
    return tuple(parts)


def _below(value: Any) -> Mapping[str, Any] | None:
    """The object whose fields belong to this one: itself, or the first entry of a list."""
    if type(value) is list:
        value = value[0] if value else None
    return value if type(value) is dict and len(value) <= WIDE else None


def kind_of_text(text: str) -> int:
    if len(text) < 10 or text[4] != "-" or not _DATED.match(text):
        return _TEXT
    return _DATE if len(text) == 10 else _TIME


def _paths(signature: Signature, at: Path = ()) -> Iterator[tuple[Path, int]]:
    for name, kind, *below in signature:
        yield (*at, name), kind
        if below:
            yield from _paths(below[0], (*at, name, EACH) if kind == _LIST else (*at, name))


def _walked(record: Mapping[str, Any], signature: Signature) -> Iterator[tuple[Path, int, Any]]:
    for path, kind in _paths(signature):
        value: Any = record
        for name in path:
            value = value[0] if name == EACH and type(value) is list else value[name]
        yield path, kind, value


def _kept(path: Path) -> Path:
    """As Postgres can hold and index it: a name can be anything."""
    return tuple(storable(name)[:LONG_NAME] for name in path)


def _parent(path: Path) -> Path:
    above = path[:-1]
    return above[:-1] if above and above[-1] == EACH else above


def looks_like(value: Any) -> str:
    """A value without its content: `text of 12`."""
    if isinstance(value, str):
        return (
            f"text of {len(value)}" if kind_of_text(value) == _TEXT else f"a {names(kind_of_text(value))[0]}"
        )
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return f"whole number of {len(str(abs(value))) if abs(value) < 10**50 else 'many'} digits"
    if isinstance(value, dict | list):
        return f"{'object' if isinstance(value, dict) else 'list'} of {len(value)}"
    return "nothing" if value is None else "number"


def names(kinds: int) -> list[str]:
    """The types that stand in this number."""
    return [name for place, name in enumerate(_NAMES) if kinds >> place & 1]


def kinds_of(types: list[str]) -> int:
    return sum(1 << _NAMES.index(name) for name in set(types) if name in _NAMES)


def shown(path: list[str] | Path) -> str:
    """As people write it: `lines[].sku`."""
    text = "".join("[]" if name == EACH else f".{name}" for name in path)
    return storable(text.removeprefix("."))


class _Streams:
    """The streams that this process looked at last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fields: OrderedDict[int, Fields] = OrderedDict()

    def of(self, database: Database, run: Run) -> Fields:
        with self._lock:
            if (found := self._fields.get(run.stream_id)) is not None:
                self._fields.move_to_end(run.stream_id)
                return found
        try:
            rows = database.all(sql.known_fields, {"stream": run.stream_id})
        except HeadraceError:
            return Fields({})
        made = Fields({tuple(row["path"]): kinds_of(row["types"]) for row in rows})
        with self._lock:
            kept = self._fields.setdefault(run.stream_id, made)
            if len(self._fields) > MOST_STREAMS:
                self._fields.popitem(last=False)
            return kept


_streams: "WeakKeyDictionary[Database, _Streams]" = WeakKeyDictionary()
_making = threading.Lock()


def _streams_of(database: Database) -> _Streams:
    with _making:
        return _streams.setdefault(database, _Streams())
