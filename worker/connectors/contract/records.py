"""What is read from an answer: records, what can't be taken, what is gone, and where to go on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from worker.connectors.contract.exchange import CursorValue, Position, Request, Response

DeleteReason = Literal["flag", "tombstone", "delta", "not_found", "sweep", "erased"]
"""How we know that a record is gone: a flag in it, an entry in the system's list of deletes, an entry in its delta feed,
a re-read that found nothing, absence from complete sweeps, or that somebody had it erased here."""


Seam = Literal["none", "record", "total"]
"""How two pages that follow each other are seen to be neighbours: they needn't be (their places are fixed), they share a
record, or both say the same total."""


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


@dataclass(frozen=True, slots=True)
class Family:
    """All children of one parent are on this page, if it has any: whoever else of them the copy holds is gone."""

    stem: str
    """How the keys of all of them begin."""
    reason: DeleteReason = "delta"
    at: datetime | None = None
    """When they went, as in `Gone`."""
    told: bool = False
    """The system says in so many words that the parent is gone."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The entries of a list that aren't records themselves: each holds some records, or a key alone."""

    marks: Sequence[tuple[str, str]]
    """What each is called and a digest of it, in their order: two pages are neighbours by them."""
    several: bool = False
    """An entry may hold several records, or none, so their number says nothing of that of records."""
    families: Sequence[Family] = ()
    reached: CursorValue | None = None
    """The greatest cursor of those without a record."""
    pending: Sequence[str] = ()
    """The keys of records that are to be asked for one by one (`Stream.single`)."""
    absent: Sequence[str] = ()
    """Those of them that weren't there when they were asked for."""
    below: "Singles | None" = None
    """The pending keys are those of parents, and who is asked for the children of each; None: the stream, for records."""


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
    unchanged: bool = False
    """Where the cursor is a token: the system says in so many words that nothing has changed since it."""
    given_out: int | None = None
    """Where the cursor is a number: one that had been given out before this page was read, as the system says."""
    listed: Listed | None = None
    """None: the entries of the list are the records."""

    @property
    def found(self) -> bool:
        """Whether the system shows something that is there: a record, or a parent with all of its children, if any."""
        families = () if self.listed is None else self.listed.families
        return bool(self.records) or any(each.reason == "delta" and not each.told for each in families)

    @property
    def in_all(self) -> int | None:
        """`total`, where it counts records."""
        return None if self.listed is not None and self.listed.several else self.total

    @property
    def keys(self) -> list[str]:
        """Of all entries that have one: a record that can't be taken is there all the same."""
        return [record.key for record in self.records] + [
            bad.key for bad in self.rejected if bad.key is not None
        ]


class Singles(Protocol):
    """Who is asked for one at a time, as `Stream` says of its records."""

    @property
    def name(self) -> str: ...

    def single(self, key: str) -> Request | None: ...

    def read_single(self, response: Response, key: str) -> Page: ...
