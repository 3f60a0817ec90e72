"""Two taps of others from the package registry, each in its own environment: one reads a Postgres, one the demo system.

They are installed anew, which takes half a minute and a network: only where HEADRACE_TEST_TAPS is set.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from servers.systems.demo import TOKEN, Demo
from servers.taps.bench import TapBench, tap_bench
from servers.waiting import wait_until
from sqlalchemy import make_url

from scheduler.connections.trial.discovery import discoverer
from scheduler.connections.trial.trial import Candidate
from worker.connectors.contract import Found
from worker.engine.perform import carry_out
from worker.runs.rescue import rescue_lapsed

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not os.environ.get("HEADRACE_TEST_TAPS"),
        reason="HEADRACE_TEST_TAPS is not set: this installs two taps from the package registry",
    ),
]

POSTGRES = "meltanolabs-tap-postgres==0.10.0"
REST = "tap-rest-api-msdk==1.4.2"
ROWS = 25_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environments are made once for all of these."""
    return tmp_path_factory.mktemp("taps")


@pytest.fixture
def taps(database_url: str, broker_url: str, home: Path) -> Iterator[TapBench]:
    with tap_bench(database_url, broker_url, home, taps=(POSTGRES, REST)) as made:
        yield made


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    system = Demo(tmp_path / "demo", "--rate", "0", "--factor", "0.3", "--requests", "0").start()
    yield system
    system.client.close()
    system.kill()


def found_by(bench: TapBench) -> dict[str, Found]:
    row = bench.services.database.one("SELECT * FROM connections WHERE id = %(id)s", {"id": bench.connection})
    assert row is not None
    asking = discoverer(bench.services.registry, Candidate.of(bench.services.database, row))
    return {each.found.name: each.found for each in asking.ask(bench.services.sender, "r")}


def say(bench: TapBench, tap: str, config: dict[str, Any], streams: dict[str, Any]) -> None:
    describe = {"singer": {"config": config}, "secrets": {"token": {}}, "streams": streams}
    bench.services.database.run(
        "UPDATE connections SET settings = %(settings)s WHERE id = %(id)s",
        {"settings": Jsonb({"tap": tap, "describe": describe}), "id": bench.connection},
    )


def plant(url: str, bench: TapBench) -> dict[str, Any]:
    """A database of work orders, and the config of the tap that reads it."""
    with psycopg.connect(url) as source:
        source.execute("CREATE SCHEMA plant")
        source.execute(
            "CREATE TABLE plant.orders (id bigint PRIMARY KEY, title text, price numeric(12, 3),"
            " due date, tags jsonb, changed_at timestamptz NOT NULL)"
        )
        source.execute(
            "INSERT INTO plant.orders SELECT n, 'order ' || n, n / 8.0, date '2026-01-01' + n %% 300, '{\"a\": [1]}',"
            " timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, %s) n",
            (ROWS,),
        )
    parts = make_url(url)
    (bench.folder / "token").write_text(parts.password or "")
    return {
        "host": parts.host,
        "port": parts.port,
        "user": parts.username,
        "password": "{secret:token}",
        "database": parts.database,
        "filter_schemas": ["plant"],
    }


def same(url: str, bench: TapBench, stream: int) -> bool:
    """Every row of the source is in the copy with what it holds, and no other."""
    with psycopg.connect(url) as source:
        rows = source.execute("SELECT id::text, title, price, changed_at FROM plant.orders").fetchall()
    copy = bench.copy(stream)
    return {(row[0], row[1], float(row[2]), row[3].timestamp()) for row in rows} == {
        (key, row["title"], float(row["price"]), datetime.fromisoformat(row["changed_at"]).timestamp())
        for key, row in copy.items()
    }


def test_a_tap_for_postgres_brings_a_table_and_goes_on_from_its_state(
    taps: TapBench, empty_database_url: str
) -> None:
    config = plant(empty_database_url, taps)
    say(taps, POSTGRES, config, {})
    found = found_by(taps)["plant_orders"]
    described = {**found.describe, "version": "changed_at"}
    described["tap"] = {
        **found.describe["tap"],
        "replication": "incremental",
        "replication_key": "changed_at",
    }
    say(taps, POSTGRES, config, {"orders": described})
    orders = taps.stream("orders")
    first = taps.sync(orders)
    assert (first["state"], first["records_created"]) == ("succeeded", ROWS)
    assert same(empty_database_url, taps, orders)
    with psycopg.connect(empty_database_url) as source:
        source.execute("UPDATE plant.orders SET title = 'changed', changed_at = now() WHERE id <= 5")
        source.execute("INSERT INTO plant.orders VALUES (99999, 'new', 1, NULL, NULL, now())")
    second = taps.sync(orders)
    assert (second["state"], second["records_created"], second["records_updated"]) == ("succeeded", 1, 5)
    assert second["records_read"] < 20
    assert same(empty_database_url, taps, orders)


