"""Who keeps the views up to date? Rounds over all streams, a part of them at a time, each bounded in time.

A view is made when the first records of its stream are there, and anew when there are new fields, or when the manifest or
the connections file say something else. Several processes may do this at once: they lock what they work on. What can't be
done for one stream (a row wider than Postgres holds, say) is put off, and keeps no other from its turn.
Emits: views_put_off, store_put_off.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import structlog

from worker.connectors.registry import Registry
from worker.db.database import Database, sqlstate_of
from worker.db.queries import sql
from worker.errors import HeadraceError
from worker.views.make import drop_views, make_views
from worker.views.statements import BUSY, Transaction, ready, rows, run
from worker.views.stores import keep_store, tend_store
from worker.views.streams import Described, described_all
from worker.views.unified import drop_models, make_models, make_unions, note_mappings

log = structlog.get_logger()

PART = 1000
"""Streams that a round looks at."""
SECONDS = 5.0
"""For which a round goes on starting new work."""
REST = 600.0
"""For which what failed is left alone."""
COUNTED = 20
"""Streams whose records a round counts."""
AT_ONCE = 300
"""Streams whose views the command that applies a file makes itself; the rest are made by beat."""


class Tending:
    """The rounds of one process."""

    def __init__(
        self, database: Database, registry: Registry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.database = database
        self._registry = registry
        self._clock = clock
        self._after = 0
        self._rests: dict[tuple[str, object], float] = defaultdict(lambda: float("-inf"))

    def round(self) -> None:
        """Look at the next streams, and do what is to be done, for a few seconds."""
        until = self._clock() + SECONDS
        forget_gone(self.database)
        found = self.database.all(sql.streams_for_views, {"after": self._after, "limit": PART})
        self._after = found[-1]["id"] if len(found) == PART else 0
        known = described_all(self.database, found, self._registry)
        self._make([stream for row, stream in known if needs_views(row, stream)], until)
        for stream in [stream for row, stream in known if row["uncounted"]][:COUNTED]:
            self._try("store_put_off", stream, stream.id, partial(keep_store, self.database, stream))
        self._tend_stores(until)

    def _make(self, streams: Iterable[Described], until: float) -> None:
        listed = list(streams)
        if listed and not make_models(self.database, listed):
            return
        for stream in listed:
            if self._clock() >= until:
                return
            self._try("views_put_off", stream, stream.id, partial(make_views, self.database, stream))

    def _tend_stores(self, until: float) -> None:
        stores = [{**store, "id": store["stream_id"]} for store in self.database.all(sql.stores_to_tend)]
        for store, stream in described_all(self.database, stores, self._registry):
            batch = partial(tend_store, self.database, store, stream)
            while self._clock() < until and self._try("store_put_off", stream, store["table_name"], batch):
                pass

    def _try(self, event: str, stream: Described, what: object, work: Callable[[], bool]) -> bool:
        """Do it; False, too, where it can't be done. The words of Postgres may repeat a record, so they aren't logged."""
        if self._clock() < self._rests[event, what]:
            return False
        try:
            return work()
        except HeadraceError:
            raise  # Postgres is away, for all of them
        except Exception as exc:  # noqa: BLE001 - whatever it is, the others have their turn
            self._rests[event, what] = self._clock() + REST
            log.warning(event, stream_id=stream.id, kind=type(exc).__name__, sqlstate=sqlstate_of(exc))
            return False


def needs_views(row: Mapping[str, Any], stream: Described) -> bool:
    """Whether the views of a stream are to be made, or made anew. One that was never read has none yet."""
    if row["signature"] is None:
        return bool(row["has_been_read"]) and (row["problem"] is None or bool(row["rested"]))
    return (
        row["basis"] != stream.basis
        or bool(row["has_news"])
        or (row["problem"] is not None and bool(row["rested"]))
    )


def make_all(database: Database, registry: Registry, connections: Iterable[int] | None = None) -> bool:
    """The views of some connections, or of all, now. False if some are left for later."""
    given = {"connections": None if connections is None else list(connections)}
    found = database.all(sql.streams_of_connections_for_views, given)
    known = [stream for _, stream in described_all(database, found, registry)]
    note_mappings(database, known)
    done = make_models(database, known[:AT_ONCE])
    for stream in known[:AT_ONCE]:
        done = make_views(database, stream) and done
    if not known:
        with database.transaction() as tx:
            ready(tx)
            run(tx, sql.lock_models)
            make_unions(tx)
    return done and len(known) <= AT_ONCE


def forget_gone(database: Database) -> None:
    """Drop the views of streams that are no longer there: those that somebody read when their connection went."""
    gone = database.all(sql.views_without_streams)
    if gone:
        with database.transaction() as tx:
            _take(tx, gone)


def take_views(tx: Transaction, connections: Iterable[int]) -> None:
    """Drop the views of connections, in the caller's transaction. Those that somebody reads stay for `forget_gone`."""
    found = rows(tx, sql.views_of_connections, {"connections": list(connections)})
    if found:
        _take(tx, found)


def _take(tx: Transaction, gone: Iterable[Mapping[str, Any]]) -> None:
    streams = [row["stream_id"] for row in gone]
    connections = {row["connection_id"] for row in gone}
    try:
        with tx.transaction():
            ready(tx)
            run(tx, sql.lock_models)
            drop_models(tx, connections, streams)
            drop_views(tx, streams)
            run(tx, sql.forget_prefixes, {"connections": list(connections)})
    except BUSY:
        return
    run(tx, "SET LOCAL lock_timeout = DEFAULT")


def streams_of(database: Database, registry: Registry, connection: int) -> list[Described]:
    """The streams of one connection, as they are described."""
    found = database.all(sql.streams_of_connections_for_views, {"connections": [connection]})
    return [stream for _, stream in described_all(database, found, registry)]
