"""The base of every double: it keeps the truth and the clock, serves, and makes trouble on request.

What a double says of its system (all but `answer` has a default):

    system, secrets, tables     its name, the secrets' values by the manifest's names, its streams
    settings()                  what a connection to it says
    answer(call)                what it answers to whoever may ask
    admits(call)                whether the proof is good; is_login(call): no proof is needed, for it is how one is got
    render(stream, row)         a row as the system shows it; throttled, failing, refused, forbidden: how it says no
    complaints()                further ways of saying no that are its own, such as an error in a 200

What it finds here: `rows` (by change, filtered), `show` (render, and what the checks change about it), `issue` and
`knows` for tokens, `write` for a time as the table writes it, and `zone`, the account's.

What the checks do: `create`, `change`, `delete`, `advance`, `trouble`, `expire`, `truth`, `log`. A stream whose records
stand inside those of another overrides the first three and `truth`.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from secrets import token_hex
from typing import Any, ClassVar, Literal, Self

from scheduler.connectors.check.double.exchange import Answer, Call, Exchange
from scheduler.connectors.check.double.serving import Serving, http_date
from scheduler.connectors.check.double.table import Row, Table, merged, ordered
from scheduler.connectors.check.double.times import cut
from worker.connectors.reading.keys import make_key

BEGINNING = datetime(2026, 6, 15, 12, tzinfo=UTC)
Kind = Literal["transient", "rate_limited", "operator", "auth_expired"]
Trouble = Literal["throttled", "failing", "silent", "cut", "garbage", "html", "refused", "forbidden"]
Echo = Callable[[Call], Answer]
WAIT = 37
"""Seconds that a throttled request is asked to wait."""
HTML = "<!doctype html><html><title>Sign in</title><body>Please sign in.</body></html>"


@dataclass(frozen=True)
class Complaint:
    """A way of saying no that is the system's own, and what it must be taken for."""

    name: str
    answer: "Answer | Trouble"
    kind: Kind
    wait: float | None = None
    """Seconds that it asks to wait, where it is `rate_limited` and says so."""
    words: str | None = None
    """What of its words must reach a person."""


