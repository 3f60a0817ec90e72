"""The copy of a source, and the hand that makes it: the engine carries out runs here and now, and dies where it is told to.

Nothing of a worker is left out but Celery: runs are requested, claimed, fenced, given back and rescued by the real ledger.
What would be waiting is hurried on, so no test sleeps.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.valkey import empty

from worker.config import load_settings
from worker.engine.loading import sift
from worker.engine.perform import carry_on, carry_out
from worker.feed.position import Position
from worker.feed.reading import Wanted, read_changes
from worker.runs.claim import claim_run
from worker.runs.request import request_run
from worker.runs.rescue import rescue_lapsed
from worker.runs.states import Lane
from worker.services import Services

from .crash import Crash

ROUNDS = 40
"""So many runs in a row that a quiet source can owe; more means that they come back for ever."""
BUCKET = 5
FEW, FEW_CHANGED = sift.FEW, sift.FEW_CHANGED
PATIENCE = 9
"""Attempts before a run fails: more than a test's faults, so that most runs live through them."""


@dataclass
class Mirror:
    """A connection to a source, and what Headrace holds of it."""

    services: Services
    broker_url: str
    system: str
    connection: int = 0
    streams: dict[str, int] = field(default_factory=dict)

    def connect(self, secrets: Mapping[str, str], /, **settings: str) -> None:
        """A new connection with all streams of the system and nothing fetched yet; what was open before is dropped."""
        self.streams = {}
        empty(self.broker_url)
        names = self.services.registry.get(self.system).stream_names
        with self.services.database.transaction() as tx:
            tx.execute("DELETE FROM runs")
            tx.execute("UPDATE streams SET enabled = false, next_run_at = NULL")
            tx.execute("UPDATE connections SET name = 'past ' || id WHERE name = 'plant'")
            row = tx.execute(
                "INSERT INTO connections (name, system, settings, secrets) VALUES ('plant', %s, %s, %s) RETURNING id",
                (self.system, Jsonb(settings), Jsonb(dict(secrets))),
            ).fetchone()
            assert row is not None
            self.connection = row["id"]
            for name in names:
                stream = tx.execute(
                    "INSERT INTO streams (connection_id, name, bucket, schedule)"
                    " VALUES (%s, %s, %s, '{\"every\": 900}') RETURNING id",
                    (self.connection, name, BUCKET),
                ).fetchone()
                assert stream is not None
                self.streams[name] = stream["id"]

    def load_as(self, *, few: int, versions: bool) -> None:
        """Up to so many records are loaded in one statement, and more in the ways of large pages; with versions or without."""
        sift.FEW, sift.FEW_CHANGED = few, 0 if few == 0 else FEW_CHANGED
        self.services.database.run(
            "UPDATE streams SET options = %(options)s WHERE id = ANY (%(ids)s)",
            {
                "options": Jsonb({"keep_versions": 86_400.0} if versions else {}),
                "ids": list(self.streams.values()),
            },
        )

    # Runs

    def request(
        self,
        name: str,
        *,
        track: str = "live",
        lane: Lane = Lane.ON_DEMAND,
        scope: Mapping[str, Any] | None = None,
    ) -> UUID:
        with self.services.database.transaction() as tx:
            return request_run(
                tx,
                stream_id=self.streams[name],
                system=self.system,
                lane=lane,
                cause="sweep" if track == "sweep" else "cli",
                request_id="r",
                track=track,
                scope=scope,
            ).id

    def carry_out(self, run: UUID) -> None:
        """As a worker does, or as one does that dies on the way; then its run is rescued."""
        try:
            alone = carry_out(self.services, run)
            if alone is not None:  # what ended two workers goes on in a process of its own
                carry_on(self.services, alone)
        except Crash:
            self.rescue()

    def do(self, name: str, *, track: str = "live", **more: Any) -> None:
        """Ask for a run and carry it out; what it leads to stays open."""
        self.carry_out(self.request(name, track=track, **more))

    def abandon(self, name: str, *, track: str = "live") -> None:
        """Claim a run and never be heard of again."""
        if claim_run(self.services.database, self.request(name, track=track), worker="gone:1", lease=90):
            self.rescue()

    def rescue(self) -> None:
        """As if every lease had lapsed: who still works on a run has lost it."""
        self.services.database.run("UPDATE runs SET lease_until = now() WHERE state = 'running'")
        rescue_lapsed(self.services.database, max_attempts=PATIENCE)

    def open_runs(self) -> list[UUID]:
        """All that wait, as if their time had come."""
        empty(self.broker_url)  # budgets and breakers forget what held them
        self.services.database.run(
            "UPDATE runs SET not_before = now() WHERE state = 'queued' AND not_before > now()"
        )
        rows = self.services.database.all("SELECT id FROM runs WHERE state = 'queued' ORDER BY lane, id")
        return [row["id"] for row in rows]

    def finish(self) -> None:
        """Carry out whatever is open, until nothing is."""
        self.rescue()
        for _ in range(ROUNDS):
            if not (runs := self.open_runs()):
                return
            for run in runs:
                self.carry_out(run)
        raise AssertionError(f"runs come back for ever: {self.services.database.all('SELECT * FROM runs')}")

    # What is there

    def rows(self, name: str) -> dict[str, DictRow]:
        found = self.services.database.all(
            "SELECT key, raw::text AS raw, deleted_at, delete_reason, version, change_kind, change_seq,"
            " change_xid::text::numeric AS change_xid FROM records WHERE bucket = %(bucket)s AND stream_id = %(stream)s",
            {"bucket": BUCKET, "stream": self.streams[name]},
        )
        return {row["key"]: row for row in found}

    def copy(self, name: str) -> dict[str, Any]:
        """The records that are there, as they were sent."""
        return {
            key: json.loads(row["raw"]) for key, row in self.rows(name).items() if row["deleted_at"] is None
        }

    def drift(self, name: str) -> int | None:
        """How many differences the last comparison found; None: nothing was compared."""
        row = self.services.database.one(
            "SELECT drift FROM streams WHERE id = %(stream)s", {"stream": self.streams[name]}
        )
        assert row is not None
        found: int | None = row["drift"]
        return found

    def ended(self, name: str) -> list[DictRow]:
        return self.services.database.all(
            "SELECT * FROM run_history WHERE stream_id = %(stream)s ORDER BY finished_at, id",
            {"stream": self.streams[name]},
        )


