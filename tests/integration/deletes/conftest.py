"""A store whose records vanish without a word, and a connection to it whose runs are carried out here and now."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.systems.inline import InlineRuns
from servers.systems.scripted import Asked, Said, Scripted, scripted_source

from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.services import Services

SIZE = 10
MANIFEST = """\
manifest: 1
system: store
title: Store
protocol: rest
base_url: "{base_url}"
settings:
  base_url: {required: true, description: Where it lives.}
  keeps_a_list: {type: boolean, default: false, description: It keeps a list of deletes.}
defaults:
  records: data
  total: total
  key: id
  updated_at: at
  incremental: {field: at, param: since, overlap: 1m}
  paging: {offset: {param: offset, limit_param: limit, size: 10}}
  deletes: {sweep: {params: {fields: id}}}
streams:
  orders:
    path: /orders
    single: {record: data}
  parts:
    path: /parts
  lots:
    path: /lots
    single: {record: data}
    deleted: closed
    deletes:
      removed: {field: "@removed", key: id}
      tombstones:
        path: /gone
        records: data
        key: order
        incremental: {field: at, param: since, overlap: 1h}
        setting: keeps_a_list
  lines:
    explode: {of: lots, path: lines, parent: {lot: id, changed: at}, by: lot}
    key: [lot, "no"]
    updated_at: changed
  rows:
    explode: {of: lots, path: data, parent: {lot: id, changed: at}, by: lot}
    detail: {concurrency: 3}
    single: {path: "/lots/{key}/rows", params: {}}
    key: [lot, "no"]
    updated_at: changed
  tickets:
    path: /tickets
    params: {fields: id}
    detail: {concurrency: 3}
    single: {record: data, params: {}}
  pallets:
    path: /pallets
    deletes: {sweep: false}
