"""A file of SQLite as a source: read, and never written."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from servers.systems.databases import Reading, source_at

from worker.connectors.contract import Window
from worker.connectors.registry.registry import Registry
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.sql.pool import process

SECOND = datetime(2026, 3, 2, 8, 0, 1, tzinfo=UTC)
ORDERS = {
    "table": "orders",
    "key": "id",
    "incremental": {"field": "changed", "format": "datetime"},
    "rows": 3,
}


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "plant.db", isolation_level=None)) as file:
        file.execute("create table orders (id integer primary key, changed datetime, words, data blob)")
        for number in range(1, 9):
            file.execute(
                "insert into orders values (?, ?, ?, ?)",
                (number, f"2026-03-02 08:00:0{number // 4}", f"w{number}", bytes([0, number])),
            )
        yield file
    process().pool.close()


def reads(folder: Path, streams: dict[str, Any], **given: Any) -> Reading:
    return Reading(source_at(f"sqlite:///{folder}/plant.db", streams), secrets={}, **given)


def refusal(reader: Reading, stream: str) -> HeadraceError:
    with pytest.raises(HeadraceError) as caught:
        reader.records(stream)
    return caught.value


def test_rows_come_once_each_in_pages_that_go_by_place(plant: sqlite3.Connection, tmp_path: Path) -> None:
    reader = reads(tmp_path, {"orders": ORDERS})
    assert [page.keys for page in reader.pages("orders")] == [["1", "2", "3"], ["4", "5", "6"], ["7", "8"]]
    pages = reader.pages("orders", Window(SECOND))
    assert next(pages).keys == ["4", "5", "6"]
    plant.execute("delete from orders where id = 4")
    plant.execute("insert into orders values (9, '2026-03-02 08:00:01', 'new', null)")
    assert [page.keys for page in pages] == [["7", "9", "8"], []]


def test_values_come_as_they_are(plant: sqlite3.Connection, tmp_path: Path) -> None:
    plant.execute("create table kinds (id text primary key, a, b, c, d, e, f)")
    plant.execute(
        "insert into kinds values ('x', 9223372036854775807, 0.1, 9e999, null, x'00ff', cast(x'61ff00' as text))"
    )
    record = reads(tmp_path, {"kinds": {"table": "kinds", "key": "id"}}).records("kinds")[0]
    found = record.exact or record.raw
    assert found == (
        b'{"id":"x","a":9223372036854775807,"b":0.1,"c":"Infinity","d":null,"e":"AP8=","f":"a\xef\xbf\xbd\\u0000"}'
    )


def test_one_record_and_some_are_asked_for_by_what_columns_hold(
    plant: sqlite3.Connection, tmp_path: Path
) -> None:
    query = {
        "query": "select id, words as w, id % 2 as odd from orders",
        "key": "id",
        "filters": ["odd", "w"],
    }
    reader = reads(tmp_path, {"orders": {**ORDERS, "filters": ["words"]}, "q": query})
    assert reader.one("orders", "5").records[0].key == "5"
    assert reader.one("orders", "50").gone
    assert reader.one("orders", "5' or 1=1").gone
    assert reader.one("q", "5").records[0].key == "5"
    source = reader.source
    assert [row["id"] for row in reader.rows(source.stream("q").filtered({"odd": "1"}))] == [1, 3, 5, 7]
    assert [row["id"] for row in reader.rows(source.stream("orders").filtered({"words": "w2"}))] == [2]


def test_a_composite_key_goes_over_the_borders_of_pages(plant: sqlite3.Connection, tmp_path: Path) -> None:
    plant.execute("create table bins (site text, bin int, primary key (site, bin))")
    plant.executemany("insert into bins values (?, ?)", [(f"s{at % 2}", at) for at in range(7)])
    found = reads(tmp_path, {"bins": {"table": "bins", "key": ["site", "bin"], "rows": 2}}).records("bins")
    assert [record.key for record in found] == [f'["s{at % 2}",{at}]' for at in (0, 2, 4, 6, 1, 3, 5)]


@pytest.mark.parametrize(
    "query",
    ["delete from orders", "select id from orders; delete from orders", "select load_extension('x') as id"],
)
def test_nothing_can_be_written(plant: sqlite3.Connection, tmp_path: Path, query: str) -> None:
    error = refusal(reads(tmp_path, {"q": {"query": query, "key": "id"}}), "q")
    assert isinstance(error, NeedsOperator)
    assert plant.execute("select count(*) from orders").fetchone() == (8,)


def test_a_statement_that_takes_too_long_is_given_up(plant: sqlite3.Connection, tmp_path: Path) -> None:
    endless = "with recursive n(id) as (select 1 union all select id + 1 from n) select max(id) as id from n"
    error = refusal(reads(tmp_path, {"q": {"query": endless, "key": "id"}}, timeout=0.3), "q")
    assert (error.code, isinstance(error, Transient)) == ("timeout", True)


@pytest.mark.parametrize(
    ("url", "network", "code"),
    [
        ("sqlite:///relative.db", {}, "bad_address"),
        ("sqlite://", {}, "bad_address"),
        ("sqlite:////no/such/file.db", {}, "no_database"),
        ("sqlite:////etc/passwd", {"addresses": "public"}, "bad_address"),
        ("sqlite:////etc/hostname?mode=rw", {}, "bad_address"),
        ("sqlite:////etc/hostname", {}, "no_database"),
        ("mysql://reader@db.example.com/erp", {}, "driver_missing"),
        ("nonsense://reader@db.example.com/erp", {}, "driver_missing"),
        ("oracle+cx_oracle://reader@db.example.com/erp", {}, "driver_missing"),
        ("postgresql://reader@a.example.com,b.example.com/erp", {}, "bad_address"),
        ("postgresql:///erp", {"addresses": "public"}, "bad_address"),
    ],
)
def test_what_is_no_database_that_may_be_read_is_said(url: str, network: dict[str, str], code: str) -> None:
    error = refusal(Reading(source_at(url, {"orders": ORDERS}), secrets={}, network=network), "orders")
    assert (error.code, isinstance(error, NeedsOperator)) == (code, True)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://reader:planted@db/erp", "plain_secret"),
        ("db.example.com/erp", "bad_value"),
        ("postgresql://db:port/erp", "bad_value"),
        ("postgresql://db/erp#part", "bad_value"),
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused_before_it_is_kept(
    url: str, code: str
) -> None:
    with pytest.raises(HeadraceError) as caught:
        Registry.load().get("sql").check_settings({"url": url})
    assert caught.value.code == code
    assert "planted" not in str(caught.value)


def test_what_could_be_synced_is_told_with_how_its_times_are_written(
    plant: sqlite3.Connection, tmp_path: Path
) -> None:
    plant.execute("create index by_change on orders (changed)")
    plant.execute("create table parts (number text, updated_at timestamp, unique (number))")
    plant.execute("insert into parts values ('a', 1772438400)")
    plant.execute('create table "Odd.Name" (id int primary key)')
    plant.execute("create view open_orders as select * from orders")
    reader = reads(tmp_path, {})
    found = {each.name: each for each in reader.discover()}
    assert set(found) == {"orders", "parts", "odd_name", "open_orders"}
    orders = found["orders"]
    assert orders.describe == {
        "table": "orders",
        "key": "id",
        "incremental": {"field": "changed", "format": "datetime"},
    }
    assert found["parts"].describe["incremental"] == {
        "field": "updated_at",
        "format": "epoch_s",
        "ordered": False,
    }
    assert found["odd_name"].describe["table"] == ["Odd.Name"]
    assert any("No index begins with updated_at" in remark for remark in found["parts"].remarks)
    described = {name: dict(each.describe) for name, each in found.items() if each.key}
    again = reads(tmp_path, described)
    assert len(again.records("orders")) == len(again.records("open_orders")) == 8


def test_a_key_of_bytes_is_asked_for_as_bytes(plant: sqlite3.Connection, tmp_path: Path) -> None:
    plant.execute("create table tags (tag blob primary key)")
    plant.executemany("insert into tags values (?)", [(bytes([0, 255, number]),) for number in range(5)])
    reader = reads(tmp_path, {"tags": {"table": "tags", "key": "tag", "rows": 2}})
    keys = [record.key for record in reader.records("tags")]
    assert len(set(keys)) == 5
    assert all(reader.one("tags", key).records[0].key == key for key in keys)


@pytest.mark.parametrize(
    ("stream", "place"),
    [
        ({"table": "orders", "key": "id", "paging": {"page": {"param": "page"}}}, "paging"),
        ({"table": "orders", "key": "id", "path": "/orders"}, "path"),
        (
            {"table": "orders", "key": "id", "incremental": {"field": "at", "param": "since"}},
            "incremental.param",
        ),
        ({"table": "orders", "key": "id", "filters": {"state": "state = {value}"}}, "filters"),
        ({"table": "orders", "query": "select 1", "key": "id"}, "table"),
        ({"key": "id"}, "streams.orders"),
        ({"table": "orders", "key": "a.b"}, "key"),
        ({"table": "orders"}, "key"),
        ({"query": " ; ", "key": "id"}, "query"),
    ],
)
def test_what_says_nothing_of_a_database_is_refused_with_its_place(
    stream: dict[str, Any], place: str
) -> None:
    with pytest.raises(HeadraceError) as caught:
        source_at("sqlite:////plant.db", {"orders": stream})
    assert "settings.describe.streams.orders" in str(caught.value)
    assert place in str(caught.value)