def test_a_worker_is_killed_while_the_tap_reads_and_another_goes_on(
    taps: TapBench, empty_database_url: str
) -> None:
    config = plant(empty_database_url, taps)
    tap = {"stream": "plant-orders", "replication": "incremental", "replication_key": "changed_at"}
    say(taps, POSTGRES, config, {"orders": {"tap": tap, "key": "id", "version": "changed_at"}})
    orders = taps.stream("orders")
    run = taps.request(orders)
    worker = taps.another_worker(run, allowed=POSTGRES)
    try:
        wait_until(lambda: len(taps.copy(orders)) >= 12_000, timeout=60, what="half of the table")
    finally:
        worker.kill()
        worker.wait()
    begun = len(taps.copy(orders))
    assert begun < ROWS
    wait_until(lambda: rescue_lapsed(taps.services.database, max_attempts=5).saved, what="the rescue")
    taps.services.database.run("UPDATE runs SET not_before = now() WHERE state = 'queued'")
    carry_out(taps.services, run)
    done = taps.outcome(run)
    assert done["state"] == "succeeded"
    assert done["records_read"] < begun + ROWS, "not from the beginning"
    assert same(empty_database_url, taps, orders)


def test_a_table_that_is_read_whole_is_swept(taps: TapBench, empty_database_url: str) -> None:
    config = plant(empty_database_url, taps)
    say(taps, POSTGRES, config, {"orders": {"tap": {"stream": "plant-orders"}, "key": "id"}})
    orders = taps.stream("orders")
    assert taps.sync(orders)["records_created"] == ROWS
    with psycopg.connect(empty_database_url) as source:
        source.execute("DELETE FROM plant.orders WHERE id IN (7, 8)")
    assert [taps.sync(orders, "sweep")["state"] for _ in range(2)] == ["succeeded", "succeeded"]
    assert same(empty_database_url, taps, orders)


def test_a_wrong_password_is_for_a_person_to_mend(taps: TapBench, empty_database_url: str) -> None:
    config = {**plant(empty_database_url, taps), "password": "wrong-on-purpose"}
    say(taps, POSTGRES, config, {"orders": {"tap": {"stream": "plant-orders"}, "key": "id"}})
    run = taps.sync(taps.stream("orders"))
    assert (run["state"], run["error_code"]) == ("failed", "tap_refused")
    assert "wrong-on-purpose" not in run["error"]


def test_a_tap_for_rest_reads_the_demo_system_and_what_changed_in_it(taps: TapBench, demo: Demo) -> None:
    (taps.folder / "token").write_text(TOKEN)
    config = {
        "api_url": demo.base_url,
        "headers": {"Authorization": "Bearer {secret:token}"},
        "pagination_request_style": "offset_paginator",
        "pagination_response_style": "offset",
        "pagination_page_size": 500,
        "pagination_initial_offset": 0,
        "offset_records_jsonpath": "$.data[*]",
        "start_date": "2000-01-01T00:00:00Z",
        "replication_key": "updated_at",
        "source_search_field": "updated_since",
        "source_search_query": "$last_run_date",
        "streams": [
            {"name": "parts", "path": "/api/v1/parts", "primary_keys": ["id"], "records_path": "$.data[*]"}
        ],
    }
    say(taps, REST, config, {})
    found = found_by(taps)["parts"]
    assert (found.key, found.cursor) == (("id",), "updated_at")
    say(taps, REST, config, {"parts": dict(found.describe)})
    parts = taps.stream("parts")
    first = taps.sync(parts)
    live, _ = demo.truth("parts")
    assert (first["state"], first["records_created"]) == ("succeeded", len(live))
    demo.change("parts", next(iter(live)), name="Changed by hand")
    second = taps.sync(parts)
    assert (second["state"], second["records_updated"]) == ("succeeded", 1)
    assert second["records_read"] < len(live)
    assert {key: row["name"] for key, row in taps.copy(parts).items()} == {
        key: row["name"] for key, row in demo.truth("parts")[0].items()
    }