"""
Rows = dict[str, dict[str, Any]]


@dataclass
class Store:
    """The system: what is there, and how it lies about it."""

    records: Rows = field(default_factory=dict)
    gone: list[dict[str, Any]] = field(default_factory=list)
    """Its own list of deletes."""
    asked: list[str] = field(default_factory=list)
    listing: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = list
    """What a sweep is shown of it."""
    total: Callable[[int], int] = int
    singles: Callable[[str], Said | None] = lambda _: None
    """What is said to a question for one record; None: the truth."""
    between: Callable[[int], None] = lambda _: None
    """What happens before the page of that number."""
    broken_pages: set[int] = field(default_factory=set)

    def put(self, *keys: str, **more: Any) -> None:
        for key in keys:
            self.records[key] = {"id": key, "at": _now()} | more

    def drop(self, *keys: str) -> None:
        for key in keys:
            del self.records[key]

    def __call__(self, asked: Asked) -> Said:
        address = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.asked.append(asked.path)
        if address.path == "/gone":
            return _page([row for row in self.gone if row["at"] >= query.get("since", "")], query)
        if address.path.endswith("/rows"):
            return self._single(unquote(address.path.split("/")[2]), "lines")
        if address.path.count("/") > 1:
            return self._single(unquote(address.path.rsplit("/", 1)[1]))
        return self._list(query)

    def _list(self, query: Mapping[str, str]) -> Said:
        page = int(query.get("offset", 0)) // SIZE + 1
        self.between(page)
        if page in self.broken_pages:
            return Said(b'{"error": "out of order"}', 500)
        found = [row for row in self.records.values() if row["at"] >= query.get("since", "")]
        found.sort(key=lambda row: row["id"])
        total = None
        if query.get("fields") == "id":
            total = self.total(len(found))
            found = self.listing(found)
        return _page(found, query, total)

    def _single(self, key: str, below: str | None = None) -> Said:
        said = self.singles(key)
        if said is not None:
            return said
        row = self.records.get(key)
        if row is None:
            return Said(b"{}", 404)
        return Said(json.dumps({"data": row[below] if below else row}).encode())


def _page(found: list[dict[str, Any]], query: Mapping[str, str], total: int | None = None) -> Said:
    start = int(query.get("offset", 0))
    rows: list[Any] = found[start : start + int(query["limit"])]
    if query.get("fields") == "id":
        rows = [{"id": row["id"]} if isinstance(row, dict) and "id" in row else row for row in rows]
    return Said(json.dumps({"data": rows, "total": len(found) if total is None else total}).encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass
class Desk(InlineRuns):
    """A connection to the store."""

    system: ClassVar = "store"

    services: Services
    store: Store
    source: Scripted
    connection: int

    def stream(self, name: str = "orders", **options: Any) -> int:
        row = self.one(
            "INSERT INTO streams (connection_id, name, bucket, schedule, next_run_at, options)"
            " VALUES (%(c)s, %(n)s, 3, '{\"every\": 60}', now(), %(o)s) RETURNING id",
            c=self.connection,
            n=name,
            o=Jsonb(options),
        )
        found: int = row["id"]
        return found

    def synced(self, count: int = 40, name: str = "orders", **options: Any) -> int:
        """A stream with so many records, all in the copy."""
        self.store.put(*(f"r{number:04}" for number in range(count)))
        stream = self.stream(name, **options)
        self.run(stream)
        self.carry_out_ready()
        assert len(self.copy(stream)) == len(self.store.records)
        return stream

    def run(self, stream: int, track: str = "live", **scope: Any) -> dict[str, Any]:
        """Carry one run out, and say how it ended or waits."""
        run = self.request(stream, track, **scope)
        carry_out(self.services, run)
        return self.outcome(run)

    def sweep(self, stream: int) -> dict[str, Any]:
        return self.run(stream, "sweep")

    def copy(self, stream: int) -> set[str]:
        """The keys of what isn't deleted."""
        rows = self.all("SELECT key FROM records WHERE stream_id = %(s)s AND deleted_at IS NULL", s=stream)
        return {row["key"] for row in rows}

    def tombstones(self, stream: int) -> dict[str, str]:
        """Keys and reasons of what is."""
        rows = self.all(
            "SELECT key, delete_reason FROM records WHERE stream_id = %(s)s AND deleted_at IS NOT NULL",
            s=stream,
        )
        return {row["key"]: row["delete_reason"] for row in rows}

    def suspects(self, stream: int) -> dict[str, int]:
        rows = self.all("SELECT key, missed FROM suspects WHERE stream_id = %(s)s", s=stream)
        return {row["key"]: row["missed"] for row in rows}

    def last_sweep(self, stream: int) -> dict[str, Any]:
        return self.one(
            "SELECT * FROM sweeps WHERE stream_id = %(s)s ORDER BY generation DESC LIMIT 1", s=stream
        )

    def row(self, stream: int) -> dict[str, Any]:
        return self.one(
            "SELECT *, next_sweep_at - now() AS sweeps_in FROM streams WHERE id = %(s)s", s=stream
        )

    def all(self, statement: str, **params: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self.services.database.all(statement, params)]

    def one(self, statement: str, **params: Any) -> dict[str, Any]:
        (row,) = self.all(statement, **params)
        return row

    def do(self, statement: str, **params: Any) -> None:
        self.services.database.run(statement, params)


@pytest.fixture
def desk(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "connectors" / "store"
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_text(MANIFEST)
    store = Store()
    with scripted_source(store) as source:
        settings = load_settings(
            database_url=SecretStr(database_url),
            broker_url=SecretStr(broker_url),
            connectors=[tmp_path / "connectors"],
            max_attempts=2,
        )
        services = Services.open(settings, name="test")
        row = services.database.one(
            "INSERT INTO connections (name, system, settings) VALUES ('plant', 'store', %(s)s) RETURNING id",
            {"s": Jsonb({"base_url": source.base_url, "keeps_a_list": True})},
        )
        assert row is not None
        yield Desk(services, store, source, row["id"])
        services.close()


def hiding(desk: Desk, *keys: str) -> None:
    """From now on sweeps aren't shown these, and the total doesn't count them."""
    desk.store.listing = lambda rows: [row for row in rows if row["id"] not in keys]
    desk.store.total = lambda count: count - len(set(keys) & desk.store.records.keys())
