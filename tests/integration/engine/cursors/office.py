"""An office with a list of things that it says as a test wants, and a connection to it whose runs are carried out here."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import xxhash
from psycopg.types.json import Jsonb
from servers.systems.inline import InlineRuns
from servers.systems.scripted import Asked, Said, Scripted

from scheduler.runs.cursors import CursorState, cursors_of
from worker.engine.perform import carry_out
from worker.services import Services

MANIFEST = """\
manifest: 1
system: office
title: Office
protocol: rest
base_url: "{base_url}"
settings: {base_url: {required: true, description: Where it lives.}}
limits: {concurrency: 4}
defaults: {records: items, key: id, path: /things, total: total}
streams:
  timed: {incremental: {field: at, param: since, overlap: 5m}}
  timed_pages: {incremental: {field: at, param: since, overlap: 5m}, paging: {offset: {param: offset, limit_param: limit, size: 10}}}
  counted: {incremental: {field: n, kind: number, param: above}, paging: {offset: {param: offset, limit_param: limit, size: 10}}}
  strict: {incremental: {field: at, param: since, nulls: reject}}
  synced: {incremental: {kind: token, token: delta, param: delta}}
  tagged: {incremental: {kind: token, token: {header: ETag}, header: If-None-Match}}
  by_offset: {paging: {offset: {param: offset, limit_param: limit, size: 10}}}
  one_by_one: {paging: {offset: {param: offset, limit_param: limit, size: 10, side_by_side: false}}}
  by_page: {paging: {page: {param: page, size_param: limit, size: 20}}}
"""
DEMO = """\
manifest: 1
system: demo_by_place
title: Demo by its places
protocol: rest
base_url: "{base_url}"
settings: {base_url: {required: true, description: Where it lives.}}
secrets: {token: {description: Its token.}}
auth: {bearer: {secret: token}}
request: {params: {include_deleted: "true"}}
limits: {concurrency: 4}
defaults: {records: data, key: id, path: /api/v1/work_orders, total: total, version: updated_at, deleted: deleted_at}
streams:
  by_offset: {paging: {offset: {param: offset, limit_param: limit, size: 50}}}
  by_page: {paging: {page: {param: page, size_param: per_page, size: 50}}}
"""


def said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@dataclass
class Office:
    """A list of things, in the order in which they lie there; `between` may change it before a request is answered."""

    things: list[dict[str, Any]] = field(default_factory=list)
    between: Callable[["Office"], None] = lambda _office: None
    refuses: Callable[[dict[str, str]], Said | None] = lambda _query: None
    ahead: float | None = None
    """By how much its clock is ahead, as its Date header says."""
    tokens: list[str] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    def put(self, key: int, at: datetime | None = None, **more: Any) -> None:
        self.things = [thing for thing in self.things if thing["id"] != key]
        self.things.append({"id": key, "at": None if at is None else said(at), **more})

    def delete(self, key: int) -> None:
        self.things = [thing for thing in self.things if thing["id"] != key]

    def __call__(self, asked: Asked) -> Said:
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}
        self.asked.append(query)
        if (refusal := self.refuses(query)) is not None:
            return refusal
        self.between(self)
        found = self.things
        if "since" in query:
            found = [thing for thing in found if thing["at"] is None or thing["at"] >= query["since"]]
        if "above" in query:
            found = [thing for thing in found if thing["n"] >= int(query["above"])]
        if "limit" in query:
            size = int(query["limit"])
            begin = int(query["offset"]) if "offset" in query else (int(query["page"]) - 1) * size
            found = found[begin : begin + size]
        body = {"items": found, "total": len(self.things), "delta": self.tokens[-1] if self.tokens else None}
        headers = {"Content-Type": "application/json"}
        if self.ahead is not None:
            shown = datetime.now(UTC) + timedelta(seconds=self.ahead)
            headers["Date"] = format_datetime(shown.replace(microsecond=0), usegmt=True)
        content = json.dumps(body).encode()
        headers["ETag"] = f'"{xxhash.xxh3_64_hexdigest(content)}"'
        if asked.headers.get("if-none-match") == headers["ETag"]:
            return Said(status=304, headers=headers)
        return Said(content, headers=headers)


@dataclass
class Bench(InlineRuns):
    """One connection to the office, whose runs are carried out here."""

    system: ClassVar = "office"

    services: Services
    source: Scripted
    office: Office
    connection: int

    def stream(self, name: str, **options: Any) -> int:
        row = self.services.database.one(
            "INSERT INTO streams (connection_id, name, bucket, schedule, history_done_at, options)"
            " VALUES (%(c)s, %(name)s, 3, '{\"every\": 60}', now(), %(options)s) RETURNING id",
            {"c": self.connection, "name": name, "options": Jsonb(options)},
        )
        assert row is not None
        return int(row["id"])

    def sync(self, stream: int) -> dict[str, Any]:
        return self.carry_out(self.request(stream))

    def carry_out(self, run: UUID) -> dict[str, Any]:
        self.services.database.run("UPDATE runs SET not_before = now() WHERE id = %(run)s", {"run": run})
        carry_out(self.services, run)
        return self.outcome(run)

    def row(self, statement: str, **params: Any) -> dict[str, Any]:
        row = self.services.database.one(statement, params)
        assert row is not None
        return dict(row)

    def keys(self, stream: int) -> set[int]:
        rows = self.services.database.all(
            "SELECT key FROM records WHERE stream_id = %(s)s AND deleted_at IS NULL", {"s": stream}
        )
        return {int(row["key"]) for row in rows}

    def state(self, name: str) -> CursorState:
        connection = {"id": self.connection, "name": "o"}
        (state,) = cursors_of(self.services.database, self.services.registry, connection, name)
        return state