class FeedReader:
    """Somebody who follows the feed of a connection, a few changes at a time, and believes what it says."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._position: Position | None = None
        self._knows: dict[tuple[int, str], Any] = {}

    def read(self) -> bool:
        """One page; whether there is more."""
        streams = list(self._mirror.streams.values())
        page = read_changes(
            self._mirror.services.database, self._position, Wanted(streams=streams, buckets=[BUCKET]), limit=3
        )
        for change in page.changes:
            gone = change["deleted_at"] is not None
            self._knows[change["stream_id"], change["key"]] = None if gone else json.loads(change["raw"])
        self._position = page.next
        return page.more

    def catch_up(self) -> None:
        while self.read():
            pass

    def of(self, name: str) -> dict[str, Any]:
        """What is there of a stream, as far as this reader knows."""
        stream = self._mirror.streams[name]
        return {key: value for (of, key), value in self._knows.items() if of == stream and value is not None}


@contextmanager
def opened_mirror(database_url: str, broker_url: str, systems: Path, system: str) -> Iterator[Mirror]:
    """The parts of a worker, without limits to wait for."""
    settings = load_settings(
        database_url=SecretStr(database_url),
        broker_url=SecretStr(broker_url),
        connectors=(systems,),
        short_wait=0.0,
        max_attempts=PATIENCE,
        side_by_side=1,
        request_timeout=5,
    )
    services = Services.open(settings, name="test")
    assert not services.registry.problems()
    try:
        yield Mirror(services, broker_url, system)
    finally:
        sift.FEW, sift.FEW_CHANGED = FEW, FEW_CHANGED
        services.close()
