"""A connection of a stack to a demo system: what the copy holds, what the truth is, and whether they are the same."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from psycopg.rows import DictRow
from servers.installation.stack import Stack
from servers.systems.demo import ENTITIES, Demo
from servers.waiting import wait_until

from scheduler.connections.apply import apply
from scheduler.connections.remove import remove_connection
from worker.parsing.documents import read_document
from worker.runs.request import Requested, request_run
from worker.runs.states import Lane
from worker.runs.wakeups.publish import publish


class Plant:
    """One demo system and the connection to it."""

    def __init__(self, stack: Stack, demo: Demo, name: str, system: str = "plant") -> None:
        self.stack = stack
        self.demo = demo
        self.name = name
        self.system = system

    def connect(self, *, history: str = "all", entities: tuple[str, ...] = ENTITIES) -> None:
        """Apply it from a connections file. Its streams are due at once, and then not for a week."""
        connection = {
            "id": self.name,
            "system": self.system,
            "settings": {"base_url": self.demo.base_url},
            "secrets": {"token": f"file://{self.demo.token_file}"},
            "schedule": {"every": "7d"},
            "history": history,
            "streams": {entity: {"enabled": False} for entity in ENTITIES if entity not in entities},
        }
        text = json.dumps({"version": 1, "connections": [connection]})
        apply(self.stack.database, self.stack.registry, read_document(text.encode(), "connections"))

    def stream(self, entity: str) -> DictRow:
        return self.stack.one(
            "SELECT s.* FROM streams s JOIN connections c ON c.id = s.connection_id"
            " WHERE c.name = %(name)s AND s.name = %(entity)s",
            name=self.name,
            entity=entity,
        )

    def partition(self, entity: str) -> str:
        """The table that holds the stream's records."""
        return f"records_{self.stream(entity)['bucket']:02d}"

    def request(self, *entities: str, track: str = "live", lane: Lane = Lane.ON_DEMAND) -> list[Requested]:
        """Ask for runs as a person does: commit, then wake."""
        ids = [self.stream(entity)["id"] for entity in entities or self.entities()]
        with self.stack.database.transaction() as connection:
            wanted = [
                request_run(
                    connection,
                    stream_id=stream_id,
                    system=self.system,
                    lane=lane,
                    cause="cli",
                    request_id=f"test-{uuid4().hex[:8]}",
                    track=track,
                )
                for stream_id in ids
            ]
        wakeups = [(run.id, run.queue) for run in wanted]
        wait_until(lambda: publish(wakeups), 20, what="a wake-up call")
        return wanted

    def entities(self) -> list[str]:
        rows = self.stack.all(
            "SELECT s.name FROM streams s JOIN connections c ON c.id = s.connection_id"
            " WHERE c.name = %(name)s AND s.enabled ORDER BY s.name",
            name=self.name,
        )
        return [row["name"] for row in rows]

    def sync(self, *entities: str, timeout: float = 40.0) -> list[DictRow]:
        """Ask for runs and wait until they ended; their rows in the history."""
        wanted = self.request(*entities)
        self.wait_for(*(run.id for run in wanted), timeout=timeout)
        return [self.ended(run.id) for run in wanted]

    def wait_for(self, *run_ids: UUID, timeout: float = 40.0) -> None:
        wait_until(
            lambda: not self.stack.all("SELECT FROM runs WHERE id = ANY (%(ids)s)", ids=list(run_ids)),
            timeout,
            what=f"the end of {len(run_ids)} runs",
        )

    def ended(self, run_id: UUID) -> DictRow:
        return self.stack.one("SELECT * FROM run_history WHERE id = %(id)s", id=run_id)

    def open_run(self, entity: str, track: str = "live") -> DictRow | None:
        rows = self.stack.all(
            "SELECT * FROM runs WHERE stream_id = %(stream)s AND track = %(track)s ORDER BY state DESC",
            stream=self.stream(entity)["id"],
            track=track,
        )
        return rows[0] if rows else None

    def history(self, entity: str) -> list[DictRow]:
        """The ended runs of a stream, the oldest first."""
        return self.stack.all(
            "SELECT * FROM run_history WHERE stream_id = %(stream)s ORDER BY id",
            stream=self.stream(entity)["id"],
        )

    def quarantined(self, entity: str) -> list[DictRow]:
        return self.stack.all(
            "SELECT * FROM quarantine WHERE stream_id = %(stream)s ORDER BY key",
            stream=self.stream(entity)["id"],
        )

    def copy(self, entity: str) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """The live records by key as they were sent, and the keys of the tombstones."""
        rows = self.stack.all(
            "SELECT key, raw::text AS raw, deleted_at FROM records"
            " WHERE bucket = %(bucket)s AND stream_id = %(stream)s",
            bucket=(stream := self.stream(entity))["bucket"],
            stream=stream["id"],
        )
        live = {row["key"]: json.loads(row["raw"]) for row in rows if row["deleted_at"] is None}
        return live, {row["key"] for row in rows if row["deleted_at"] is not None}

    def assert_copy_equals_truth(self, timeout: float = 60.0) -> None:
        """Freeze the source, let a last increment run, and compare every field of every record."""
        self.demo.freeze()
        self.stack.wait_until_idle(timeout)
        for run in self.sync(timeout=timeout):
            assert run["state"] in {"succeeded", "partial", "merged"}, run
        self.stack.wait_until_idle(timeout)
        for entity in self.entities():
            (live, gone), (truth, deleted) = self.copy(entity), self.demo.truth(entity)
            assert not (missing := truth.keys() - live.keys()), f"{entity}: missing {sorted(missing)[:9]}"
            assert not (extra := live.keys() - truth.keys()), f"{entity}: too many {sorted(extra)[:9]}"
            stale = [key for key, record in truth.items() if live[key] != record]
            assert not stale, f"{entity}: stale {stale[:9]}, such as {live[stale[0]]} for {truth[stale[0]]}"
            assert gone == deleted, f"{entity}: tombstones {sorted(gone ^ deleted)[:9]}"
        self.assert_ledger_clean()

    def assert_ledger_clean(self) -> None:
        """No run is left, none ended badly, and what the runs counted is what the copy holds: each page once."""
        assert not self.stack.all("SELECT * FROM runs")
        for entity in self.entities():
            live, gone = self.copy(entity)
            runs = self.history(entity)
            created, deleted = (
                sum(run[f"records_{what}"] for run in runs) for what in ("created", "deleted")
            )
            assert deleted == len(gone), f"{entity}: {deleted} deletions counted, {len(gone)} tombstones"
            assert len(live) <= created <= len(live) + len(gone), f"{entity}: {created} creations counted"
            bad = [run for run in runs if run["state"] in {"failed", "suspicious_empty"}]
            assert not bad, f"{entity}: {bad[0]}"


@contextmanager
def connected(
    stack: Stack, folder: Path, *arguments: str, system: str = "plant", name: str | None = None
) -> Iterator[Plant]:
    """A demo system, frozen and without a limit unless told otherwise, and a plant on it, not connected yet."""
    demo = Demo(
        folder / "demo", "--rate", "0", "--requests", "0", "--factor", "0.1",
        "--state", str(folder / "demo" / "journal"), *arguments,
    )  # fmt: skip
    plant = Plant(stack, demo, name or f"plant-{uuid4().hex[:8]}", system)
    try:
        demo.start()
        yield plant
    finally:
        demo.close()
        for row in stack.all("SELECT name FROM connections"):
            remove_connection(stack.database, row["name"])
