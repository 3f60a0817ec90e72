"""The whole port between the engine and a system, in one file.

A connector describes requests and reads answers; it opens no socket, knows no database and reads no clock. The engine
asks a `Source` (a connector bound to one connection's settings) for a `Stream`, and a stream for the request that comes
next; `worker/http` sends it under the account's budget with the source's `Auth`, and the stream reads the answer into a
`Page`. All values are plain data, so a connector is tested without a server.

    window, position ──▶ Stream.request ──▶ Request ──▶ (worker/http) ──▶ Response ──▶ Stream.read ──▶ Page ─┐
                 ▲                                                                                          │
                 └───────────────────────────── page.next is the next position ◀────────────────────────────┘

Pages are taken in their order, one after the other. Where a stream can name places beyond `page.next` (`onward`), those
are asked for at the same time; where it can ask for smaller pages (`resized`), it is asked so if they prove too large.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from worker.errors import HeadraceError
from worker.limits.policy import Limits as Limits  # noqa: PLC0414 - part of the port, defined a layer below
from worker.secrets import Secret
from worker.webhooks.delivery import Delivery as Delivery  # noqa: PLC0414 - the same
from worker.webhooks.delivery import Reply as Reply  # noqa: PLC0414 - the same
from worker.webhooks.delivery import Told
from worker.webhooks.registering import Created, Registered, Rules, Wish

CursorValue = datetime | int
"""A place in a stream's order of change: an aware UTC datetime, or a whole number."""

TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a code
"""The code of the `NeedsOperator` that `Stream.read` raises where the system knows the window's token no longer."""

DeleteReason = Literal["flag", "tombstone", "delta", "not_found", "sweep", "erased"]
"""How we know that a record is gone: a flag in it, an entry in the system's list of deletes, an entry in its delta feed,
a re-read that found nothing, absence from complete sweeps, or that somebody had it erased here."""

Seam = Literal["none", "record", "total"]
"""How two pages that follow each other are seen to be neighbours: they needn't be (their places are fixed), they share a
record, or both say the same total."""

