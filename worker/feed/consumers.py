"""Readers whose position is kept here, so that they need to remember nothing but their name.

A commit may go back, to read again; it can't go to where the feed has not come. Lag is counted over all changes, whatever
a reader wants of them: until it has looked at them, nobody knows.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import InvalidInput, NotFound
from worker.feed.position import Feed, Position, going_on, is_expired, parse_position
from worker.feed.reading import look, reading
from worker.parsing.documents import suggest

MOST_COUNTED = 10_000
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Consumer:
    """A reader and how far it is behind."""

    name: str
    position: Position
    created_at: datetime
    committed_at: datetime
    changes: int
    """Changes it has yet to read; `MOST_COUNTED` or more where it is that."""
    seconds: float | None
    """The age of the first of them."""
    expired: bool
    """It must begin again: deletions that it has not read were forgotten."""


def consumers(database: Database, name: str | None = None) -> list[Consumer]:
    """All readers, or the one of that name."""
    rows = database.all(sql.consumers, {"name": name})
    with reading(database) as (tx, feed):
        found = []
        for row in rows:
            position = parse_position(row["position"])
            lag = tx.execute(sql.behind, _from(position, feed), prepare=False).fetchone()
            assert lag is not None  # noqa: S101 - a count answers
            found.append(_consumer(row, position, lag, feed))
        return found


def find_consumer(database: Database, name: str) -> Consumer:
    """The reader of that name, or `NotFound` with the nearest one."""
    found = consumers(database, name)
    if not found:
        known = [row["name"] for row in database.all(sql.consumers, {"name": None})]
        raise NotFound(
            "unknown_consumer", f"There is no consumer {name!r}.", hint=suggest(name, known) or None
        )
    return found[0]


def position_of_consumer(database: Database, name: str) -> Position:
    """Where it goes on. Raises `NotFound`."""
    rows = database.all(sql.consumers, {"name": name})
    return parse_position(rows[0]["position"]) if rows else find_consumer(database, name).position


def create_consumer(database: Database, name: str, position: Position | None = None) -> None:
    """A reader that begins at a position, else at the beginning. One that is there stays as it is."""
    start = look(database).snapshot if position is None else position
    database.run(sql.create_consumer, {"name": _named(name), "position": str(start)})


def commit(database: Database, name: str, position: Position) -> None:
    """Remember that it has read up to here; it is made if it isn't there. Raises `InvalidInput`."""
    going_on(position, look(database))
    database.run(sql.commit_consumer, {"name": _named(name), "position": str(position)})


def delete_consumer(database: Database, name: str) -> None:
    """Forget it. Raises `NotFound`."""
    if not database.run(sql.delete_consumer, {"name": name}):
        find_consumer(database, name)


def _named(name: str) -> str:
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidInput(
            "bad_name",
            "A consumer's name is 1 to 200 printable characters.",
            hint="Take the name of the program that reads.",
        )
    return name


def _from(position: Position, feed: Feed) -> dict[str, object]:
    here = position.place if position.place.epoch == feed.epoch else feed.snapshot.place
    return {"xid": str(here.xid), "seq": here.seq, "most": MOST_COUNTED}


def _consumer(row: DictRow, position: Position, lag: DictRow, feed: Feed) -> Consumer:
    return Consumer(
        name=row["name"],
        position=position,
        created_at=row["created_at"],
        committed_at=row["committed_at"],
        changes=lag["changes"],
        seconds=lag["seconds"],
        expired=is_expired(position, feed),
    )
