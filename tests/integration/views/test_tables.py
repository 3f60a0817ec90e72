"""A view for every stream: its name, its columns, and what it makes of whatever a system sends."""

from dataclasses import replace
from decimal import Decimal
from threading import Thread

import psycopg
import pytest
from integration.views.viewed import Viewed
from servers.rows.connection_rows import REGISTRY, applied, plant
from servers.waiting import wait_until

from scheduler.connections.remove import remove_connection
from worker.connectors.manifest.views.tables import DeclaredColumn, TableTraits
from worker.errors import Transient
from worker.views.make import known_columns, make_views
from worker.views.sql import tables
from worker.views.sql.columns import Relation
from worker.views.tending import Tending, forget_gone

pytestmark = pytest.mark.integration

ORDERS = "plant_north__work_orders"
GOOD = {
    "id": 7,
    "number": "WO-7",
    "cost": 12.5,
    "hours": 3,
    "urgent": True,
    "due": "2026-03-01",
    "opened": "2026-03-01T10:00:00+02:00",
    "site": {"code": "N"},
    "tags": ["a"],
}


def test_columns_have_the_types_that_were_seen(viewed: Viewed) -> None:
    viewed.put("work_orders", {"7": GOOD})
    viewed.make("work_orders")
    columns = viewed.columns(ORDERS)
    assert list(columns)[:6] == [
        "_key", "_synced_at", "_source_updated_at", "_deleted_at", "_delete_reason", "_version",
    ]  # fmt: skip
    assert {name: columns[name] for name in GOOD} == {
        "id": "bigint", "number": "text", "cost": "numeric", "hours": "numeric", "urgent": "boolean", "due": "date",
        "opened": "timestamp with time zone", "site": "json", "tags": "json",
    }  # fmt: skip
    (row,) = viewed.all(f"SELECT * FROM data.{ORDERS}")
    assert (row["_key"], row["cost"], row["urgent"], row["site"]) == (
        "7",
        Decimal("12.5"),
        True,
        {"code": "N"},
    )
    assert row["opened"].isoformat() == "2026-03-01T08:00:00+00:00"


def test_a_type_is_taken_only_where_all_samples_agree(viewed: Viewed) -> None:
    viewed.put("work_orders", {"1": {"due": "2026-03-01", "n": 1}, "2": {"due": "soon", "n": "one"}})
    viewed.make("work_orders")
    columns = viewed.columns(ORDERS)
    assert (columns["due"], columns["n"]) == ("text", "text")
    assert viewed.values(f"data.{ORDERS}", "due") == {"1": "2026-03-01", "2": "soon"}


@pytest.mark.parametrize(
    "record",
    [
        '{"id": "x", "cost": "NaN", "hours": 1e200000, "due": "2026-13-45", "opened": "infinity", "urgent": "perhaps"}',
        '{"id": 1.5, "cost": {"a": 1}, "hours": [], "due": {}, "opened": "now", "urgent": 7, "tags": 5, "site": "x"}',
        '{"id": 99999999999999999999999, "cost": "Infinity", "due": "infinity", "opened": "2026-02-30T10:00"}',
        '{"number": "\\u0000", "id": 1}',
        '{"number": "\\ud800", "id": 1}',
        '{"\\u0000": 1}',
        "[1, 2]",
        "null",
        '"text"',
    ],
)
def test_no_record_makes_a_view_raise(viewed: Viewed, record: str) -> None:
    viewed.put("work_orders", {"7": GOOD})
    viewed.make("work_orders")
    viewed.put("work_orders", {"bad": record})
    rows = {row["_key"]: row for row in viewed.all(f"SELECT * FROM data.{ORDERS}")}
    assert rows["7"]["number"] == "WO-7"
    wrong = ("id", "cost", "hours", "due", "opened", "urgent")
    assert {name: rows["bad"][name] for name in wrong if name != "urgent"} | {"id": None} == {
        name: None for name in wrong if name != "urgent"
    }
    # The whole row, also where a reader filters by a column that some value can't be read as.
    assert viewed.all(f"SELECT _key FROM data.{ORDERS} WHERE cost > 1") == [{"_key": "7"}]


