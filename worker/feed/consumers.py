"""Readers whose position is kept here, so that they need to remember nothing but their name.

A commit may go back, to read again; it can't go to where the feed has not come. Lag is counted over all changes, whatever
a reader wants of them: until it has looked at them, nobody knows. Of what its maker doesn't see, nothing is counted.

Whoever sees something else has readers of his own: `view` is what whoever asks sees (`worker.feed.spaces`). Whoever sees
everything, the command line, also reaches those of others, where only one has the name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import InvalidInput, NotFound
from worker.feed.position import Feed, Position, going_on, is_expired, parse_position
from worker.feed.reading import look, reading
from worker.feed.spaces import EVERYTHING, View, given_name, kept_name, space_of
from worker.parsing.wording import suggest

MOST_COUNTED = 10_000
FEWEST_COUNTED = 1_000
"""Where many are listed, each is counted to no more than this."""
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Consumer:
    """A reader and how far it is behind."""

    name: str
    position: Position
    created_at: datetime
    committed_at: datetime
    changes: int
    """Changes it has yet to read, among the next `MOST_COUNTED`."""
    seconds: float | None
    """The age of the first of them."""
    expired: bool
    """It must begin again: deletions that it has not read were forgotten."""
    counted_up: bool = False
    """There are more to look at, which may hold more."""
    view: View = field(default_factory=dict)
    """What its maker sees: environment, tenants, connections."""


def consumers(
    database: Database, view: View = EVERYTHING, *, after: str = "", limit: int | None = None
) -> list[Consumer]:
    """The readers of whoever sees this, by name from behind `after`; all, of whoever sees everything."""
    return _read(database, _rows(database, view, after=after, limit=limit))


def find_consumer(database: Database, name: str, view: View = EVERYTHING) -> Consumer:
    """The reader of that name, or `NotFound` with the nearest one."""
    return _read(database, [_row(database, name, view)])[0]


def position_of_consumer(database: Database, name: str, view: View = EVERYTHING) -> Position:
    """Where it goes on. Raises `NotFound`."""
    return parse_position(_row(database, name, view)["position"])


def create_consumer(
    database: Database, name: str, position: Position | None = None, view: View = EVERYTHING
) -> None:
    """A reader that begins at a position, else at the beginning. One that is there stays as it is."""
    start = look(database).snapshot if position is None else position
    database.run(sql.create_consumer, _params(name, start, view))


def commit(database: Database, name: str, position: Position, view: View = EVERYTHING) -> None:
    """Remember that it has read up to here; it is made if it isn't there. Raises `InvalidInput`."""
    going_on(position, look(database))
    database.run(sql.commit_consumer, _params(name, position, view))


def delete_consumer(database: Database, name: str, view: View = EVERYTHING) -> None:
    """Forget it. Raises `NotFound`."""
    database.run(sql.delete_consumer, {"name": _row(database, name, view)["name"]})


def _rows(
    database: Database, view: View, name: str | None = None, *, after: str = "", limit: int | None = None
) -> list[DictRow]:
    space = None if view == EVERYTHING and name is None else space_of(view)
    kept = None if name is None else kept_name(space_of(view), name.replace("\0", ""))
    behind = kept_name(space or "", after) if after else ""
    return database.filtered(sql.consumers, {"name": kept, "space": space, "after": behind, "limit": limit})


def _row(database: Database, name: str, view: View) -> DictRow:
    if found := _rows(database, view, name):
        return found[0]
    known = _rows(database, view)
    same = [row for row in known if given_name(row["name"]) == name]
    if len(same) > 1:
        raise InvalidInput("ambiguous_consumer", f"Several tokens have a consumer {name!r} of their own.")
    if same:
        return same[0]
    names = [given_name(row["name"]) for row in known]
    raise NotFound("unknown_consumer", f"There is no consumer {name!r}.", hint=suggest(name, names) or None)


def _read(database: Database, rows: Sequence[DictRow]) -> list[Consumer]:
    most = max(FEWEST_COUNTED, MOST_COUNTED // max(1, len(rows)))
    positions = [parse_position(row["position"]) for row in rows]
    with reading(database) as (tx, feed):
        readers = [
            {"number": number, **_from(position, feed), **_limits(row)}
            for number, (row, position) in enumerate(zip(rows, positions, strict=True))
        ]
        asked = {"readers": Jsonb(readers), "most": most}
        lags = tx.execute(sql.behind, asked, prepare=False).fetchall()
        return [
            _consumer(row, position, lag, feed, counted_up=lag["looked_at"] >= most)
            for row, position, lag in zip(rows, positions, lags, strict=True)
        ]


def _limits(row: Mapping[str, Any]) -> dict[str, Any]:
    limits = {name: row[name] for name in ("environment", "tenants", "connections")}
    return limits | {"everything": not any(value is not None for value in limits.values())}


def _params(name: str, position: Position, view: View) -> dict[str, Any]:
    return {**view, "name": kept_name(space_of(view), _named(name)), "position": str(position)}


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
    return {"xid": str(here.xid), "seq": here.seq}


def _consumer(row: DictRow, position: Position, lag: DictRow, feed: Feed, *, counted_up: bool) -> Consumer:
    return Consumer(
        name=given_name(row["name"]),
        position=position,
        created_at=row["created_at"],
        committed_at=row["committed_at"],
        changes=lag["changes"],
        seconds=lag["seconds"],
        expired=is_expired(position, feed),
        counted_up=counted_up,
        view={name: row[name] for name in ("environment", "tenants", "connections")},
    )
