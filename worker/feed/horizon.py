"""How long is the feed held back, and by whom?

What is committed is served once every older transaction of the cluster has ended, of whatever database. So one that is
forgotten open stops the feed for all readers; nothing is lost by that.
"""

from dataclasses import dataclass

from worker.db.database import Database
from worker.db.queries import sql
from worker.feed.position import Feed
from worker.feed.reading import reading
from worker.parsing.durations import format_duration

MOST_COUNTED = 10_000
LONG = 60.0
"""Seconds from which a transaction that holds the feed back is worth a word."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A transaction that is open."""

    pid: int | None
    database: str
    application: str | None
    state: str | None
    prepared: str | None
    """The name of a prepared transaction."""
    seconds: float | None
    """None: this user may not see when it began."""

    def __str__(self) -> str:
        who = f"prepared transaction {self.prepared!r}" if self.pid is None else f"process {self.pid}"
        named = f" ({self.application})" if self.application else ""
        since = (
            "since when isn't ours to see" if self.seconds is None else f"for {format_duration(self.seconds)}"
        )
        return f"{who}{named} in database {self.database}, {since}"


@dataclass(frozen=True, slots=True)
class Status:
    """The feed, and what holds it back."""

    feed: Feed
    held_back: int
    """Changes that are committed and not served yet, up to `MOST_COUNTED`."""
    holders: list[Holder]
    """The oldest first."""

    @property
    def seconds(self) -> float:
        """For how long it has been held back, as far as we may know."""
        return max((h.seconds or 0.0 for h in self.holders), default=0.0)


def status(database: Database) -> Status:
    """How the feed is."""
    with reading(database) as (tx, feed):
        held = tx.execute(sql.held_back, {"most": MOST_COUNTED}, prepare=False).fetchone()
        rows = tx.execute(sql.holders).fetchall()
    holders = [Holder(**{name: row[name] for name in Holder.__slots__}) for row in rows]
    return Status(feed, held["changes"] if held else 0, holders)