def test_what_does_not_read_as_its_type_is_counted_with_examples(viewed: Viewed) -> None:
    viewed.put("work_orders", {"1": {"cost": 5}})
    viewed.make("work_orders")
    viewed.put("work_orders", {"2": {"cost": "n/a"}, "3": {"cost": "12.50"}, "4": {"cost": None}, "5": {}})
    assert viewed.values(f"data.{ORDERS}", "cost")["3"] == Decimal("12.50")
    stream = viewed.stream("work_orders")
    with viewed.database.connection() as db:
        relation = Relation((), tuple(known_columns(db, stream.id)[()]))
    told, text = tables.problems_of(relation, stream.place)
    (row,) = viewed.all(text)
    assert [column.name for column in told] == ["cost"]
    assert (row["n0"], row["e0"], row["unreadable"]) == (1, ["2: n/a"], 0)


def test_a_time_without_an_offset_is_utc_in_every_session(viewed: Viewed) -> None:
    viewed.put("work_orders", {"1": {"at": "2026-03-01T10:00:00"}, "2": {"at": "2026-03-01 10:00Z"}})
    viewed.make("work_orders")
    with viewed.database.transaction() as db:
        db.execute("SET LOCAL timezone = 'Asia/Tokyo'; SET LOCAL datestyle = 'SQL, DMY'")
        rows = db.execute(f"SELECT DISTINCT at AT TIME ZONE 'UTC' AS at FROM data.{ORDERS}").fetchall()
    assert [row["at"].isoformat() for row in rows] == ["2026-03-01T10:00:00"]


def test_new_fields_are_appended_and_a_retyped_one_keeps_its_type(viewed: Viewed) -> None:
    viewed.put("work_orders", {"1": {"b": 1, "z": "x"}})
    viewed.make("work_orders")
    before = list(viewed.columns(ORDERS).items())
    viewed.put("work_orders", {"2": {"a": 1, "b": "text by now", "z": 5}})
    viewed.database.run(
        "INSERT INTO stream_fields (stream_id, path, types) SELECT id, f.path::text[], f.types::text[] FROM streams,"
        " (VALUES ('{a}', '{integer}'), ('{b}', '{integer,text}'), ('{z}', '{text,integer}')) f (path, types)"
        " WHERE name = 'work_orders'"
    )
    viewed.make("work_orders")
    after = list(viewed.columns(ORDERS).items())
    assert after == [*before, ("a", "numeric")]
    assert viewed.values(f"data.{ORDERS}", "b") == {"1": 1, "2": None}
    assert viewed.values(f"data.{ORDERS}", "z") == {"1": "x", "2": "5"}


def test_a_field_without_any_value_waits_for_one(viewed: Viewed) -> None:
    viewed.put("work_orders", {"1": {"id": 1, "closed": None}})
    viewed.make("work_orders")
    assert "closed" not in viewed.columns(ORDERS)


def test_names_of_fields_become_names_that_need_no_quotes(viewed: Viewed) -> None:
    odd = {
        "order": 1, "createdAt": 2, "Name": 3, "name": 4, "_key": 5, "größe (mm)": 6, "'; DROP VIEW x; --": 7,
        'a"b': 8, "%s {0}": 9, "9lives": 10, "x" * 80: 11, "x" * 81: 12, "💧": 13, "a\\b": 14,
    }  # fmt: skip
    viewed.put("work_orders", {"1": odd})
    viewed.make("work_orders")
    columns = list(viewed.columns(ORDERS))[6:]
    assert columns[:11] == [
        "order_", "created_at", "name", "name_2", "_key_2", "grosse_mm", "drop_view_x", "a_b", "s_0", "_9lives",
        columns[10],
    ]  # fmt: skip
    assert all(len(name.encode()) <= 63 for name in columns)
    assert len(set(columns)) == len(odd)
    (row,) = viewed.all(f"SELECT * FROM data.{ORDERS}")
    assert [row[name] for name in columns] == list(range(1, 15))


