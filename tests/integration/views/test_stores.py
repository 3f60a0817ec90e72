"""Large streams are kept parsed, and whoever reads their views sees the committed copy all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import psycopg
import pytest
from integration.views.viewed import Viewed
from servers.rows.connection_rows import REGISTRY

from worker.db.queries import sql
from worker.views import stores
from worker.views.make import known_columns, make_views
from worker.views.sql import tables
from worker.views.sql.columns import Relation
from worker.views.stores import keep_store, tend_store
from worker.views.streams import Described
from worker.views.tending import Tending

pytestmark = pytest.mark.integration

VIEW = "data.plant_north__work_orders"


@pytest.fixture
def stored(viewed: Viewed, monkeypatch: pytest.MonkeyPatch) -> Viewed:
    """A stream of a few records whose store is in use, filled in batches of two."""
    monkeypatch.setattr(stores, "BATCH", 2)
    option(viewed, "always")
    viewed.put("work_orders", {str(n): {"id": n, "title": f"Order {n}"} for n in range(7)})
    viewed.make("work_orders")
    assert keep_store(viewed.database, viewed.stream("work_orders"))
    tend(viewed)
    assert in_use(viewed)
    return viewed


def option(viewed: Viewed, value: str) -> None:
    viewed.database.run(
        "UPDATE streams SET options = options || jsonb_build_object('materialise', %(value)s::text)"
        " WHERE name = 'work_orders'",
        {"value": value},
    )


def tend(viewed: Viewed) -> None:
    """All batches that there are."""
    stream = viewed.stream("work_orders")
    for store in viewed.database.all(sql.stores_to_tend):
        while tend_store(viewed.database, store, stream):
            pass


def in_use(viewed: Viewed) -> list[str]:
    """The stores that the view reads from."""
    text = viewed.all(f"SELECT pg_get_viewdef('{VIEW}'::regclass) AS text")[0]["text"]
    return [row["table_name"] for row in viewed.all("SELECT * FROM view_stores") if row["table_name"] in text]


def shown(viewed: Viewed) -> dict[str, Any]:
    rows = viewed.all(f"SELECT * FROM {VIEW}")
    found = {row["_key"]: row for row in rows}
    assert len(found) == len(rows), "a record is there twice"
    return found


def parsed(viewed: Viewed) -> dict[str, Any]:
    """What a view without a store would show."""
    stream = viewed.stream("work_orders")
    with viewed.database.connection() as db:
        relation = Relation((), tuple(known_columns(db, stream.id)[()]))
    return {row["_key"]: row for row in viewed.all(tables.view_of(relation, stream.place))}


@contextmanager
def held_open(viewed: Viewed, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction that has carried out a statement, and is committed when the block ends."""
    with viewed.database.transaction() as tx:
        tx.execute(statement)
        yield tx


def test_a_view_over_a_store_shows_what_was_committed_since(stored: Viewed) -> None:
    stored.put("work_orders", {"3": {"id": 3, "title": "changed"}, "new": {"id": 8}})
    stored.delete("work_orders", "5")
    assert shown(stored) == parsed(stored)
    assert shown(stored)["3"]["title"] == "changed"
    assert shown(stored)["5"]["_deleted_at"] is not None
    tend(stored)
    assert shown(stored) == parsed(stored)


def test_whatever_happens_between_refreshes_the_view_is_the_copy(stored: Viewed) -> None:
    dice = Random(7)
    for step in range(60):
        key = str(dice.randrange(12))
        match dice.randrange(4):
            case 0:
                stored.delete("work_orders", key)
            case 1:
                tend(stored)
            case _:
                stored.put("work_orders", {key: {"id": step, "title": f"Step {step}"}})
        assert shown(stored) == parsed(stored)


