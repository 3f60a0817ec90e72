"""Which changes follow a position?

Promises: in one order for all; each change once for a reader that goes on where its page ends, however late the
transaction that made it is committed; the page ends further on than it began also where none of its changes were
wanted. A page is bounded in changes and in size, and read in one snapshot that is left at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

import psycopg
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.feed.epoch import read_feed, renewing, require_epoch
from worker.feed.position import Feed, Place, Position, going_on
from worker.feed.spaces import EVERYTHING, View, is_limited

Transaction: TypeAlias = psycopg.Connection[DictRow]
Kind = Literal["created", "updated", "deleted"]
KINDS: tuple[Kind, ...] = ("created", "updated", "deleted")

SCAN = 5_000
"""So many entries are looked at for a page of which only some are wanted."""
AMONG_OTHERS = 4
"""So many times as many entries are looked at as are wanted, where only those of another environment are not."""
BYTES = 4 * 1024 * 1024
"""So much content a page has, as it is stored (compressed); one change is taken whatever its size."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which changes? None: all of them."""

    streams: Sequence[int] | None = None
    buckets: Sequence[int] | None = None
    """Those of the streams, where there are streams."""
    kinds: Sequence[str] | None = None
    connection_id: int | None = None
    stream: str | None = None
    """Of this name. Which streams those are is asked in the snapshot of each page: one that is added while a reader waits
    must not be passed by."""
    since: datetime | None = None
    """Up to `until`, only what came to be known since then."""
    until: Place | None = None
    content: bool = True
    view: View = field(default_factory=lambda: EVERYTHING)
    """What the reader sees: whatever is wanted, nothing else is read."""

    @property
    def everything(self) -> bool:
        return self.streams is None and not self.named and self.kinds is None and self.since is None

    @property
    def named(self) -> bool:
        return self.connection_id is not None or self.stream is not None or is_limited(self.view)

    @property
    def named_as(self) -> dict[str, Any]:
        """How its streams are asked for."""
        return {"connection": self.connection_id, "stream": self.stream, **self.view}

    def looks_at(self, limit: int) -> int:
        """How many entries are looked at for a page."""
        if not self.everything:
            return max(SCAN, limit)
        return limit if self.view["environment"] is None else max(min(SCAN, AMONG_OTHERS * limit), limit)


def streams_to_read(database: Database, what: Wanted) -> list[DictRow]:
    """The streams that are named, as they are now."""
    return database.all(sql.streams_to_read, what.named_as)


@dataclass(frozen=True, slots=True)
class Page:
    """Changes in their order. `more`: there is more to read right now."""

    changes: Sequence[DictRow]
    next: Position
    more: bool
    feed: Feed


@contextmanager
def reading(database: Database) -> Iterator[tuple[Transaction, Feed]]:
    """One snapshot of the feed. Raises `Transient` while places are given anew."""
    for _ in range(2):
        with database.transaction() as tx:
            tx.execute(sql.begin_feed)
            feed = read_feed(tx)
            if feed is not None:
                yield tx, feed
                return
        require_epoch(database)
    raise renewing()  # it moved again meanwhile


def look(database: Database) -> Feed:
    """What the feed is now."""
    with reading(database) as (_, feed):
        return feed


def read_changes(
    database: Database,
    after: Position | None,
    wanted: Wanted | Callable[[Transaction], Wanted],
    *,
    limit: int,
) -> Page:
    """The page that follows `after`; None begins at the beginning, which is a snapshot. What is wanted may be found out in
    the snapshot of the page.

    Raises `InvalidInput` (`position_expired`, `bad_position`).
    """
    with reading(database) as (tx, feed):
        what = _resolved(tx, wanted if isinstance(wanted, Wanted) else wanted(tx))
        start = feed.snapshot if after is None else going_on(after, feed)
        scan = what.looks_at(limit)
        rows = tx.execute(sql.read_feed, _params(start, what, limit, scan), prepare=False).fetchall()
    return _page(rows, start, feed, scan)


def _resolved(tx: Transaction, what: Wanted) -> Wanted:
    """What is wanted, by the numbers of the streams that are named, unless whoever asks has looked for them."""
    if what.streams is not None or not what.named:
        return what
    rows = tx.execute(sql.streams_to_read, what.named_as).fetchall()
    return replace(what, streams=[row["id"] for row in rows], buckets=[row["bucket"] for row in rows])


def position_of(change: Mapping[str, Any], epoch: int) -> Position:
    """The position of one change: whoever goes on from there gets what follows it."""
    return Position(place_of(change, epoch))


def place_of(change: Mapping[str, Any], epoch: int) -> Place:
    return Place(epoch, int(change["xid"]), change["seq"])


def _page(rows: Sequence[DictRow], start: Position, feed: Feed, scan: int) -> Page:
    changes = [row for row in rows if row["key"] is not None]
    seen, cut = rows[0]["seen"], rows[0]["wanted"] > len(changes)
    if cut:
        end, more = place_of(changes[-1], feed.epoch), True
    elif seen == scan:
        end, more = Place(feed.epoch, int(rows[0]["last_xid"]), rows[0]["last_seq"]), True
    else:
        end, more = max(feed.end, start.place), False
    return Page(changes, start.moved(end), more, feed)


def _params(start: Position, what: Wanted, limit: int, scan: int) -> dict[str, Any]:
    until = what.until or Place(0, 0, 0)
    bounded = what.since is not None and until.epoch == start.place.epoch
    return {
        "xid": str(start.place.xid),
        "seq": start.place.seq,
        "streams": None if what.streams is None else list(what.streams),
        "buckets": None if what.buckets is None else sorted({*what.buckets}),
        "kinds": None if what.kinds is None else list(what.kinds),
        "since": what.since if bounded else None,
        "until_xid": str(until.xid),
        "until_seq": until.seq,
        "content": what.content,
        "scan": scan,
        "limit": limit,
        "bytes": BYTES,
        **what.view,
    }
