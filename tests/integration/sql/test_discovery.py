"""What a Postgres says could be synced, and whether that can be read as it is told."""

from typing import Any

import psycopg
import pytest
from servers.systems.databases import Read

from worker.connectors.contract import Found

pytestmark = pytest.mark.integration

MADE = """
create table orders (id int primary key, updated_at timestamptz not null, created_at timestamptz);
create index on orders (updated_at);
comment on table orders is 'What was ordered.';
create table parts (number text not null, "Last Modified" timestamp, notes text);
create unique index on parts (number);
create table lines (order_id int, line int, version_no bigint, primary key (order_id, line));
create table words (word text);
create view open_orders as select * from orders;
create materialized view totals as select count(*) as n from orders;
create schema plant;
create table plant.orders (id uuid primary key default gen_random_uuid(), modified_at timestamptz default now());
create table "plant"."Gate.Log" (id int generated always as identity primary key);
"""


def test_tables_and_views_are_told_with_keys_cursors_and_what_is_unsure(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    source.execute(MADE)
    source.execute("insert into orders select i, now(), now() from generate_series(1, 200) i")
    source.execute("analyze")
    found = {each.name: each for each in reads({}).discover()}
    assert set(found) == {
        "orders", "parts", "lines", "words", "open_orders", "totals", "orders_plant", "gate_log",
    }  # fmt: skip

    orders = found["orders"]
    assert orders.describe == {"table": "public.orders", "key": "id", "incremental": {"field": "updated_at"}}
    assert orders.fields == ("id", "updated_at", "created_at")
    assert _says(orders, "About 200 rows.", "What was ordered.", "every change sets updated_at")
    parts = found["parts"]
    assert parts.describe["key"] == "number"
    assert parts.describe["incremental"] == {"field": "Last Modified", "ordered": False}
    assert _says(
        parts, "number is unique", "No index begins with Last Modified", "no time zone", "may be null"
    )
    assert found["lines"].describe["incremental"] == {
        "field": "version_no",
        "kind": "number",
        "ordered": False,
    }
    assert found["lines"].key == ("order_id", "line")
    assert "key" not in found["words"].describe
    assert _says(found["words"], "name the columns", "all of it is read")
    assert _says(found["open_orders"], "A view says no key; id is taken")
    assert found["gate_log"].describe["table"] == ["plant", "Gate.Log"]

    described = {name: dict(each.describe) for name, each in found.items() if each.key}
    again = reads(described)
    assert len(again.records("orders")) == len(again.records("open_orders")) == 200
    assert again.records("gate_log") == again.records("orders_plant") == again.records("parts") == []


def test_of_a_schema_that_is_named_tables_go_by_their_names_alone(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    source.execute(MADE)
    reader = reads({}, schema="plant")
    found = {each.name: dict(each.describe) for each in reader.discover()}
    assert found.keys() == {"orders", "gate_log"}
    assert found["orders"]["table"] == "orders"
    source.execute("insert into plant.orders default values")
    assert len(reads(found, schema="plant").records("orders")) == 1


def _says(found: Found, *words: str) -> bool:
    told = " ".join(found.remarks)
    return all(word in told for word in words)
