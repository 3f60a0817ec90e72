"""A system whose records lie in the past, which counts what it is asked; and a connection to it, whose runs are carried out
here and now.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.systems.inline import InlineRuns
from servers.systems.scripted import Asked, Said, Script, Scripted, scripted_source

from worker.config import load_settings
from worker.db.queries import sql
from worker.engine.history.slices import Slice, slice_of
from worker.engine.perform import carry_out
from worker.runs.states import Lane
from worker.services import Services

SIZE = 10
MANIFEST = """\
manifest: 1
system: mill
title: Mill
protocol: rest
base_url: "{base_url}"
settings: {base_url: {required: true, description: Where it lives.}}
defaults:
  records: data
  key: id
  version: version
  updated_at: at
  paging: {cursor: {param: cursor, path: next, size_param: limit, size: 10}}
streams:
  orders:
    path: /orders
    total: total
    single: {}
    filters: [site]
    incremental: {field: at, param: since, ordered: true, overlap: 1m}
  lots:
    path: /lots
    incremental: {field: at, param: since, until_param: until, overlap: 1m}
  sheds:
    path: /sheds
    incremental: {field: at, param: since, until_param: until, overlap: 1m, nulls: expect}
  bins:
    path: /bins
    paging: {offset: {param: cursor, limit_param: limit, size: 10}}
    incremental: {field: at, param: since, until_param: until, overlap: 1m}
  tags:
    path: /tags
    incremental: {field: at, param: since, overlap: 1m}
"""


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass
class Mill:
    """A system with records of the past, asked by time, and what it was asked."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    fails: set[int] = field(default_factory=set)
    """Numbers of requests that are answered with an error."""
    ordered: bool = True
    singles: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    """What is answered to a request for one record, where that isn't the record: status, kind and body."""
    paths: list[str] = field(default_factory=list)

    def put(self, key: str, at: datetime | None, **more: Any) -> None:
        version = self.records.get(key, {}).get("version", 0) + 1
        self.records[key] = {"id": key, "at": None if at is None else iso(at), "version": version} | more

    def __call__(self, asked: Asked) -> Said:
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}
        self.asked.append(query)
        path = urlsplit(asked.path).path
        self.paths.append(path)
        if len(self.asked) in self.fails:
            return Said(b'{"error": "out of order"}', 500)
        if path.count("/") > 1:
            return self._one(path.rpartition("/")[2])
        listed = sorted(self.records.values(), key=lambda each: (each["at"] or "", each["id"]))
        found = [
            each
            for each in (listed if self.ordered else sorted(listed, key=lambda each: each["id"]))
            if (each["at"] is None and not {"since", "until"} & query.keys())  # as databases compare
            or (each["at"] is not None and query.get("since", "") <= each["at"] <= query.get("until", "9"))
        ]
        if "site" in query:
            found = [each for each in found if each.get("site") == query["site"]]
        start, size = int(query.get("cursor", 0)), int(query["limit"])
        page = found[start : start + size]
        more = str(start + size) if start + size < len(found) else None
        return Said(json.dumps({"data": page, "total": len(found), "next": more}).encode())

    def _one(self, key: str) -> Said:
        if key in self.singles:
            status, kind, body = self.singles[key]
            return Said(body, status, {"Content-Type": kind})
        found = self.records.get(key)
        return Said(json.dumps(found or {"error": "no such record"}).encode(), 200 if found else 404)


