"""Connections in a real database, as the tests of the connections file make and read them."""

import json
import threading
from typing import Any

from scheduler.connections.apply import apply
from scheduler.connections.plan import Plan
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.parsing.documents import read_document

REGISTRY = Registry.load()
STREAMS = len(REGISTRY.get("demo").stream_names)


def plant(which: str = "north", /, **fields: Any) -> dict[str, Any]:
    """A connection of the file, complete but for what a test is about."""
    return {
        "id": f"plant-{which}",
        "name": f"Plant {which}",
        "system": "demo",
        "settings": {"base_url": "http://127.0.0.1:9"},
        "secrets": {"token": "env://DEMO_TOKEN"},
        "history": "90d",
        **fields,
    }


def applied(database: Database, *connections: dict[str, Any], **flags: bool) -> Plan:
    return applied_text(database, json.dumps({"version": 1, "connections": connections}, indent=1), **flags)


def applied_text(database: Database, text: str, **flags: bool) -> Plan:
    return apply(database, REGISTRY, read_document(text.encode(), "connections.yaml"), **flags)


def kinds(plan: Plan) -> list[tuple[str, str | None]]:
    return [(change.kind, change.stream) for change in plan.changes]


def streams(database: Database) -> dict[str, Any]:
    rows = database.all("SELECT *, next_run_at <= now() AS due FROM streams ORDER BY id")
    return {row["name"]: row for row in rows}


def queue_run(database: Database, stream: str, *, track: str = "live", running: bool = False) -> Any:
    row = database.one(
        "INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id, state, lease_until,"
        " claim_no) SELECT id, connection_id, 'sync.demo', 'a', %(track)s, 3, 'schedule', 'r', %(state)s, "
        "CASE WHEN %(running)s THEN now() + interval '1 minute' END, 1 FROM streams WHERE name = %(stream)s RETURNING id",
        {"stream": stream, "track": track, "running": running, "state": "running" if running else "queued"},
    )
    assert row is not None
    return row["id"]


def add_records(database: Database, stream: str, count: int, prefix: str = "k") -> None:
    database.run(
        "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, cause_kind,"
        " cause_id, change_kind) SELECT s.bucket, s.id, %(prefix)s || n, '{}', gen_random_uuid(), now(), now(), 'run',"
        " gen_random_uuid(), 'created' FROM streams s, generate_series(1, %(count)s) n WHERE s.name = %(stream)s",
        {"stream": stream, "count": count, "prefix": prefix},
    )


def count(database: Database, table: str) -> int:
    row = database.one(f"SELECT count(*) AS n FROM {table}")
    assert row is not None
    return int(row["n"])


def wait_for_lock(database: Database) -> None:
    """Until somebody waits for a lock."""
    pause_between = threading.Event()
    for _ in range(400):
        row = database.one("SELECT count(*) AS n FROM pg_locks WHERE NOT granted")
        if row and row["n"]:
            return
        pause_between.wait(0.025)
    raise AssertionError("nobody waits for a lock")
