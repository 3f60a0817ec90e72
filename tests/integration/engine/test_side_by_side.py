"""Pages side by side, over real HTTP and into Postgres: the copy is whole, limits hold, and what is refused is asked for again."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.systems.scripted import Asked, Said, Scripted, scripted_source

from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.services import Services

pytestmark = pytest.mark.integration

SIZE = 10
MANIFEST = """\
manifest: 1
system: shelf
title: Shelf
protocol: rest
base_url: "{base_url}"
settings: {base_url: {required: true, description: Where it lives.}}
limits: {concurrency: 4}
defaults: {records: items, key: id, path: /things}
streams:
  by_offset: {paging: {offset: {param: offset, limit_param: limit, size: 10, stable: true}}}
  with_total: {total: total, paging: {offset: {param: offset, limit_param: limit, size: 10, stable: true}}}
  by_page: {total: total, paging: {page: {param: page, size_param: limit, size: 10}}}
  unstable: {total: total, paging: {offset: {param: offset, limit_param: limit, size: 10, side_by_side: false}}}
"""


@dataclass
class Shelf:
    """Answers pages of so many things, a little slowly, and counts how many are asked for at once."""

    things: int = 203
    refuses: Callable[[int, int, int], Said | None] = lambda _place, _size, _times: None
    """What to say instead, told where the page begins, its size, and how often it was asked for before."""
    at_once: int = 0
    most_at_once: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, asked: Asked) -> Said:
        query = {name: int(values[0]) for name, values in parse_qs(urlsplit(asked.path).query).items()}
        size = query["limit"]
        place = query["offset"] if "offset" in query else (query["page"] - 1) * size
        with self.lock:
            times = self.asked.count((place, size))
            self.asked.append((place, size))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        threading.Event().wait(0.01)
        said = self.refuses(place, size, times)
        with self.lock:
            self.at_once -= 1
        items = [{"id": n, "text": f"thing {n}"} for n in range(place, min(place + size, self.things))]
        return said or Said(json.dumps({"total": self.things, "items": items}).encode())


@dataclass
class Bench:
    """One connection to the shelf, whose runs are carried out here."""

    services: Services
    source: Scripted
    shelf: Shelf
    connection: int

    def sync(self, name: str) -> tuple[int, dict[str, Any]]:
        with self.services.database.transaction() as tx:
            row = tx.execute(
                "INSERT INTO streams (connection_id, name, bucket, schedule) VALUES (%s, %s, 3, '{\"every\": 60}')"
                " RETURNING id",
                (self.connection, name),
            ).fetchone()
        assert row is not None
        stream = int(row["id"])
        with self.services.database.transaction() as tx:
            run = request_run(
                tx, stream_id=stream, system="shelf", lane=Lane.ON_DEMAND, cause="cli", request_id="r"
            ).id
        carry_out(self.services, run)
        return stream, self.outcome(run)

    def outcome(self, run: UUID) -> dict[str, Any]:
        for table in ("run_history", "runs"):
            row = self.services.database.one(f"SELECT * FROM {table} WHERE id = %(run)s", {"run": run})
            if row is not None:
                return dict(row)
        raise AssertionError("the run is nowhere")

    def go_on(self, run: UUID) -> dict[str, Any]:
        self.services.database.run("UPDATE runs SET not_before = now() WHERE id = %(run)s", {"run": run})
        carry_out(self.services, run)
        return self.outcome(run)

    def copied(self, stream: int) -> list[int]:
        rows = self.services.database.all(
            "SELECT raw::text AS raw FROM records WHERE stream_id = %(s)s", {"s": stream}
        )
        return sorted(json.loads(row["raw"])["id"] for row in rows)


@pytest.fixture
def bench(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Bench]:
    manifest = tmp_path / "shelf" / "manifest.yaml"
    manifest.parent.mkdir()
    manifest.write_text(MANIFEST)
    settings = load_settings(
        database_url=SecretStr(database_url), broker_url=SecretStr(broker_url), connectors=(tmp_path,)
    )
    services = Services.open(settings, name="test")
    shelf = Shelf()
    with scripted_source(shelf) as source:
        with services.database.transaction() as tx:
            row = tx.execute(
                "INSERT INTO connections (name, system, settings) VALUES ('s', 'shelf', %s) RETURNING id",
                (Jsonb({"base_url": source.base_url}),),
            ).fetchone()
        assert row is not None
        yield Bench(services, source, shelf, row["id"])
    services.close()


@pytest.mark.parametrize("name", ["by_offset", "with_total", "by_page"])
def test_the_copy_is_whole_and_the_account_never_has_more_under_way_than_it_may(
    bench: Bench, name: str
) -> None:
    stream, run = bench.sync(name)
    assert run["state"] == "succeeded"
    assert bench.copied(stream) == list(range(203))
    assert 2 <= bench.shelf.most_at_once <= 4


def test_a_manifest_that_says_so_is_read_one_page_after_the_other(bench: Bench) -> None:
    stream, _ = bench.sync("unstable")
    assert bench.copied(stream) == list(range(203))
    assert bench.shelf.most_at_once == 1


def test_a_system_that_fails_beside_others_and_not_alone_is_read_to_the_end(bench: Bench) -> None:
    shelf = bench.shelf

    def only_two(_place: int, _size: int, _times: int) -> Said | None:
        return Said(b'{"error": "busy"}', 500) if shelf.at_once > 2 else None

    shelf.refuses = only_two
    stream, run = bench.sync("with_total")
    assert (run["state"], run["attempt"]) == ("succeeded", 0), run["error"]
    assert bench.copied(stream) == list(range(203))


def test_a_page_that_fails_for_good_ends_the_pages_there_and_the_next_attempt_goes_on_there(
    bench: Bench,
) -> None:
    shelf = bench.shelf
    shelf.refuses = lambda place, _size, _times: Said(b"{}", 500) if place == 100 else None
    stream, run = bench.sync("with_total")
    assert (run["state"], run["wait_reason"]) == ("queued", "retry")
    assert bench.copied(stream) == list(range(100)), "what was fetched beyond the page that failed was kept"
    shelf.refuses = lambda _place, _size, _times: None
    shelf.asked.clear()
    assert bench.go_on(run["id"])["state"] == "succeeded"
    assert bench.copied(stream) == list(range(203))
    assert min(place for place, _ in shelf.asked) == 100


def test_a_system_that_says_wait_is_waited_for_by_the_run(bench: Bench) -> None:
    shelf = bench.shelf
    shelf.refuses = lambda place, _size, _times: (
        Said(b"{}", 429, {"Retry-After": "1"}) if place == 60 else None
    )
    stream, run = bench.sync("with_total")
    assert (run["state"], run["wait_reason"], run["attempt"]) == ("queued", "limit", 0)
    assert set(bench.copied(stream)) <= set(range(60))


@pytest.mark.parametrize("name", ["with_total", "by_page"])
def test_pages_that_a_system_finds_too_large_are_asked_for_smaller(bench: Bench, name: str) -> None:
    shelf = bench.shelf
    shelf.refuses = lambda place, size, _times: (
        Said(b'{"error": "too large"}', 413) if place + size > 50 and size > 3 else None
    )
    stream, run = bench.sync(name)
    assert run["state"] == "succeeded"
    assert bench.copied(stream) == list(range(203))
    noted = [step for step in run["steps"] if step["name"] == "page_size"]
    assert noted[-1]["divisor"] == 4
    shelf.asked.clear()
    shelf.refuses = lambda _place, _size, _times: None
    bench.services.database.run("DELETE FROM cursors")
    with bench.services.database.transaction() as tx:
        run_id = request_run(
            tx, stream_id=stream, system="shelf", lane=Lane.ON_DEMAND, cause="cli", request_id="r"
        ).id
    assert bench.go_on(run_id)["state"] == "succeeded"
    assert shelf.asked[0] == (0, SIZE // 4), "what was learned is forgotten"