@dataclass
class Double:
    """See the module. Used as a context: it serves inside."""

    system: ClassVar[str]
    secrets: ClassVar[Mapping[str, str]] = {}
    tables: ClassVar[Mapping[str, Table]]

    says_how_long: ClassVar[bool] = True
    """`throttled` names the time to wait."""

    zone: tzinfo = UTC
    now: datetime = BEGINNING
    """Its clock stands still until somebody advances it."""
    log: list[Exchange] = field(default_factory=list)
    ambush: Callable[[Call], None] | None = None
    """Called before a request for data is answered."""
    drifted: bool = False
    """Its records look otherwise since a release: they have a field more."""
    padding: int = 0
    """So many characters longer is the text of its records that a change changes."""
    keyless: set[int] = field(default_factory=set)
    """Numbers of rows that are shown without their key."""

    def __post_init__(self) -> None:
        self._rows: dict[str, dict[int, Row]] = {name: {} for name in self.tables}
        self.serial = 0
        """How many changes there were, in all streams."""
        self._tokens: set[str] = set()
        self.issued: list[str] = []
        """Every token and session that was ever given."""
        self._trouble: deque[Trouble | Answer | Echo] = deque()
        self._lock = threading.RLock()
        self._released = threading.Event()
        self._serving: Serving | None = None

    def __enter__(self) -> Self:
        self._serving = Serving(self._say)
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        if self._serving is not None:
            self._serving.stop()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        assert self._serving is not None, "a double serves inside of `with`"  # noqa: S101 - how it is used
        return self._serving.base_url

    # What a double says of its system.

    def settings(self) -> Mapping[str, Any]:
        """What a connection to it says; what the account's zone has to do with it, too."""
        return {"base_url": self.base_url}

    def answer(self, call: Call) -> Answer:
        """What the system says to this. ValueError and KeyError are answered with 400."""
        raise NotImplementedError

    def admits(self, call: Call) -> bool:
        """Whether the call proves who it is."""
        del call
        return True

    def is_login(self, call: Call) -> bool:
        """Whether it asks for a token or session: `answer` sees to its proof."""
        del call
        return False

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        """A row as the system shows it."""
        table = self.tables[stream]
        record: dict[str, Any] = {table.key: table.key_of(row.number), **row.content}
        if table.created is not None:
            record[table.created] = self.write(stream, row.created)
        if table.changed is not None:
            record[table.changed] = self.write(stream, row.changed)
        return merged({}, record)

    def write(self, stream: str, at: datetime) -> Any:
        """A time as this system writes it."""
        return self.tables[stream].writes(at)

    def throttled(self, seconds: int) -> Answer:
        """It is asked too often, and should be left alone for so long."""
        return Answer(429, {"message": "Too many requests."}, {"Retry-After": str(seconds)})

    def failing(self) -> Answer:
        """Something is broken in it."""
        return Answer(500, {"message": "Internal error."})

    def refused(self) -> Answer:
        """It doesn't know the token, key or password."""
        return Answer(401, {"message": "Not authenticated."})

    def forbidden(self) -> Answer:
        """It knows who asks, who may not."""
        return Answer(403, {"message": "Not allowed."})

    def complaints(self) -> Sequence[Complaint]:
        """Its own ways of saying no."""
        return ()

    # What it finds here.

    def rows(
        self,
        stream: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        order: Literal["number", "changed", "serial"] = "changed",
        gone: bool = False,
    ) -> list[Row]:
        """Those that changed at or after `since`, and up to `until`; with `gone` also those that were deleted."""
        found = [
            row
            for row in self._rows[stream].values()
            if (gone or row.deleted is None)
            and (since is None or row.changed >= since)
            and (until is None or row.changed <= until)
        ]
        return ordered(found, order)

    def row(self, stream: str, key: object) -> Row | None:
        """The row with this key, unless it is gone."""
        found = (row for row in self._rows[stream].values() if row.deleted is None)
        return next((row for row in found if self.key_of(stream, row) == str(key)), None)

    def show(self, stream: str, row: Row) -> dict[str, Any]:
        """The row as it is to be answered."""
        record = self.render(stream, row)
        if self.drifted:
            record["added_by_a_release"] = {"since": ["2026.7"], "of": row.number}
        if row.number in self.keyless:
            record.pop(self.tables[stream].key)
        edited = self.tables[stream].edited
        if self.padding and isinstance(record.get(edited), str):
            record[edited] += "x" * self.padding
        return record

    def key_of(self, stream: str, row: Row) -> str:
        """What the copy calls it."""
        return make_key([self.tables[stream].key_of(row.number)])

    def issue(self) -> str:
        """A token or session that is good from now on."""
        token = f"issued-{token_hex(12)}"
        self._tokens.add(token)
        self.issued.append(token)
        return token

    def knows(self, token: str | None) -> bool:
        """Whether it was issued and hasn't expired."""
        return token in self._tokens

    # What the checks do.

    def create(self, stream: str, count: int = 1) -> list[str]:
        """So many records more, all made now; their keys."""
        with self._lock:
            return [self.key_of(stream, self._made(stream)) for _ in range(count)]

    def change(self, stream: str, *keys: str) -> None:
        """Edit these records now."""
        with self._lock:
            for row in self._found(stream, keys):
                row.version += 1
                edited = self.tables[stream].edited
                row.content[edited] = f"{str(row.content[edited]).split(' (', 1)[0]} (edited {row.version})"
                self._touch(stream, row)

    def delete(self, stream: str, *keys: str) -> None:
        """Delete these records now."""
        with self._lock:
            for row in self._found(stream, keys):
                row.deleted = cut(self.now, self.tables[stream].unit)
                self._touch(stream, row)

    def spoil_one(self, stream: str) -> bool:
        """Show one record without its key from now on; False: that can't be."""
        self.keyless = {row.number for row in self.rows(stream)[:1]}
        return True

    def truth(self, stream: str) -> dict[str, Any]:
        """All that is there, by key: what the copy's records must say."""
        with self._lock:
            return {self.key_of(stream, row): self.show(stream, row) for row in self.rows(stream)}

    def changed_at(self, stream: str, key: str) -> datetime | int | None:
        """What the cursor of this record must be; None: it has none. A system that counts changes overrides this."""
        row = self.row(stream, key)
        return None if row is None or self.tables[stream].changed is None else row.changed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self.now += timedelta(seconds=seconds)

    def trouble(self, *kinds: Trouble | Answer | Echo) -> None:
        """What the next requests for data get instead of an answer, one after the other."""
        with self._lock:
            self._trouble.extend(kinds)

    def no_more_trouble(self) -> None:
        """Whoever waits in vain is let go."""
        with self._lock:
            self._trouble.clear()
            self._released.set()
            self._released = threading.Event()

    def expire(self) -> int:
        """Forget all tokens that were issued; how many there were."""
        with self._lock:
            count = len(self._tokens)
            self._tokens.clear()
            return count

    def asked(self, kinds: Collection[str] = ("data",)) -> list[Exchange]:
        """The requests of these kinds, so far."""
        with self._lock:
            return [each for each in self.log if each.kind in kinds]

    # How it does that.

    def _made(self, stream: str) -> Row:
        rows, table = self._rows[stream], self.tables[stream]
        number, at = len(rows) + 1, cut(self.now, table.unit)
        rows[number] = Row(number, at, at, self._next(), content=table.content(number))
        return rows[number]

    def _found(self, stream: str, keys: Sequence[str]) -> list[Row]:
        wanted = set(keys)
        return [row for row in self._rows[stream].values() if self.key_of(stream, row) in wanted]

    def _touch(self, stream: str, row: Row) -> None:
        row.changed, row.serial = cut(self.now, self.tables[stream].unit), self._next()

    def _next(self) -> int:
        self.serial += 1
        return self.serial

    def _say(self, call: Call) -> Answer | None:
        with self._lock:
            kind, answer, released = *self._judged(call), self._released
            dated = replace(answer, headers={"Date": http_date(self.now), **answer.headers})
            self.log.append(Exchange(call, dated, kind))
        if kind == "silent":
            released.wait(30)
            return None
        return dated

    def _judged(self, call: Call) -> tuple[str, Answer]:
        if self.is_login(call):
            return "login", self._answered(call)
        if not self.admits(call):
            return "refused", self.refused()
        if self._trouble:
            return self._troubled(call, self._trouble.popleft())
        if self.ambush is not None:
            self.ambush(call)
        return "data", self._answered(call)

    def _answered(self, call: Call) -> Answer:
        try:
            return self.answer(call)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            return Answer(400, {"message": f"{type(exc).__name__}: {exc}"})

    def _troubled(self, call: Call, kind: Trouble | Answer | Echo) -> tuple[str, Answer]:
        if isinstance(kind, Answer):
            return "complaint", kind
        if callable(kind):
            return "complaint", kind(call)
        if kind == "cut":
            return kind, replace(self._answered(call), cut=True)
        says: dict[Trouble, Callable[[], Answer]] = {
            "throttled": lambda: self.throttled(WAIT),
            "failing": self.failing,
            "refused": self.refused,
            "forbidden": self.forbidden,
            "garbage": lambda: Answer(200, b'{"half": [1, 2', {"Content-Type": "application/json"}),
            "html": lambda: Answer(200, HTML, {"Content-Type": "text/html; charset=utf-8"}),
            "silent": Answer,
        }
        return kind, says[kind]()