@dataclass
class Works(InlineRuns):
    """A connection to the mill, whose runs are carried out here and now."""

    system: ClassVar = "mill"

    services: Services
    mill: Mill
    connection: int
    source: Scripted

    def serve(self, script: Script) -> None:
        """Let requests be answered by something else."""
        self.source.script = script

    def stream(self, name: str = "orders", *, history_days: int | None = None) -> int:
        return super().stream(name, history_days=history_days)

    def live(self, stream: int) -> UUID:
        run = self.request(stream)
        carry_out(self.services, run)
        return run

    def history(self, stream: int) -> UUID | None:
        """The history's run that waits or works."""
        row = self.services.database.one(sql.history_runs, {"stream": stream})
        return None if row is None else row["id"]

    def turn(self, stream: int, *, slice_: float = 60.0) -> None:
        """One claim of the history's run; it gives way after `slice_` seconds."""
        object.__setattr__(self.services.settings, "slice", slice_)
        run = self.history(stream)
        assert run is not None
        self.services.database.run("UPDATE runs SET not_before = now() WHERE track = 'history'")
        carry_out(self.services, run)
        object.__setattr__(self.services.settings, "slice", 60.0)

    def finish(self, stream: int) -> None:
        for _ in range(200):
            if self.history(stream) is None:
                return
            self.turn(stream)
        raise AssertionError("the history never ends")

    def slices(self, stream: int) -> list[Slice]:
        rows = self.services.database.all(sql.history_slices, {"stream": stream})
        return sorted(map(slice_of, rows), key=lambda each: each.until, reverse=True)

    def copy(self, stream: int) -> dict[str, dict[str, Any]]:
        rows = self.services.database.all(
            "SELECT key, raw FROM records WHERE stream_id = %(s)s AND deleted_at IS NULL", {"s": stream}
        )
        return {row["key"]: row["raw"] for row in rows}

    def row(self, stream: int) -> dict[str, Any]:
        row = self.services.database.one("SELECT * FROM streams WHERE id = %(s)s", {"s": stream})
        assert row is not None
        return dict(row)

    def resync(self, stream: int, lane: Lane = Lane.ON_DEMAND, **scope: Any) -> dict[str, Any]:
        """A re-sync to its end; what became of it."""
        run = self.request(stream, "records", lane=lane, cause="resync", **scope)
        for _ in range(50):
            carry_out(self.services, run)
            self.services.database.run("UPDATE runs SET not_before = now()")
            row = self.services.database.one("SELECT * FROM run_history WHERE id = %(r)s", {"r": run})
            if row is not None:
                return dict(row)
        raise AssertionError("the re-sync never ends")

    def follow(self, stream: int) -> dict[str, Any]:
        """One run for events of webhooks, which waits for nothing; how it ended, or stands."""
        run = self.request(stream, "events", lane=Lane.WEBHOOK, cause="webhook")
        self.services.database.run("UPDATE runs SET not_before = now() WHERE track = 'events'")
        carry_out(self.services, run)
        return self.outcome(run)

    def now(self) -> datetime:
        row = self.services.database.one("SELECT now() AS now")
        assert row is not None
        found: datetime = row["now"]
        return found


@contextmanager
def running_works(database_url: str, broker_url: str, folder: Path) -> Iterator[Works]:
    """The works and their mill, with a database of their own."""
    home = folder / "connectors" / "mill"
    home.mkdir(parents=True)
    (home / "manifest.yaml").write_text(MANIFEST)
    mill = Mill()
    with scripted_source(mill) as source:
        settings = load_settings(
            database_url=SecretStr(database_url),
            broker_url=SecretStr(broker_url),
            connectors=[folder / "connectors"],
            max_attempts=2,
        )
        services = Services.open(settings, name="test")
        with services.database.transaction() as tx:
            row = tx.execute(
                "INSERT INTO connections (name, system, settings) VALUES ('m', 'mill', %s) RETURNING id",
                (Jsonb({"base_url": source.base_url}),),
            ).fetchone()
        assert row is not None
        yield Works(services, mill, row["id"], source)
        services.close()


def past(works: Works, count: int, *, days: float) -> None:
    """So many records, evenly over the last days."""
    now = works.now()
    for number in range(count):
        works.mill.put(f"r{number:04}", now - timedelta(days=days * (number + 0.5) / count))


def is_whole(slices: Sequence[Slice]) -> bool:
    """Whether these cover one stretch of time without a gap."""
    ordered = sorted(slices, key=lambda each: each.until)
    return all(later.since is not None and later.since <= each.until for each, later in pairwise(ordered))