def test_a_change_that_commits_after_a_refresh_is_not_missed(stored: Viewed) -> None:
    """Its place in the feed is older than what was committed, and refreshed, meanwhile."""
    change = (
        'UPDATE records r SET raw = \'{"title": "late"}\', change_xid = pg_current_xact_id() FROM streams s'
        " WHERE s.name = 'work_orders' AND r.bucket = s.bucket AND r.stream_id = s.id AND r.key = '1'"
    )
    with held_open(stored, change):
        stored.put("work_orders", {"2": {"title": "early"}})
        tend(stored)
        assert shown(stored)["1"]["title"] == "Order 1"
    assert shown(stored)["1"]["title"] == "late"
    tend(stored)
    assert shown(stored) == parsed(stored)


def test_a_refresh_moves_its_position_and_leaves_little_to_parse(stored: Viewed) -> None:
    stored.put("work_orders", {str(n): {"id": n, "title": "anew"} for n in range(7)})
    changed = (
        "SELECT count(*) AS n FROM headrace_changed_keys((SELECT id FROM streams WHERE name = 'work_orders'))"
    )
    assert stored.all(changed) == [{"n": 7}]
    tend(stored)
    assert stored.all(changed) == [{"n": 0}]


def test_a_record_that_is_removed_leaves_the_store_at_once(stored: Viewed) -> None:
    stored.database.run("DELETE FROM records WHERE key = '4'")
    assert "4" not in shown(stored)
    table = in_use(stored)[0]
    assert stored.all(f"SELECT * FROM headrace_store.{table} WHERE _key = '4'") == []


def test_a_record_that_is_erased_leaves_the_store_at_once(stored: Viewed) -> None:
    stored.database.run(
        "UPDATE records SET raw = '{}', delete_reason = 'erased', deleted_at = now(), change_kind = 'deleted',"
        " change_xid = pg_current_xact_id() WHERE key = '4'"
    )
    table = in_use(stored)[0]
    assert stored.all(f"SELECT * FROM headrace_store.{table} WHERE title = 'Order 4'") == []
    assert shown(stored)["4"]["title"] is None


@pytest.mark.parametrize("key", ["4", "not in the store yet"])
def test_what_is_being_removed_is_not_brought_back_by_a_refresh(stored: Viewed, key: str) -> None:
    stored.put("work_orders", {key: {"title": "changed"}})
    with held_open(stored, f"DELETE FROM records WHERE key = '{key}'"):
        tend(stored)  # passes by: the remover holds the store's row
    tend(stored)
    assert key not in shown(stored)
    assert shown(stored) == parsed(stored)


def test_a_position_of_another_cluster_counts_for_nothing(stored: Viewed) -> None:
    """A dump was restored: its numbers of transactions are far ahead of those of this cluster."""
    stored.database.run("UPDATE view_stores SET position = '999999999999', system_id = 'of the dump'")
    stored.put("work_orders", {"1": {"title": "after"}})
    assert shown(stored) == parsed(stored)
    tend(stored)
    assert in_use(stored) == []
    assert shown(stored) == parsed(stored)


def test_a_new_field_is_there_once_its_store_is_filled(stored: Viewed) -> None:
    stored.put("work_orders", {"1": {"id": 1, "title": "Order 1", "urgent": True}})
    stored.database.run(
        "INSERT INTO stream_fields (stream_id, path, types) SELECT id, '{urgent}', '{boolean}' FROM streams"
        " WHERE name = 'work_orders'"
    )
    before = in_use(stored)
    stored.make("work_orders")
    assert in_use(stored) == before
    assert keep_store(stored.database, stored.stream("work_orders"))
    tend(stored)
    assert shown(stored)["1"]["urgent"] is True
    assert len(in_use(stored)) == 1
    assert in_use(stored) != before
    assert stored.all("SELECT count(*) AS n FROM pg_class WHERE relnamespace = 'headrace_store'::regnamespace"
                      " AND relkind = 'r'") == [{"n": 1}]  # fmt: skip


def test_a_store_that_is_no_longer_wanted_goes(stored: Viewed) -> None:
    option(stored, "never")
    keep_store(stored.database, stored.stream("work_orders"))
    assert in_use(stored) == []
    assert stored.all("SELECT * FROM view_stores") == []
    assert shown(stored) == parsed(stored)


