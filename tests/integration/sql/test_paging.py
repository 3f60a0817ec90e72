"""Whether all rows of a Postgres come, each once, whatever happens to them meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from servers.systems.databases import Read

from worker.connectors.contract import Window
from worker.errors import NeedsOperator, Transient

pytestmark = pytest.mark.integration

MONDAY = datetime(2026, 3, 2, 8, tzinfo=UTC)
ORDERS = {"table": "orders", "key": "id", "incremental": {"field": "updated_at"}, "rows": 3}


def fill(source: psycopg.Connection[Any], count: int = 10) -> None:
    source.execute("create table orders (id int primary key, updated_at timestamptz, words text)")
    source.execute("insert into orders select i, %s, 'w' || i from generate_series(1, %s) i", (MONDAY, count))


def keys(pages: Any) -> list[list[str]]:
    return [page.keys for page in pages]


def test_equal_times_over_many_pages_come_each_once(source: psycopg.Connection[Any], reads: Read) -> None:
    fill(source)
    source.execute("update orders set updated_at = updated_at + interval '1 us' where id in (2, 3)")
    found = keys(reads({"orders": ORDERS}).pages("orders", Window(MONDAY)))
    assert found == [["1", "4", "5"], ["6", "7", "8"], ["9", "10", "2"], ["3"]]


def test_a_window_includes_both_its_bounds_and_nothing_beyond(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    fill(source, 5)
    source.execute("update orders set updated_at = updated_at + id * interval '1 minute'")
    window = Window(MONDAY + timedelta(minutes=2), MONDAY + timedelta(minutes=4))
    assert keys(reads({"orders": ORDERS}).pages("orders", window)) == [["2", "3", "4"], []]


def test_rows_without_a_cursor_come_with_everything_and_with_no_increment(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    fill(source, 4)
    source.execute("update orders set updated_at = null where id in (1, 3)")
    reader = reads({"orders": ORDERS})
    assert len(reader.records("orders")) == 4
    assert len(reader.records("orders", Window(None, MONDAY))) == 4
    assert len(reader.records("orders", Window(MONDAY - timedelta(days=1)))) == 2


def test_rows_that_come_go_and_change_while_a_table_is_read_hide_no_other(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    fill(source, 12)
    pages = reads({"orders": ORDERS}).pages("orders", Window(MONDAY))
    seen = next(pages).keys
    source.execute("delete from orders where id in (1, 2, 7)")
    source.execute("insert into orders values (0, %s, 'new')", (MONDAY,))
    source.execute("update orders set updated_at = updated_at + interval '1 hour' where id = 5")
    for page in pages:
        seen += page.keys
    assert sorted(map(int, seen)) == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12]
    assert seen[-1] == "5", "what changed comes again where it stands now"


def test_the_columns_of_a_cursor_are_taken_in_their_order_and_a_key_may_have_several(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    source.execute(
        "create table bins (site text, bin int, changed date, made date not null, primary key (site, bin))"
    )
    source.execute(
        "insert into bins select 's' || i % 2, i, case when i % 3 = 0 then date '2026-03-05' end, '2026-03-02'"
        " from generate_series(1, 7) i"
    )
    stream = {
        "table": "public.bins",
        "key": ["site", "bin"],
        "incremental": {"field": ["changed", "made"], "format": "date"},
        "rows": 2,
        "filters": ["site"],
    }
    reader = reads({"bins": stream})
    everything = [record.key for record in reader.records("bins")]
    assert len(everything) == len(set(everything)) == 7
    since = reader.records("bins", Window(datetime(2026, 3, 3, tzinfo=UTC)))
    assert [record.key for record in since] == ['["s0",6]', '["s1",3]']
    assert reader.one("bins", '["s0",6]').records[0].key == '["s0",6]'
    assert reader.one("bins", '["s0",5]').gone[0].reason == "not_found"
    only = reader.source.stream("bins").filtered({"site": "s0"})
    assert [record.key for record in reader.records(only)] == ['["s0",2]', '["s0",4]', '["s0",6]']


def test_a_number_can_be_the_cursor_and_the_key(source: psycopg.Connection[Any], reads: Read) -> None:
    source.execute("create table log (id bigint primary key, amount numeric)")
    source.execute("insert into log select i + 9007199254740990, 1.10 from generate_series(1, 5) i")
    stream = {"table": "log", "key": "id", "incremental": {"field": "id", "kind": "number"}, "rows": 2}
    reader = reads({"log": stream})
    found = reader.records("log", Window(9007199254740993))
    assert [record.cursor for record in found] == [9007199254740993 + step for step in range(3)]
    greatest = 9007199254740995
    assert [page.given_out for page in reader.pages("log")] == [greatest, None, None], (
        "before any row was read"
    )
    assert not any(page.given_out for page in reader.pages("log", Window(9007199254740993)))


def test_any_order_of_the_database_is_kept_to_the_last_digit(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    """What a place says is read back as what it was: real numbers, numbers with a fixed point, text, uuids."""
    source.execute("create table odd (a real, b numeric, c text, d uuid, primary key (a, b, c, d))")
    source.execute(
        "insert into odd select 0.1 + i % 2, 1.000000000000000000001 * (i % 3), chr(230 + i) || E'\\'\"\\\\%%',"
        " gen_random_uuid() from generate_series(1, 20) i"
    )
    reader = reads({"odd": {"query": "select *, d::text as id from odd", "key": "id", "rows": 3}})
    assert len({record.key for record in reader.records("odd")}) == 20
    stream = {"query": "select a, b, c, d, a::text as x from odd", "key": ["x", "b", "c", "d"], "rows": 3}
    assert len({record.key for record in reads({"odd": stream}).records("odd")}) == 20


def test_a_stream_of_a_query_takes_it_as_it_stands(source: psycopg.Connection[Any], reads: Read) -> None:
    fill(source, 4)
    query = """select id, ':x \\:y %s %% {z}' as said, array[1,2]::int[] as a -- all of them: %(p)s
      from orders where words like 'w%' and id <> 3 -- the end"""
    found = reads({"some": {"query": query, "key": "id"}}).rows("some")
    assert [row["id"] for row in found] == [1, 2, 4]
    assert found[0] == {"id": 1, "said": ":x \\:y %s %% {z}", "a": [1, 2]}


def test_hostile_names_and_values_are_names_and_values(source: psycopg.Connection[Any], reads: Read) -> None:
    table, column, key = 'or"ders; drop table x --', "Sta%tus.of :it", "K'ey"
    source.execute("create table x (id int)")
    with source.cursor() as cursor:
        names = psycopg.sql.SQL("create table {} ({} text, {} text primary key)").format(
            *(psycopg.sql.Identifier(name) for name in (table, column, key))
        )
        cursor.execute(names)
        values = [("'; drop table x; --", f"k'{at}\"\\%s:1") for at in range(5)]
        insert = psycopg.sql.SQL("insert into {} values (%s, %s)").format(psycopg.sql.Identifier(table))
        cursor.executemany(insert, values)
    reader = reads({"orders": {"table": ["public", table], "key": [[key]], "rows": 2, "filters": [column]}})
    assert len({record.key for record in reader.records("orders")}) == 5
    assert reader.one("orders", values[3][1]).records[0].key == values[3][1]
    assert reader.one("orders", "' or true --").gone
    filtered = reader.source.stream("orders").filtered({column: "'; drop table x; --"})
    assert len(reader.records(filtered)) == 5
    assert source.execute("select count(*) from x").fetchone() == (0,)


def test_keys_alone_are_listed_for_a_sweep_and_a_table_of_deletes_is_read(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    fill(source, 4)
    source.execute("create table gone (order_id int, at timestamptz, n serial primary key)")
    source.execute("insert into gone values (7, %s), (8, %s)", (MONDAY, MONDAY))
    stream = {
        **ORDERS,
        "rows": 2,
        "deletes": {"tombstones": {"table": "gone", "key": "order_id", "incremental": {"field": "at"}}},
    }
    reader = reads({"orders": stream})
    sweep = reader.source.stream("orders").sweep()
    assert sweep is not None
    assert reader.rows(sweep) == [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]
    tombstones = reader.source.stream("orders").tombstones()
    assert tombstones is not None
    gone = [one for page in reader.pages(tombstones, Window(MONDAY)) for one in page.gone]
    assert [(one.key, one.reason, one.at) for one in gone] == [
        ("7", "tombstone", MONDAY),
        ("8", "tombstone", MONDAY),
    ]


def test_large_rows_make_short_pages_and_one_that_is_too_large_is_said(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    source.execute("create table files (id int primary key, data text)")
    source.execute("insert into files select i, repeat('x', 100000) from generate_series(1, 40) i")
    reader = reads({"files": {"table": "files", "key": "id"}}, given={"most": 1_000_000})
    pages = list(reader.pages("files"))
    assert len(pages) > 5
    assert [int(key) for page in pages for key in page.keys] == list(range(1, 41))
    source.execute("insert into files values (0, repeat('y', 2000000))")
    with pytest.raises(NeedsOperator) as caught:
        reader.records("files")
    assert caught.value.code == "page_too_large"


def test_a_key_that_may_be_null_is_said_where_it_hides_the_way_on(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    source.execute("create table orders (id int)")
    source.execute("insert into orders select null from generate_series(1, 5)")
    with pytest.raises(NeedsOperator) as caught:
        reads({"orders": {"table": "orders", "key": "id", "rows": 2}}).records("orders")
    assert caught.value.code == "null_key"


def test_a_place_that_was_kept_is_gone_on_from(source: psycopg.Connection[Any], reads: Read) -> None:
    fill(source, 7)
    first = next(reads({"orders": ORDERS}).pages("orders", Window(MONDAY)))
    rest = reads({"orders": ORDERS}).pages("orders", Window(MONDAY), first.next)
    assert keys(rest) == [["4", "5", "6"], ["7"]]


def test_smaller_pages_go_on_where_larger_ones_stopped(source: psycopg.Connection[Any], reads: Read) -> None:
    fill(source, 7)
    reader = reads({"orders": {**ORDERS, "rows": 4}})
    first = next(reader.pages("orders"))
    resized = reader.source.stream("orders").resized(2, first.next)
    assert resized is not None
    assert keys(reader.pages(resized[0], Window(), resized[1])) == [["5", "6"], ["7"]]


def test_too_long_a_wait_for_a_lock_is_a_time_out(source: psycopg.Connection[Any], reads: Read) -> None:
    fill(source, 1)
    with source.transaction():
        source.execute("lock table orders in access exclusive mode")
        with pytest.raises(Transient) as caught:
            reads({"orders": ORDERS}, given={"timeout": 0.4}).records("orders")
    assert caught.value.code == "timeout"