def test_deleted_records_are_kept_and_flagged(viewed: Viewed) -> None:
    viewed.put("work_orders", {"1": GOOD, "2": GOOD})
    viewed.make("work_orders")
    viewed.delete("work_orders", "2")
    assert viewed.all(f"SELECT _key FROM data.{ORDERS} WHERE _deleted_at IS NULL") == [{"_key": "1"}]
    assert viewed.values(f"data.{ORDERS}", "number") == {"1": "WO-7", "2": "WO-7"}


def test_lines_are_a_table_of_their_own(viewed: Viewed) -> None:
    viewed.put(
        "purchase_orders",
        {
            "1": {"lines": [{"sku": "A", "n": 2}, 7, {"sku": "B", "n": "many"}]},
            "2": {"lines": "none"},
            "3": {},
        },
    )
    viewed.make("purchase_orders")
    view = "plant_north__purchase_orders__lines"
    assert list(viewed.columns(view)) == ["_parent_key", "_line_no", "_synced_at", "_deleted_at", "sku", "n"]
    rows = viewed.all(f"SELECT _parent_key AS parent, _line_no AS no, sku, n FROM data.{view} ORDER BY no")
    assert [tuple(row.values()) for row in rows] == [
        ("1", 1, "A", "2"),
        ("1", 2, None, None),
        ("1", 3, "B", "many"),
    ]
    viewed.delete("purchase_orders", "1")
    assert viewed.all(f"SELECT count(*) AS n FROM data.{view} WHERE _deleted_at IS NULL") == [{"n": 0}]


def test_custom_fields_are_columns(viewed: Viewed) -> None:
    viewed.put("assets", {"1": {"name": "Pump", "custom_fields": {"cost centre": "4711", "hot_work": False}}})
    viewed.make("assets")
    columns = viewed.columns("plant_north__assets")
    assert (columns["cf_cost_centre"], columns["cf_hot_work"]) == ("text", "boolean")
    assert viewed.values("data.plant_north__assets", "cf_cost_centre") == {"1": "4711"}


def test_a_name_stays_when_its_connection_is_renamed(viewed: Viewed) -> None:
    viewed.make("work_orders")
    viewed.connect(name="Plant south")
    viewed.make("work_orders", "sites")
    assert viewed.columns(ORDERS)
    assert viewed.columns("plant_north__sites")  # and so do those that are made later


def test_two_connections_whose_names_look_alike_have_views_of_their_own(viewed: Viewed) -> None:
    plants = [plant("north"), plant("two", name="plant-NORTH"), plant("three", environment="test")]
    plants[2]["name"] = "Plant north"
    applied(viewed.database, *plants)
    viewed.make()
    names = {row["prefix"] for row in viewed.all("SELECT prefix FROM view_prefixes")}
    assert names == {"plant_north", "plant_north_2", "test_plant_north"}
    viewed.put("sites", {"1": {"code": "two"}}, connection="plant-NORTH")
    viewed.make()
    assert viewed.values("data.plant_north_2__sites", "code") == {"1": "two"}
    assert viewed.all("SELECT * FROM data.plant_north__sites") == []


def test_what_somebody_else_made_in_the_schema_is_left_alone(viewed: Viewed) -> None:
    viewed.database.run("CREATE VIEW data.plant_north__sites AS SELECT 1 AS mine")
    viewed.make()
    assert viewed.all("SELECT * FROM data.plant_north__sites") == [{"mine": 1}]
    assert viewed.columns("plant_north__sites_2")


