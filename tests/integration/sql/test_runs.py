"""Is the copy what a database itself says? Runs are carried out by the engine, as a worker does."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg.types.json import Jsonb
from servers.systems.databases import PASSWORD, apart
from servers.systems.inline import InlineRuns

from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.services import Services

pytestmark = pytest.mark.integration

STREAM = {
    "key": "id",
    "incremental": {"field": "updated_at"},
    "rows": 40,
    "deleted": {"field": "state", "equals": "void"},
}


class Copy(InlineRuns):
    """A connection to a database."""

    system: ClassVar = "sql"

    def __init__(self, services: Services, url: str, stream: dict[str, Any], secrets: dict[str, str]) -> None:
        self.services = services
        settings = {"url": url, "describe": {"streams": {"orders": {**STREAM, **stream}}}}
        row = services.database.one(
            "INSERT INTO connections (name, system, settings, secrets) VALUES ('db', 'sql', %(set)s, %(sec)s)"
            " RETURNING id",
            {"set": Jsonb(settings), "sec": Jsonb(secrets)},
        )
        assert row is not None
        self.connection = row["id"]
        self.orders = self.stream("orders")

    def run(self, track: str = "live") -> dict[str, Any]:
        run = self.request(self.orders, track)
        carry_out(self.services, run)
        self.carry_out_ready()
        return self.outcome(run)

    def rows(self) -> dict[str, Any]:
        found = self.services.database.all(
            "SELECT key, raw::text AS raw FROM records WHERE stream_id = %(s)s AND deleted_at IS NULL",
            {"s": self.orders},
        )
        return {row["key"]: json.loads(row["raw"]) for row in found}


@pytest.fixture
def services(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Services]:
    settings = load_settings(home=tmp_path / "home", database_url=database_url, broker_url=broker_url)
    opened = Services.open(settings, name="test")
    yield opened
    opened.close()


def test_a_table_of_postgres_is_loaded_kept_fresh_swept_and_proven(
    services: Services, source: psycopg.Connection[Any], empty_database_url: str
) -> None:
    source.execute(
        "create table orders (id int primary key, state text default 'open', amount numeric(9, 2),"
        " updated_at timestamptz)"
    )
    source.execute(
        "insert into orders select i, 'open', i * 1.1, now() - (i / 40) * interval '1 day' from generate_series(1, 190) i"
    )
    source.execute("insert into orders select i, 'open', i, null from generate_series(191, 200) i")
    copy = Copy(services, apart(empty_database_url), {"table": "orders"}, {"password": PASSWORD})

    def there() -> dict[str, Any]:
        rows = source.execute("select id, state, amount::text from orders where state <> 'void'").fetchall()
        return {str(id_): (state, amount) for id_, state, amount in rows}

    def here() -> dict[str, Any]:
        return {key: (row["state"], row["amount"]) for key, row in copy.rows().items()}

    assert copy.run()["state"] == "succeeded"
    assert len(there()) == 200
    assert here() == there()

    source.execute("update orders set state = 'closed', updated_at = now() where id % 7 = 0")
    source.execute("update orders set state = 'void', updated_at = now() where id = 20")
    source.execute("insert into orders select i, 'new', i, now() from generate_series(201, 290) i")
    assert copy.run()["state"] == "succeeded"
    assert here() == there()

    source.execute("delete from orders where id in (3, 30, 195)")
    copy.run("sweep")
    copy.run("sweep")
    assert here() == there()

    source.execute("update orders set amount = 1 where id = 185")  # and nothing says so
    assert copy.run("verify")["state"] == "succeeded"
    proof = services.database.one("SELECT missing, extra, different FROM verifications")
    assert proof == {"missing": 0, "extra": 0, "different": 1}


def test_a_file_of_sqlite_is_loaded_and_kept_fresh(services: Services, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "plant.db", isolation_level=None)) as plant:
        plant.execute("create table orders (id text primary key, state text, updated_at timestamp)")
        at = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
        plant.executemany(
            f"insert into orders values (?, 'open', {at})", [(f"o-{number}",) for number in range(130)]
        )
        incremental = {"field": "updated_at", "format": "datetime"}
        copy = Copy(
            services, f"sqlite:///{tmp_path}/plant.db", {"table": "orders", "incremental": incremental}, {}
        )
        assert copy.run()["state"] == "succeeded"
        assert len(copy.rows()) == 130
        plant.execute(f"update orders set state = 'closed', updated_at = {at} where id = 'o-7'")
        plant.execute(f"insert into orders values ('o-x', 'new', {at})")
        assert copy.run()["records_created"] == 1
        assert copy.rows()["o-7"]["state"] == "closed"