Position = Mapping[str, Any]
"""Where paging stands, as JSON: what a stream needs to describe the next request. Kept with each page's commit, so a
run goes on after a crash where its last page ended. Opaque to the engine."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to a system. `url` is absolute, or relative to the connection's base URL."""

    method: str
    url: str
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cost: int = 1
    """How much of the account's budget it takes."""
    absent: frozenset[int] = frozenset()
    """Statuses that are an answer here and no failure: what was asked for isn't there."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a system answered. Header names are in lower case; `body` is decompressed and complete."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Window:
    """What a run asks for: records changed at or after `since` and, where the system can be asked so, up to `until`.

    `since` is inclusive, with the overlap taken off already. None is without a bound.
    """

    since: CursorValue | None = None
    until: CursorValue | None = None
    token: str | None = None
    """Where the cursor is a token: what the last window ended with. None reads everything."""


class Record(msgspec.Struct, gc=False):
    """One record as it came. `raw` are the bytes that the system sent for it, valid UTF-8 and JSON."""

    key: str
    """Unique in its stream; a composite key in the canonical form of `worker/connectors/reading/keys.py`."""
    raw: bytes
    digest: bytes
    """16 bytes over the content, volatile fields left out: equal digests mean nothing changed."""
    version: int | None = None
    """Grows with every change at the source (microseconds since 1970, or the system's own number); None: unknown."""
    cursor: CursorValue | None = None
    updated_at: datetime | None = None
    deleted: bool = False
    """The system itself says that this record is gone."""
    exact: bytes | None = None
    """The bytes as sent, where `raw` is a readable copy of something that Postgres can't keep."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that can't be taken, kept aside with its reason. `raw` is what came, whatever it is."""

    raw: bytes
    code: str
    reason: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The system says, or a re-read showed, that the record of this key is no longer there."""

    key: str
    reason: DeleteReason
    at: datetime | None = None
    """When it went, by the system's clock: what was seen later is not touched. None: it is gone now."""


HintKind = Literal["record", "full", "delete", "stream"]
"""What a webhook says: look at this record; here it is, whole; it is gone; something in this stream has changed."""


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing that a webhook tells of. It is a hint: what the copy takes from it is the engine's to decide."""

    stream: str
    kind: HintKind
    event_key: str
    """The system's id of this event, or a digest: the same twice is the same event."""
    key: str | None = None
    """Of the record; None with `stream` alone."""
    type: str | None = None
    """As the system calls it."""
    record: bytes | None = None
    """With `full`: the record's bytes."""
    said_at: datetime | None = None
    """When it happened, as the system says."""


@dataclass(slots=True)
class Page:
    """The records of one answer, and where to go on. `next` is None at the end of the window."""

    records: list[Record]
    rejected: list[Rejected] = field(default_factory=list)
    next: Position | None = None
    total: int | None = None
    """How many records the window holds in all, where the system says so: for the progress bar only."""
    gone: list[Gone] = field(default_factory=list)
    """Deletes that come without the record."""
    token: str | None = None
    """Where the cursor is a token: what the next window begins with. Said on the last page."""

    @property
    def keys(self) -> list[str]:
        """Of all entries that have one: a record that can't be taken is there all the same."""
        return [record.key for record in self.records] + [
            bad.key for bad in self.rejected if bad.key is not None
        ]


@dataclass(frozen=True, slots=True)
class StreamTraits:
    """What the engine must know to plan a stream; comes from the manifest."""

    incremental: bool
    """The system can be asked for what changed since a cursor."""
    ordered: bool
    """Pages come in the order of the cursor, so what one page holds moves the cursor before the last page is read."""
    timestamps: bool
    """The cursor is a time (else a number)."""
    overlap: float = 0.0
    """How far the next run looks back behind the cursor: seconds for a time, units for a number."""
    lag: float = 0.0
    """Seconds for which a fresh change may still be invisible at the source: the cursor never passes now minus this."""
    interval: float = 900.0
    """Seconds between two runs where the connection doesn't say."""
    after: tuple[str, ...] = ()
    """Streams whose records these refer to: where runs of both are owed, theirs come first."""
    token: bool = False
    """The cursor is an opaque text that the system hands out with the last page; nothing of it can be reckoned with."""
    seam: Seam = "none"
    """How it shows that a page goes on where the one before ended, though records change places meanwhile."""
    bounded: bool = False
    """The system can be asked for what changed up to a value."""


class Stream(Protocol):
    """One kind of record of one connection."""

    @property
    def name(self) -> str: ...

    @property
    def traits(self) -> StreamTraits: ...

    def request(self, window: Window, position: Position | None) -> Request:
        """Describe the request for the page at `position`; None is the first page of the window."""
        ...

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        """Read a successful answer. One bad record goes to `Page.rejected`; an unreadable page raises Transient."""
        ...

    def onward(self, position: Position | None, page: Page, most: int) -> Sequence[Position]:
        """The places after `page.next`, at most `most`, as far as they can be told unread; none beyond `page.total`.

        `page` was read at `position`. What is named is a guess that pages stay as full as this one: the engine asks for
        them side by side, takes them in order, and drops them where a page's own `next` says something else. A stream
        whose answers alone say what comes next, or whose places aren't stable, returns nothing.
        """
        ...

    def back(self, position: Position | None) -> Position | None:
        """The place to read again where the page at `position` shows no seam with the one before (`StreamTraits.seam`), so
        what lay between them may have moved: a page earlier, and after several such steps the very first.

        None: there is nothing before it.
        """
        ...

    def resized(self, divisor: int, position: Position | None) -> "tuple[Stream, Position | None] | None":
        """The same stream with pages a `divisor`-th as large as the manifest has them, and where it goes on from `position`.

        The place is None where it can't be kept: then the window is read from its beginning. None instead of both:
        pages can't be asked for in that size, or would be no smaller than with half the divisor.
        """
        ...

    @property
    def key_fields(self) -> Sequence[tuple[str, ...]]:
        """The paths of the fields that a record's key is made of."""
        ...

    def digest(self, raw: bytes) -> bytes:
        """`Record.digest` of this content: what is changed after it was read needs another."""
        ...

    def parse(self, raws: Sequence[bytes]) -> Page:
        """Read records again whose bytes were kept, as answers are read now."""
        ...

    @property
    def mark(self) -> str:
        """Another text where records are read in another way: what was set aside is then worth another look."""
        ...

    def sweep(self) -> "Stream | None":
        """The same stream read for its keys only, as cheaply as the system allows; its window has no bounds.

        Only `Record.key` of its pages counts. None: what is there can't be listed.
        """
        ...

    def tombstones(self) -> "Stream | None":
        """The system's own list of what was deleted in this stream, with a cursor of its own: `Page.gone` counts.

        None: it keeps none.
        """
        ...

    def single(self, key: str) -> Request | None:
        """Describe the request for one record, with the statuses in `absent` by which the system says that it isn't there.

        None: records can't be asked for by their keys. `BadRecord`: this can be no record's key.
        """
        ...

    def read_single(self, response: Response, key: str) -> Page:
        """Read the answer to `single`: one record, or one `Rejected`, or the key in `gone` (reason `not_found`)."""
        ...

    @property
    def filters(self) -> Sequence[str]:
        """By which names the system can be asked for some of the records only."""
        ...

    def filtered(self, values: Mapping[str, str]) -> "Stream":
        """The same stream for records that fit; `InvalidInput` for a name that isn't among `filters`."""
        ...


@dataclass(frozen=True, slots=True)
class Renewal:
    """A log-in that spends a secret which the system may replace: the refresh token of OAuth 2.0.

    Whoever sends sees to it that one process at a time spends it, as its store has it then, and that what came instead is
    in the store before anything else happens.
    """

    secret: str
    """Its name among the connection's secrets."""
    request: Callable[[str], Request]
    """What is sent with the secret's value."""
    renewed: Callable[[Response], str | None]
    """The value that an answer has instead of it; None: it stays as it is."""
    replaces: bool = True
    """The system gives out another each time, so the store must be one that can be written."""


class Auth(Protocol):
    """How requests of a connection prove who they are.

    A generator in the manner of httpx: it yields requests and is sent the answer to each. The last request that it
    yields is the one asked for, with its proof; those before it log in, refresh, fetch a token. `held` lives as long as
    the process and belongs to this connection: tokens are kept there. `secrets` are opened values by the names that
    the manifest gives them; they and everything in `held` are redacted from logs. Nothing is held longer than
    `held["expires_in"]` says, in seconds.
    """

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request | Renewal, Response, None]: ...