def test_only_many_records_are_kept_parsed_unless_it_is_said(
    viewed: Viewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MATERIALISE_FROM", 3)
    viewed.put("work_orders", {"1": {"id": 1}, "2": {"id": 2}})
    viewed.make("work_orders")
    assert not keep_store(viewed.database, viewed.stream("work_orders"))
    viewed.put("work_orders", {"3": {"id": 3}})
    assert keep_store(viewed.database, viewed.stream("work_orders"))


def test_a_round_fills_stores_and_refreshes_them(viewed: Viewed) -> None:
    option(viewed, "always")
    viewed.put("work_orders", {"1": {"id": 1}})
    viewed.database.run("UPDATE streams SET last_finished_at = now() WHERE name = 'work_orders'")
    tending = Tending(viewed.database, REGISTRY)
    tending.round()
    tending.round()
    assert in_use(viewed) == []  # its history is still being read
    viewed.database.run("UPDATE streams SET history_done_at = now() WHERE name = 'work_orders'")
    tending.round()
    assert len(in_use(viewed)) == 1
    assert list(shown(viewed)) == ["1"]


def test_lines_are_as_fresh_as_the_store_that_they_come_from(viewed: Viewed) -> None:
    option(viewed, "always")
    viewed.put("work_orders", {"1": {"parts": [{"sku": "A"}]}})
    viewed.make("work_orders")
    keep_store(viewed.database, viewed.stream("work_orders"))
    tend(viewed)
    viewed.put("work_orders", {"1": {"parts": [{"sku": "B"}, {"sku": "C"}]}})
    rows = viewed.all(f"SELECT sku FROM {VIEW}__parts ORDER BY sku")
    assert [row["sku"] for row in rows] == ["B", "C"]


def test_a_reader_in_the_middle_of_its_transaction_keeps_its_snapshot(stored: Viewed) -> None:
    with psycopg.connect(
        stored.database.engine.url.set(drivername="postgresql").render_as_string(False)
    ) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = reader.execute(f"SELECT _key, title FROM {VIEW} ORDER BY _key").fetchall()
        stored.put("work_orders", {"1": {"title": "after"}})
        tend(stored)
        assert reader.execute(f"SELECT _key, title FROM {VIEW} ORDER BY _key").fetchall() == before
    assert make_views(stored.database, _described(stored))


def _described(viewed: Viewed) -> Described:
    return viewed.stream("work_orders")


def test_a_change_that_was_under_way_when_the_store_began_is_not_missed(viewed: Viewed) -> None:
    option(viewed, "always")
    viewed.put("work_orders", {str(n): {"id": n, "title": f"Order {n}"} for n in range(3)})
    viewed.make("work_orders")
    change = (
        "UPDATE records SET raw = '{\"title\": \"late\"}', change_xid = pg_current_xact_id() WHERE key = '1'"
    )
    with held_open(viewed, change):
        viewed.put("work_orders", {"2": {"title": "early"}})  # begun later, and committed before
        assert keep_store(viewed.database, viewed.stream("work_orders"))
        tend(viewed)
        assert in_use(viewed)
        assert shown(viewed)["1"]["title"] == "Order 1"
    assert shown(viewed)["1"]["title"] == "late"
    tend(viewed)
    assert shown(viewed) == parsed(viewed)


def test_a_record_that_was_being_deleted_when_the_store_began_is_not_in_it(viewed: Viewed) -> None:
    option(viewed, "always")
    viewed.put("work_orders", {str(n): {"id": n, "title": f"Order {n}"} for n in range(3)})
    viewed.make("work_orders")
    stream = viewed.stream("work_orders")
    with held_open(viewed, "DELETE FROM records WHERE key = '1'"):
        assert keep_store(viewed.database, stream)
        (store,) = viewed.database.all(sql.stores_to_tend)
        assert tend_store(viewed.database, store, stream)
    tend(viewed)
    assert in_use(viewed)
    assert sorted(shown(viewed)) == ["0", "2"]
