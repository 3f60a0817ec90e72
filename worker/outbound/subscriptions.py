"""Who is told of what? Subscriptions as rows: made, listed, paused, set back.

A subscription begins at the end of the feed unless told otherwise. Resuming one goes on where it was; what happened since
is delivered, the latest state of each record once.

`view` is what whoever asks sees (`worker.feed.spaces`): a subscription is there for whoever sees all that it may tell of.
Its name is one among those of whoever sees the same as its maker; for others its number says which is meant.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import InvalidInput, NotFound
from worker.feed.position import Position, is_expired, parse_position
from worker.feed.reading import KINDS, look
from worker.feed.spaces import EVERYTHING, View, given_name, kept_name, space_in, space_of
from worker.outbound.address import read_target
from worker.parsing.wording import suggest
from worker.secrets import parse_reference

Noting = Callable[[psycopg.Connection[DictRow]], None]
"""Writes down, in the same transaction, who wanted it."""

LONGEST_NAME = 200
MARGIN = timedelta(minutes=15)
"""A page is committed so long after its request at the latest, so that what changed since a time may look older."""


def add_subscription(
    database: Database,
    name: str,
    url: str,
    secret: str,
    *,
    connection_id: int | None = None,
    stream: str | None = None,
    kinds: Sequence[str] | None = None,
    position: Position | None = None,
    view: View = EVERYTHING,
    space: str = "",
    noting: Noting | None = None,
) -> int:
    """Tell this URL of changes of what `view` shows from here on; its number. `space` is that of the name. Raises `InvalidInput`, without repeating a URL or secret that is wrong."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidInput(
            "bad_name", "A subscription's name is 1 to 200 printable characters.", place="name"
        )
    if unknown := {*(kinds or ())} - {*KINDS}:
        raise InvalidInput(
            "bad_kind", f"{min(unknown)!r} is no kind; kinds are {', '.join(KINDS)}.", place="kinds"
        )
    read_target(url, place="url")
    parse_reference(secret, name="secret")
    params = {
        **view,
        "name": kept_name(space, name),
        "url": url,
        "secret": secret,
        "connection": connection_id,
        "stream": stream,
        "kinds": list(kinds) if kinds else None,
        "position": str(position or look(database).latest),
    }
    with database.transaction() as tx:
        made = tx.execute(sql.add_subscription, params).fetchone()
        if made is None:
            raise InvalidInput("name_taken", f"There is a subscription {name!r} already.", place="name")
        if noting is not None:
            noting(tx)
    return int(made["id"])


def subscriptions(
    database: Database,
    view: View = EVERYTHING,
    *,
    connection_id: int | None = None,
    tenant: str | None = None,
    after: tuple[str, str] = ("", ""),
    limit: int | None = None,
) -> list[DictRow]:
    """All that are there for whoever sees this, each with what waits by itself; from behind a name and its space.

    `connection_id`, `tenant` and the labels of the view narrow them to those that tell of nothing else.
    """
    asked = {"of": connection_id, "tenant": tenant, "limit": limit, "after_given": after[0]}
    asked["after_name"] = kept_name(after[1], after[0]) if after[0] else ""
    rows = database.filtered(sql.subscriptions, {**view, **asked})
    return [{**row, "name": given_name(row["name"]), "space": space_in(row["name"])} for row in rows]


def find_subscription(database: Database, name: str, view: View = EVERYTHING) -> DictRow:
    """The one of that name, else of that number, or `NotFound` with the nearest one."""
    rows = subscriptions(database, view)
    named = [row for row in rows if row["name"] == name]
    own = [row for row in named if row["space"] == space_of(view)]
    if found := own or named or [row for row in rows if str(row["id"]) == name]:
        if len(found) > 1:
            numbers = ", ".join(str(row["id"]) for row in found)
            raise InvalidInput(
                "ambiguous_subscription",
                f"Several tokens have a subscription {name!r}.",
                hint=f"Give its number: {numbers}.",
            )
        return found[0]
    hint = suggest(name, [row["name"] for row in rows]) or None
    raise NotFound("unknown_subscription", f"There is no subscription {name!r}.", hint=hint)


def pause_subscription(
    database: Database, name: str, view: View = EVERYTHING, *, noting: Noting | None = None
) -> None:
    """Deliver nothing until it is resumed."""
    row = find_subscription(database, name, view)
    _change(database, sql.pause_subscription, {"id": row["id"]}, noting)


def resume_subscription(
    database: Database, name: str, view: View = EVERYTHING, *, noting: Noting | None = None
) -> None:
    """Go on, also with one that was disabled. Raises `InvalidInput` where it is behind the end of the feed."""
    row = find_subscription(database, name, view)
    if is_expired(parse_position(row["position"]), look(database)):
        raise InvalidInput(
            "position_expired",
            f"{name} has not been told of deletions that were forgotten since.",
            hint=f"Let it begin again with `headrace subscriptions replay {name}`, and clear what its receiver holds.",
        )
    _change(database, sql.resume_subscription, {"id": row["id"]}, noting)


def replay_subscription(
    database: Database,
    name: str,
    since: datetime | None,
    view: View = EVERYTHING,
    *,
    noting: Noting | None = None,
) -> None:
    """Deliver once more what changed since then, the latest state of each record; without a time, all records."""
    row = find_subscription(database, name, view)
    begin = None if since is None else _margin_before(since)
    feed = look(database)
    position = parse_position(row["position"])
    bounded = since is not None and position.place.epoch == feed.epoch and not is_expired(position, feed)
    params: dict[str, Any] = {
        "id": row["id"],
        "position": str(feed.snapshot),
        "since": begin if bounded else None,
        "until": str(position) if bounded else None,
    }
    _change(database, sql.replay_subscription, params, noting)


def _margin_before(since: datetime) -> datetime:
    try:
        return since.astimezone(UTC) - MARGIN
    except OverflowError:  # in UTC, it is of no year that there is
        raise InvalidInput("bad_time", "Nothing changed at such a time.", place="since") from None


def remove_subscription(
    database: Database, name: str, view: View = EVERYTHING, *, noting: Noting | None = None
) -> None:
    """Forget it, with all that waits for it."""
    row = find_subscription(database, name, view)
    _change(database, sql.remove_subscription, {"id": row["id"]}, noting)


def _change(database: Database, statement: str, params: Mapping[str, Any], noting: Noting | None) -> None:
    with database.transaction() as tx:
        tx.execute(statement, params)
        if noting is not None:
            noting(tx)
