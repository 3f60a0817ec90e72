"""Unified models: one vocabulary over all systems, from mappings that apply to all that was ever synced."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from integration.views.viewed import Viewed
from servers.installation.application import Application
from servers.rows.connection_rows import applied, plant

from scheduler.embedded.demo.plant import forms
from worker.connectors.manifest.views.canonical import MODELS
from worker.connectors.manifest.views.mapping import read_models
from worker.connectors.reading.keys import make_key
from worker.feed.reading import read_changes
from worker.views.sql import models
from worker.views.sql.models import Branch
from worker.views.sql.records import Place

pytestmark = pytest.mark.integration

NOW = 1_772_000_000_000
STAMPS = {"created_at": "2026-03-01T07:12:09.041Z", "updated_at": "2026-03-02T07:12:09.041Z"}


def records_of_the_demo() -> dict[str, dict[str, Any]]:
    """One record of each entity, as the demo system sends it."""
    dice = Random(3)
    part = {"id": "PRT-00001", **forms.part(dice, 1, [4])}
    asset = {"id": 9, **forms.asset(dice, 9, ["SITE-01"], [2], NOW)}
    made = {
        "sites": {"id": "SITE-01", **forms.site(dice, 1)},
        "vendors": {"id": 4, **forms.vendor(dice, 4)},
        "parts": part,
        "assets": asset,
        "stock_levels": {"id": 5, **forms.stock_level(dice, "PRT-00001", "SITE-01", NOW)},
        "work_orders": {"id": 6, **forms.work_order(dice, 6, [asset], NOW), "assigned_to": "a.novak"},
        "purchase_orders": {"id": 7, **forms.purchase_order(dice, 7, [4], ["SITE-01"], [part])},
    }
    return {name: {**record, **STAMPS} for name, record in made.items()}


@pytest.fixture
def demo(viewed: Viewed) -> Viewed:
    for name, record in records_of_the_demo().items():
        viewed.put(name, {str(record["id"]): record})
    viewed.make_models()
    return viewed


def one(viewed: Viewed, view: str) -> dict[str, Any]:
    (row,) = viewed.all(f"SELECT * FROM models.{view}")
    return row


def test_every_field_of_the_demo_that_a_model_knows_is_mapped(demo: Viewed) -> None:
    raw = records_of_the_demo()
    order = one(demo, "work_order")
    assert {name: order[name] for name in MODELS["work_order"].fields} == {
        "number": "WO-000006", "title": raw["work_orders"]["title"], "description": raw["work_orders"]["description"],
        "status": "open", "priority": raw["work_orders"]["priority"], "type": raw["work_orders"]["type"],
        "asset_id": "9", "location_id": "SITE-01", "assignee_ids": ["a.novak"],
        "requester_id": raw["work_orders"]["requested_by"], "scheduled_start": None,
        "due_at": datetime.fromisoformat(raw["work_orders"]["due_date"]).replace(tzinfo=UTC), "completed_at": None,
    }  # fmt: skip
    assert (order["remote_id"], order["remote_key"], order["raw"]["id"]) == ("6", "6", 6)
    assert order["remote_created_at"].isoformat() == "2026-03-01T07:12:09.041000+00:00"
    assert (order["connection"], order["environment"]) == ("Plant north", "live")
    level = one(demo, "inventory_level")
    assert (level["part_id"], level["on_hand"]) == ("PRT-00001", raw["stock_levels"]["quantity_on_hand"])
    meter = one(demo, "meter")
    assert (meter["asset_id"], meter["unit"], float(meter["last_value"])) == (
        "9",
        "h",
        raw["assets"]["meter"]["reading"],
    )
    site = raw["sites"]["address"]
    assert (
        one(demo, "location")["address"]
        == f"{site['street']}, {site['postal_code']}, {site['city']}, {site['country']}"
    )
    assert one(demo, "vendor")["email"] == "orders@vendor4.example"
    assert one(demo, "part")["unit_cost"] == Decimal(str(raw["parts"]["unit_cost"]))
    assert one(demo, "asset")["custom_fields"] == raw["assets"]["custom_fields"]
    bought = one(demo, "purchase_order")
    assert (bought["status"], float(bought["total"])) == ("draft", raw["purchase_orders"]["total_amount"])
    lines = demo.all("SELECT * FROM models.purchase_order__lines ORDER BY line_no")
    assert [line["part_id"] for line in lines] == [
        line["part_id"] for line in raw["purchase_orders"]["lines"]
    ]
    assert {line["parent_id"] for line in lines} == {bought["id"]}


def test_models_that_no_system_has_are_there_and_empty(demo: Viewed) -> None:
    assert demo.all("SELECT * FROM models.reading") == []
    assert list(demo.columns("user", "models"))[5:12] == list(MODELS["user"].fields)


def test_each_connection_has_models_of_its_own(demo: Viewed) -> None:
    applied(demo.database, plant("north"), plant("south"))
    demo.put("vendors", {"1": {"name": "Elsewhere"}}, connection="Plant south")
    demo.make_models()
    both = demo.all("SELECT connection, name FROM models.vendor ORDER BY connection")
    assert [row["connection"] for row in both] == ["Plant north", "Plant south"]
    assert demo.all("SELECT name FROM models.plant_south__vendor") == [{"name": "Elsewhere"}]
    alike = demo.all("SELECT count(DISTINCT mapping) AS n FROM model_streams WHERE model = 'vendor'")
    assert alike == [{"n": 1}]


def test_a_changed_mapping_applies_to_all_history_at_once(demo: Viewed) -> None:
    before = demo.all("SELECT key, change_seq FROM records ORDER BY key")
    demo.connect(
        models={
            "work_order": {
                "fields": {
                    "priority": {
                        "enum": {"low": "none", "medium": "none", "high": "none", "urgent": "none"},
                        "of": "priority",
                    }
                },
                "custom_fields": {
                    "hours": "labor_hours",
                    "who": {"first_of": ["assigned_to", "requested_by"]},
                },
            },
            "vendor": False,
        }
    )
    demo.make_models()
    order = one(demo, "work_order")
    assert (order["priority"], order["number"]) == ("none", "WO-000006")
    assert order["custom_fields"] == {"hours": 0.0, "who": "a.novak"}
    assert demo.all("SELECT * FROM models.vendor") == []
    assert demo.all("SELECT to_regclass('models.plant_north__vendor') AS view") == [{"view": None}]
    assert demo.all("SELECT key, change_seq FROM records ORDER BY key") == before


def evaluated(
    viewed: Viewed,
    record: Any,
    mapping: dict[str, Any],
    model: str = "work_order",
    empty: tuple[str, ...] = (),
) -> dict[str, Any]:
    """What a mapping makes of one record."""
    viewed.put("work_orders", {"1": record})
    (read,) = read_models({model: {"stream": "work_orders", **mapping}}, ["work_orders"])
    stream = viewed.stream("work_orders")
    branch = Branch.loaded(models.branch_of(replace(read, empty=empty), ()).dumped())
    rows = viewed.all(models.of_stream(branch, Place(stream.place.bucket, stream.id), stream.connection_id))
    return rows[0] if rows else {}


EXPRESSIONS = [
    ("title", "a.b", {"a": {"b": "x"}}, "x"),
    ("title", ["a.b"], {"a.b": "x"}, "x"),
    ("title", "a", {"a": {"b": [1]}}, '{"b": [1]}'),
    ("title", {"const": "all"}, {}, "all"),
    ("title", {"first_of": ["a", "b"]}, {"a": None, "b": "x"}, "x"),
    ("title", {"concat": ["a", "b", "c"], "separator": "-"}, {"a": "x", "b": "", "c": 5}, "x-5"),
    ("title", {"concat": ["a", "b"]}, {}, None),
    ("asset_id", {"key": ["a", "b"]}, {"a": 'P-1" é', "b": "NORTH"}, make_key(['P-1" é', "NORTH"])),
    ("asset_id", {"key": ["a", "b"]}, {"a": "P-1"}, None),
    ("title", {"lookup": "phones", "where": {"kind": "work"}, "value": "n"},
     {"phones": [{"kind": "home", "n": 1}, {"kind": "work", "n": 2}, 7]}, "2"),
    ("title", {"lookup": "phones", "where": {"kind": "work"}, "value": "n"}, {"phones": "none"}, None),
    ("status", {"enum": {"C": "done"}, "of": "s"}, {"s": "C"}, "done"),
    ("status", {"enum": {"C": "done"}, "of": "s"}, {"s": "X"}, None),
    ("status", {"enum": {"C": "done"}, "of": "s", "else": "open"}, {"s": "X"}, "open"),
    ("status", {"enum": {"C": "done"}, "of": "s", "else": "open"}, {"s": None}, None),
    ("status", {"enum": {"true": "done"}, "of": "s"}, {"s": True}, "done"),
    ("status", "s", {"s": "done"}, "done"),
    ("status", "s", {"s": "DONE?"}, None),
    ("assignee_ids", {"list": "who", "value": "id"}, {"who": [{"id": 1}, {"id": "b"}, {}, None]}, ["1", "b"]),
    ("assignee_ids", {"list": "who"}, {"who": "anna"}, ["anna"]),
    ("assignee_ids", {"list": "who"}, {"who": []}, []),
    ("assignee_ids", {"list": "who"}, {}, None),
    ("due_at", {"path": "at", "as": "epoch_ms"}, {"at": 1772000000000}, datetime(2026, 2, 25, 6, 13, 20, tzinfo=UTC)),
    ("due_at", {"path": "at", "as": "epoch_s"}, {"at": 1e300}, None),
    ("due_at", {"path": "at", "as": "odata_date"}, {"at": "/Date(1772000000000+0000)/"}, datetime(2026, 2, 25, 6, 13, 20, tzinfo=UTC)),
    ("due_at", {"path": "at", "as": "odata_day"}, {"at": "/Date(1771977600000)/"}, datetime(2026, 2, 25, tzinfo=UTC)),
    ("due_at", {"path": "at", "as": "odata_date"}, {"at": "2026-02-25"}, None),
    ("due_at", {"path": "at", "zone": "Europe/Berlin"}, {"at": "2026-07-01 10:00"}, datetime(2026, 7, 1, 8, tzinfo=UTC)),
    ("due_at", {"path": "at", "zone": "Europe/Berlin"}, {"at": "2026-07-01T10:00Z"}, datetime(2026, 7, 1, 10, tzinfo=UTC)),
    ("due_at", {"path": "at", "as": "typed_time"},
     {"at": {"__class__": "datetime", "year": 2026, "month": 3, "day": 1, "hour": 9, "minute": 5, "second": 7, "microsecond": 5}},
     datetime(2026, 3, 1, 9, 5, 7, 5, tzinfo=UTC)),
    ("due_at", {"path": "at", "as": "typed_date"}, {"at": {"year": 2026, "month": 3, "day": 1}}, datetime(2026, 3, 1, tzinfo=UTC)),
    ("due_at", "at", {"at": "tomorrow"}, None),
    ("title", {"path": "n", "as": "typed_decimal"}, {"n": {"__class__": "Decimal", "decimal": "1.20"}}, "1.20"),
]  # fmt: skip


def test_expressions(viewed: Viewed) -> None:
    for field, expression, record, wanted in EXPRESSIONS:
        found = evaluated(viewed, record, {"fields": {field: expression}})
        assert found[field] == wanted, (field, expression, record)


OF_ODOO = {
    "name": "Pump", "description": False, "partner_id": [7, "Anna"], "user_ids": False, "due": False, "active": False,
}  # fmt: skip


def test_what_means_nothing_is_null_in_a_model(viewed: Viewed) -> None:
    fields = {
        "title": {"first_of": ["description", "name"]},
        "requester_id": "partner_id.0",
        "location_id": "site_id.0",
        "description": {"concat": ["description", "partner_id.1"]},
        "assignee_ids": {"list": "user_ids"},
        "due_at": "due",
        "status": {"enum": {"false": "open"}, "of": {"path": "active", "as": "boolean"}},
    }
    found = evaluated(viewed, OF_ODOO, {"fields": fields, "where": {"active": False}}, empty=("false", ""))
    assert {name: found[name] for name in fields} == {
        "title": "Pump",
        "requester_id": "7",
        "location_id": None,
        "description": "Anna",
        "assignee_ids": None,
        "due_at": None,
        "status": "open",
    }


HOSTILE = [
    "'; DROP TABLE records; --",
    '"',
    "\\",
    "%s",
    "{streams}",
    "{condition}",
    "$1",
    "'' OR true",
    "\n",
    "ü💧",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_and_no_value_of_a_mapping_breaks_out_of_the_sql(viewed: Viewed, text: str) -> None:
    found = evaluated(
        viewed,
        {text: text, "list": [{text: text, "v": "found"}]},
        {
            "where": {text: text} if "." not in text else {},
            "fields": {
                "title": [text],
                "status": {"enum": {text: "done"}, "of": [text]},
                "description": {"const": text},
                "number": {"lookup": "list", "where": {text: text}, "value": "v"},
                "requester_id": {"concat": [[text], [text]], "separator": text},
            },
            "custom_fields": {text: [text]},
        },
    )
    assert (found["title"], found["status"], found["description"]) == (text, "done", text)
    assert (found["number"], found["requester_id"]) == ("found", text * 3)
    assert found["custom_fields"] == {text: text}
    assert viewed.all("SELECT count(*) AS n FROM records") == [{"n": 1}]


def test_only_records_that_fit_are_taken(viewed: Viewed) -> None:
    mapping = {"fields": {"title": "t"}, "where": {"kind": ["a", "b"]}}
    assert evaluated(viewed, {"t": "x", "kind": "b"}, mapping)["title"] == "x"
    assert evaluated(viewed, {"t": "x", "kind": "c"}, mapping) == {}


def test_no_record_makes_a_model_raise(demo: Viewed) -> None:
    odd = [
        "[1]",
        '"x"',
        "null",
        '{"status": {"a": 1}, "number": "\\u0000"}',
        '{"assigned_to": [[1], {"a": 2}], "due_date": 5}',
    ]
    demo.put("work_orders", {f"odd {n}": text for n, text in enumerate(odd)})
    demo.put("purchase_orders", {f"odd {n}": f'{{"lines": {text}}}' for n, text in enumerate(odd)})
    assert len(demo.all("SELECT * FROM models.work_order")) == 1 + len(odd)
    assert demo.all("SELECT * FROM models.purchase_order__lines")


def test_lines_of_a_stream_of_their_own_find_their_header(viewed: Viewed) -> None:
    """As Tryton has them. The mapping is tried here on streams of the demo."""
    lines = {"stream": "work_orders", "parent": "purchase", "fields": {"quantity": "n"}}
    viewed.connect(
        models={
            "purchase_order": [{"stream": "purchase_orders", "fields": {"number": "number"}, "lines": lines}]
        }
    )
    viewed.put("purchase_orders", {"7": {"number": "PO-7"}})
    viewed.put("work_orders", {"1": {"purchase": 7, "n": 2}, "2": {"purchase": 7, "n": 3}})
    viewed.make_models()
    order = one(viewed, "purchase_order")
    found = viewed.all("SELECT * FROM models.purchase_order__lines ORDER BY quantity")
    assert [(line["parent_id"], line["quantity"]) for line in found] == [(order["id"], 2), (order["id"], 3)]
    (shown,) = Client(viewed).page("purchase_order")["records"]
    assert [line["quantity"] for line in shown["lines"]] == [2, 3]


class Client:
    """Asks for pages of models."""

    def __init__(self, viewed: Viewed) -> None:
        self._application = Application(viewed.database)

    def page(self, model: str, status: int = 200, **params: Any) -> dict[str, Any]:
        answer = self._application.get(f"/v1/models/{model}", **params)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = json.loads(answer.text)
        return found


def test_pages_hold_every_record_once_and_go_on_where_they_ended(demo: Viewed) -> None:
    demo.put("vendors", {str(n): {"name": f"Vendor {n}"} for n in range(10, 17)})
    client, seen, cursor = Client(demo), [], None
    for _ in range(10):
        page = client.page("vendor", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [record["remote_id"] for record in page["records"]]
        cursor = page["next"]
        if not page["more"]:
            break
    assert sorted(seen, key=int) == ["4", *(str(n) for n in range(10, 17))]
    demo.put("vendors", {"12": {"name": "changed"}})
    demo.delete("vendors", "13")
    records = client.page("vendor", cursor=cursor)["records"]
    assert [(record["remote_id"], record["name"]) for record in records] == [
        ("12", "changed"),
        ("13", "Vendor 13"),
    ]
    assert records[1]["remote_deleted_at"] is not None


def test_a_page_never_passes_a_change_that_is_not_committed_yet(demo: Viewed) -> None:
    client = Client(demo)
    start = client.page("vendor")["next"]
    with demo.database.transaction() as late:
        late.execute(
            'UPDATE records SET raw = \'{"name": "late"}\', change_xid = pg_current_xact_id(),'
            " change_seq = nextval('record_change_seq') FROM streams s WHERE s.name = 'vendors' AND stream_id = s.id"
        )
        demo.put("vendors", {"99": {"name": "early"}})
        held = client.page("vendor", cursor=start)
    after = client.page("vendor", cursor=held["next"])
    names = [record["name"] for record in held["records"] + after["records"]]
    assert sorted(set(names)) == ["early", "late"]


def test_a_stream_that_is_mapped_while_a_page_is_read_is_not_passed_by(
    demo: Viewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(demo)
    start = client.page("vendor")["next"]

    def mapped_meanwhile(*args: Any, **named: Any) -> Any:
        monkeypatch.undo()
        applied(demo.database, plant("north"), plant("south"))
        demo.make_models()
        demo.put("vendors", {"1": {"name": "Elsewhere"}}, connection="Plant south")
        return read_changes(*args, **named)

    monkeypatch.setattr("scheduler.feed.models.read_changes", mapped_meanwhile)
    page = client.page("vendor", cursor=start)
    assert [record["name"] for record in page["records"]] == ["Elsewhere"]


def test_a_time_that_no_calendar_of_python_has_does_not_stop_its_readers(demo: Viewed) -> None:
    demo.put("work_orders", {"8": {"title": "a", "due_date": "0001-01-01T00:00:00+01:00"}})
    demo.put("work_orders", {"9": {"title": "b", "due_date": "9999-12-31T23:59:59-01:00", "n": "%s"}})
    demo.put("work_orders", {"%(a)s %": '{"title": "c", "n": 1e999, "m": ' + "9" * 5000 + "}"})
    records = Client(demo).page("work_order")["records"]
    assert {record["title"]: record["due_at"] for record in records[1:]} == {"a": None, "b": None, "c": None}


def test_a_model_is_read_across_connections_or_of_one(demo: Viewed) -> None:
    applied(demo.database, plant("north"), plant("south"))
    demo.put("vendors", {"1": {"name": "Elsewhere"}}, connection="Plant south")
    demo.make_models()
    client = Client(demo)
    assert len(client.page("vendor")["records"]) == 2
    (record,) = client.page("vendor", connection="Plant south")["records"]
    assert (record["connection"], record["name"]) == ("Plant south", "Elsewhere")
    later = datetime(2200, 1, 1, tzinfo=UTC).isoformat()
    assert client.page("vendor", updated_after=later)["records"] == []
    assert len(client.page("vendor", updated_after="2020-01-01T00:00:00Z")["records"]) == 2


def test_what_is_asked_wrongly_is_told(demo: Viewed) -> None:
    client = Client(demo)
    assert client.page("work_orders", 404)["hint"] == "Did you mean 'work_order'?"
    assert client.page("vendor", 404, connection="nowhere")["code"] == "unknown_connection"
    assert client.page("vendor", 422, cursor="x")["place"] == "query.cursor"
    assert client.page("vendor", 422, updated_after="2026-01-01T00:00:00")["place"] == "query.updated_after"