@runtime_checkable
class TokenAuth(Auth, Protocol):
    """An auth whose tokens come from a server that may be elsewhere, and whose secrets may change by being used."""

    @property
    def token_url(self) -> str:
        """Where tokens are asked for: the one address outside of the base URL that a log-in may go to."""
        ...

    @property
    def replaced(self) -> frozenset[str]:
        """Secrets that are replaced when they are used: tokens that were got with the one before are good still."""
        ...


class Registration(Protocol):
    """How webhooks are registered at a system. Makes requests and reads answers; sends nothing."""

    topics: Sequence[str]
    """Each is registered by itself; one empty text where one is for all."""
    secret: str | None
    """The secret that is sent, or that the system hands out."""
    path_secret: str | None
    """The secret that stands in the URL."""
    every: float
    """Seconds between two looks."""
    rules: Rules

    def list_all(self) -> Request: ...
    def listed(self, response: Response) -> list[Registered]: ...
    def create(self, wish: Wish) -> Request: ...
    def created(self, response: Response) -> Created: ...
    def renew(self, wish: Wish, id_: str) -> Request: ...
    def enable(self, wish: Wish, id_: str) -> Request: ...
    def remove(self, id_: str) -> Request: ...


class Webhooks(Protocol):
    """How a system's webhooks are proved and understood. Opens nothing and reads no clock.

    `secrets` are opened values by the manifest's names for them; one that holds several lines is several secrets, any of
    which may prove a webhook while they are rotated.
    """

    @property
    def registration(self) -> Registration | None:
        """How they are registered; None: people do that at the system."""
        ...

    @property
    def secret_names(self) -> Sequence[str]:
        """The secrets that prove webhooks, of those that the manifest names."""
        ...

    def handshake(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> Reply | None:
        """What to answer where the system only asks whether somebody is there. None: it is no handshake."""
        ...

    def verify(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> bytes:
        """What was proved, for `told`. Raises `worker.webhooks.delivery.Refusal` for what isn't the system's, or is too old."""
        ...

    def told(self, delivery: Delivery, proved: bytes, fresh: str) -> Told[Hint]:
        """What a webhook that was verified tells of. What concerns no stream is left out; `Refusal` if all is unreadable.

        An event without an id or a time, whose repetition says something new, gets `fresh` into its key: a text of this
        webhook alone.
        """
        ...

    @property
    def streams(self) -> frozenset[str]:
        """The streams that webhooks tell of: a change that none told of was missed."""
        ...

    @property
    def believes_deletes(self) -> Mapping[str, bool]:
        """By stream: a `delete` is evidence as it is (True), or only after a re-read finds nothing."""
        ...


class Source(Protocol):
    """A connector bound to one connection's settings. Cheap to make, safe to share between threads."""

    @property
    def base_url(self) -> str: ...

    @property
    def auth(self) -> Auth: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def webhooks(self) -> Webhooks | None:
        """How its webhooks are taken; None: it sends none that we know of."""
        ...

    def stream(self, name: str) -> Stream:
        """The stream of that name, or `NotFound` with the nearest valid name."""
        ...

    def failure(self, response: Response) -> HeadraceError | None:
        """What a system says by this answer, if it says no: by status, or by an error in the body of a 200.

        The system's own words are kept in the message. None: the answer can be read.
        """
        ...


class Connector(Protocol):
    """One system: what it needs, which streams it has, and how to bind it to a connection."""

    @property
    def system(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def stream_names(self) -> Sequence[str]: ...

    @property
    def secret_names(self) -> Mapping[str, bool]:
        """The secrets that a connection must reference (True) or may reference (False)."""
        ...

    @property
    def limits(self) -> Limits:
        """What an account may do, whatever its settings."""
        ...

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise `InvalidInput` for the first setting that is unknown, missing or wrong, naming it in `place`."""
        ...

    def bind(self, settings: Mapping[str, Any]) -> Source: ...
