"""One kind of record of one connection: how it is asked for, and how answers are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.connectors.contract.exchange import Position, Request, Response, Window
from worker.connectors.contract.records import Page, Seam


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
    ordered_since: bool = False
    """The same of windows that begin somewhere, though all there is comes in another order."""
    bounded: bool = False
    """The system can be asked for what changed up to a value."""
    undated: bool = False
    """Some records have no cursor, and no window with an end shows them: what goes back to the beginning is read without."""
    details: int = 0
    """Lists hold only keys, and each record is asked for by its own, so many at a time (`Listed.pending`); 0: they hold all."""
    unbroken: bool = False
    """Its pages come from one process: a run that is given back between two of them may have to begin anew, so it isn't for
    the sake of others."""
    at_once: int = 0
    """So many runs of its connection work at a time; 0: any number."""


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