def test_a_view_that_is_being_read_is_replaced_later_and_holds_up_nobody(viewed: Viewed) -> None:
    viewed.put("work_orders", {"1": {"a": 1}})
    viewed.make("work_orders")
    stream = viewed.stream("work_orders")
    viewed.database.run(
        "INSERT INTO stream_fields (stream_id, path, types) VALUES (%(stream)s, '{b}', '{text}')",
        {"stream": stream.id},
    )
    with viewed.database.transaction() as reader:
        reader.execute(f"SELECT * FROM data.{ORDERS}")
        assert not make_views(viewed.database, stream)
        assert "b" not in viewed.columns(ORDERS)
    assert make_views(viewed.database, stream)
    assert "b" in viewed.columns(ORDERS)


def test_who_reads_a_view_does_not_wait_long_for_its_replacement_which_waits_for_another_reader(
    viewed: Viewed,
) -> None:
    viewed.put("work_orders", {"1": {"a": 1}})
    viewed.make("work_orders")
    viewed.database.run("DELETE FROM view_columns")
    viewed.database.run("UPDATE stream_views SET signature = 'old'")
    making = Thread(target=make_views, args=(viewed.database, viewed.stream("work_orders")))
    waits = "SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT granted AND datname = current_database()"
    with viewed.database.transaction() as first:
        first.execute(f"SELECT * FROM data.{ORDERS}")
        making.start()
        wait_until(lambda: viewed.all(waits) or not making.is_alive(), 20, what="the replacement that waits")
        with viewed.database.transaction() as second:
            second.execute("SET LOCAL statement_timeout = '5s'")
            assert second.execute(f"SELECT * FROM data.{ORDERS}").fetchall()
    making.join()


def test_a_round_makes_the_views_of_what_was_read_and_not_of_what_was_not(viewed: Viewed) -> None:
    viewed.put("sites", {"1": {"code": "N"}})
    viewed.database.run("UPDATE streams SET last_finished_at = now() WHERE name = 'sites'")
    tending = Tending(viewed.database, REGISTRY)
    tending.round()
    assert viewed.values("data.plant_north__sites", "code") == {"1": "N"}
    assert viewed.all("SELECT name FROM stream_views") == [{"name": "plant_north__sites"}]
    viewed.database.run(
        "INSERT INTO stream_fields (stream_id, path, types) SELECT id, '{city}', '{text}' FROM streams WHERE name = 'sites'"
    )
    tending.round()
    assert "city" in viewed.columns("plant_north__sites")


def test_a_stream_that_stays_empty_is_not_looked_at_after_each_of_its_runs(viewed: Viewed) -> None:
    finish = "UPDATE streams SET last_finished_at = now() WHERE name = 'sites'"
    tending = Tending(viewed.database, REGISTRY)
    viewed.database.run(finish)
    tending.round()
    looked = viewed.all("SELECT looked_at FROM stream_views")
    viewed.database.run(finish)
    tending.round()
    assert viewed.all("SELECT looked_at FROM stream_views") == looked
    viewed.database.run("UPDATE stream_views SET looked_at = now() - interval '25 hours'")
    tending.round()
    assert viewed.all("SELECT looked_at > now() - interval '1 hour' AS anew FROM stream_views") == [
        {"anew": True}
    ]


def test_a_field_that_is_committed_late_gets_its_column_all_the_same(viewed: Viewed) -> None:
    viewed.put("sites", {"1": {"code": "N"}})
    viewed.database.run("UPDATE streams SET last_finished_at = now() WHERE name = 'sites'")
    tending = Tending(viewed.database, REGISTRY)
    with viewed.database.transaction() as noting:
        noting.execute(
            "INSERT INTO stream_fields (stream_id, path, types) SELECT id, '{city}', '{text}' FROM streams WHERE name = 'sites'"
        )
        tending.round()
        assert "city" not in viewed.columns("plant_north__sites")
    tending.round()
    assert "city" in viewed.columns("plant_north__sites")


