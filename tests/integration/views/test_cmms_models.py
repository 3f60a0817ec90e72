"""Unified models of UpKeep and Limble on records as their documentation shows them, of InvenTree on answers of its own server."""

import json
from typing import Any

import pytest
from integration.views.viewed import Viewed

from worker.connectors.registry.places import CATALOG

pytestmark = pytest.mark.integration

UPKEEP: dict[str, dict[str, Any]] = {
    "work_orders": {
        "wfhn43LMh3": {
            "id": "wfhn43LMh3", "title": "Repair sink", "status": "inProgress", "priority": 0, "dueDate": "2016-10-22T01:00:00.000Z",
            "workOrderNo": "150", "asset": "gHhn43LMh3", "location": {"id": "Kfhn03LMh3", "name": "New York"}, "assignedToUser": "Lhhn43LMh3",
        }
    },
    "assets": {"gHhn43LMh3": {"id": "gHhn43LMh3", "name": "Printer", "location": "Kfhn03LMh3"}},
}  # fmt: skip
TASK = {
    "taskID": 16, "name": "Part Qty Threshold Hit", "userID": 0, "teamID": 436, "locationID": 73, "template": False, "createdDate": 1457569392,
    "startDate": 0, "due": 1457569392, "description": "", "dateCompleted": 1457569392, "lastEdited": 1518826313, "assetID": 0, "priority": 0,
    "statusID": 2, "type": 7, "status": 1,
}  # fmt: skip
LIMBLE: dict[str, dict[str, Any]] = {
    "tasks": {
        "16": TASK,
        "17": TASK | {"taskID": 17, "status": 0, "statusID": 0, "dateCompleted": 0, "assetID": 5, "userID": 340, "type": 1},
        "18": TASK | {"taskID": 18, "status": 0, "statusID": 6272, "dateCompleted": 0},
        "19": TASK | {"taskID": 19, "template": True},
    },
    "assets": {"5": {"assetID": 5, "name": "Press", "parentAssetID": 0, "locationID": 73}},
    "parts": {"1031": {"partID": 1031, "number": "25x25x1", "name": "Filter", "generalStock": 0, "stockOnHand": 0, "locationID": 163}},
    "purchase_orders": {"8203": {"poID": 8203, "poNumber": 4, "vendorID": 7, "date": 1636670374, "expectedDate": 0, "status": 0}},
    "purchase_order_items": {"8": {"poItemID": 8, "poID": 8203, "partID": 1031, "qty": 8, "qtyReceived": 0, "rate": 5.99}},
}  # fmt: skip


def put(viewed: Viewed, system: str, records: dict[str, dict[str, Any]], **given: Any) -> None:
    viewed.connect(system, system=system, **given)
    for stream, found in records.items():
        viewed.put(stream, found, connection=f"Plant {system}")
    viewed.make_models()


def test_related_records_of_upkeep_are_ids_or_whole(viewed: Viewed) -> None:
    put(viewed, "upkeep", UPKEEP, settings={}, secrets={"email": "env://E", "password": "env://P"})
    (order,) = viewed.all(
        "SELECT o.number, o.status, o.priority, o.location_id, o.assignee_ids, a.name FROM models.work_order o"
        " JOIN models.asset a ON a.remote_id = o.asset_id"
    )
    assert [*order.values()] == ["150", "in_progress", "none", "Kfhn03LMh3", ["Lhhn43LMh3"], "Printer"]


def test_nought_means_nothing_in_a_task_of_limble_and_templates_are_no_orders(viewed: Viewed) -> None:
    put(viewed, "limble", LIMBLE, settings={}, secrets={"client_id": "env://I", "client_secret": "env://S"})
    found = viewed.all(
        "SELECT number, status, type, asset_id, assignee_ids, completed_at::date::text AS done FROM models.work_order ORDER BY number"
    )
    assert [[*one.values()] for one in found] == [
        ["16", "done", "other", None, None, "2016-03-10"],
        ["17", "open", "preventive", "5", ["340"], None],
        ["18", "open", "other", None, None, None],
    ]
    assert viewed.all("SELECT name, parent_id FROM models.asset") == [{"name": "Press", "parent_id": None}]


def test_an_order_of_limble_has_its_items_and_an_empty_stock_is_a_number(viewed: Viewed) -> None:
    put(viewed, "limble", LIMBLE, settings={}, secrets={"client_id": "env://I", "client_secret": "env://S"})
    (order,) = viewed.all(
        "SELECT o.number, o.status, o.expected_at, l.quantity, l.received_qty, l.unit_price::text AS price, p.name, i.on_hand"
        " FROM models.purchase_order o JOIN models.purchase_order__lines l ON l.parent_remote_id = o.remote_id"
        " JOIN models.part p ON p.remote_id = l.part_id JOIN models.inventory_level i ON i.part_id = p.remote_id"
    )
    assert [*order.values()] == ["4", "draft", None, 8, 0, "5.99", "Filter", 0]


def test_what_a_server_of_inventree_answered_is_mapped(viewed: Viewed) -> None:
    streams = ("parts", "stock_items", "locations", "suppliers", "purchase_orders", "purchase_order_lines")
    answered = {
        name: json.loads((CATALOG / "inventree" / "recorded" / f"{name}.json").read_text())
        for name in streams
    }
    records = {
        name: {str(record["pk"]): record for record in one["response"]["body"]["results"]}
        for name, one in answered.items()
    }
    settings = {"base_url": "https://inventree.example.com", "timezone": "America/Los_Angeles"}
    put(viewed, "inventree", records, settings=settings, secrets={"token": "env://T"})
    found = viewed.all(
        "SELECT o.number, o.status, o.expected_at::date::text AS due, v.name AS vendor, l.line_no, l.quantity, l.total, p.number AS part"
        " FROM models.purchase_order o JOIN models.vendor v ON v.remote_id = o.vendor_id"
        " JOIN models.purchase_order__lines l ON l.parent_remote_id = o.remote_id"
        " JOIN models.part p ON p.remote_id = l.part_id ORDER BY l.line_no"
    )
    assert [[*one.values()] for one in found] == [
        ["PO-0001", "sent", "2026-12-15", "Example Bearings", 10, 10, 75, "BRG-6205"],
        ["PO-0001", "sent", "2026-12-15", "Example Bearings", 20, 30, 126, "BLT-017"],
    ]
    levels = viewed.all(
        "SELECT i.on_hand, i.lot_or_serial, p.name AS place, p.parent_id IS NOT NULL AS inside FROM models.inventory_level i"
        " JOIN models.location p ON p.remote_id = i.location_id ORDER BY i.on_hand"
    )
    assert [(one["on_hand"], one["lot_or_serial"]) for one in levels][:2] == [
        (3, "B-2026-07"),
        (12, "B-2026-04"),
    ]
    assert {(one["place"], one["inside"]) for one in levels} == {("Shelf A", True)}