def test_views_go_with_their_connection(viewed: Viewed) -> None:
    viewed.put("work_orders", {"1": GOOD})
    viewed.make()
    remove_connection(viewed.database, "Plant north")
    left = viewed.all("SELECT relname FROM pg_class WHERE relnamespace = 'data'::regnamespace")
    assert left == []
    assert viewed.all("SELECT * FROM models.work_order") == []
    for table in ("stream_views", "view_columns", "view_prefixes", "model_streams"):
        assert viewed.all(f"SELECT * FROM {table}") == []
    with pytest.raises(psycopg.errors.UndefinedTable):
        viewed.all("SELECT * FROM models.plant_north__work_order")


def test_views_that_are_read_while_their_connection_goes_follow_later(viewed: Viewed) -> None:
    viewed.put("work_orders", {"1": GOOD})
    viewed.make("work_orders")
    with viewed.database.transaction() as reader:
        reader.execute(f"SELECT * FROM data.{ORDERS}")
        remove_connection(viewed.database, "Plant north")
    assert viewed.columns(ORDERS)
    forget_gone(viewed.database)
    with pytest.raises((psycopg.errors.UndefinedTable, Transient)):
        viewed.columns(ORDERS)


def test_a_type_that_a_manifest_declares_anew_makes_the_view_anew(viewed: Viewed) -> None:
    viewed.put("work_orders", {"1": {"a": "5"}})
    viewed.make("work_orders")
    viewed.database.run("UPDATE view_columns SET kind = 'number', declared = true WHERE name = 'a'")
    viewed.make("work_orders")
    assert viewed.columns(ORDERS)["a"] == "numeric"
    assert viewed.values(f"data.{ORDERS}", "a") == {"1": 5}


def test_a_view_that_somebody_dropped_comes_back(viewed: Viewed) -> None:
    viewed.make("work_orders")
    viewed.database.run(f"DROP VIEW data.{ORDERS}")
    viewed.make("work_orders")
    assert viewed.columns(ORDERS)


def test_values_that_mean_nothing_are_null_and_hide_no_type(viewed: Viewed) -> None:
    table = TableTraits(
        columns=(
            DeclaredColumn("partner_id", ("partner_id", "0"), "integer"),
            DeclaredColumn("partner", ("partner_id", "1"), "text"),
            DeclaredColumn("name", ("Name", "value"), "text"),
            DeclaredColumn("active", ("active",), "boolean"),
        ),
        empty=("false", "", "1900-01-01T12:00:00Z"),
    )
    viewed.put(
        "work_orders",
        {
            "1": {
                "partner_id": [7, "Anna"],
                "Name": {"value": "A"},
                "active": False,
                "due": "2026-03-01",
                "tags": ["a"],
            },
            "2": {"partner_id": False, "Name": {"value": ""}, "active": True, "due": False, "tags": False},
            "3": {"partner_id": [], "Name": False, "active": False, "seen": "1900-01-01T12:00:00Z"},
        },
    )
    stream = replace(viewed.stream("work_orders"), table=table)
    assert make_views(viewed.database, stream)
    rows = viewed.all(
        f"SELECT partner_id, partner, name, active, due::text, tags, seen FROM data.{ORDERS} ORDER BY _key"
    )
    assert [tuple(row.values()) for row in rows] == [
        (7, "Anna", "A", False, "2026-03-01", ["a"], None),
        (None, None, None, True, None, None, None),
        (None, None, None, False, None, None, None),
    ]
    assert viewed.columns(ORDERS)["due"] == "date"
    with viewed.database.connection() as db:
        relation = Relation((), tuple(known_columns(db, stream.id)[()]), table.empty)
    told, statement = tables.problems_of(relation, stream.place)
    (row,) = viewed.all(statement)
    assert [row[f"n{number}"] for number in range(len(told))] == [0] * len(told)
