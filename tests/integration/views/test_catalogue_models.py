"""Unified models of systems that could only be read about: what refers to a record finds it, and lines come with their order.

The values are made up, in the shapes that documentation shows.
"""

from typing import Any

import pytest
from integration.views.viewed import Viewed

from worker.connectors.reading.keys import make_key

pytestmark = pytest.mark.integration

PUMP, BOLT = make_key(["P-7", "BEDFORD"]), make_key(["0-0031", "SET1"])
MAXIMO: dict[str, dict[str, Any]] = {
    "work_orders": {
        make_key(["1204", "BEDFORD"]): {
            "wonum": "1204", "siteid": "BEDFORD", "description": "Bearing is loud", "status": "INPRG", "worktype": "CM",
            "assetnum": "P-7", "reportdate": "2026-03-01T08:12:09-05:00", "changedate": "2026-03-02T08:12:09-05:00",
        }
    },
    "assets": {PUMP: {"assetnum": "P-7", "siteid": "BEDFORD", "description": "Pump", "changedate": "2026-03-02T08:12:09-05:00"}},
    "purchase_orders": {
        make_key(["PO-9", "BEDFORD", 0]): {
            "ponum": "PO-9", "siteid": "BEDFORD", "orgid": "EAGLENA", "revisionnum": 0, "vendor": "ACME",
            "poline": [{"polinenum": 1, "itemnum": "0-0031", "itemsetid": "SET1", "orderqty": 2.0, "unitcost": 9.5}],
        }
    },
}  # fmt: skip
ERPNEXT: dict[str, dict[str, Any]] = {
    "purchase_orders": {
        "PUR-ORD-2026-00001": {
            "name": "PUR-ORD-2026-00001", "status": "To Receive and Bill", "supplier": "Acme", "grand_total": 19.0,
            "transaction_date": "2026-03-01", "modified": "2026-03-02 08:12:09.000041",
            "items": [{"idx": 1, "item_code": "BOLT", "qty": 2.0, "rate": 9.5}],
        }
    },
    "warehouses": {"Stores - A": {"name": "Stores - A", "warehouse_name": "Stores", "modified": "2026-03-02 08:12:09"}},
    "locations": {"Hall 1": {"name": "Hall 1", "location_name": "Hall 1", "modified": "2026-03-02 08:12:09"}},
}  # fmt: skip


def put(viewed: Viewed, system: str, records: dict[str, dict[str, Any]], **given: Any) -> None:
    viewed.connect(system, system=system, **given)
    for stream, found in records.items():
        viewed.put(stream, found, connection=f"Plant {system}")
    viewed.make_models()


def test_a_work_order_of_maximo_names_its_asset_by_number_and_site(viewed: Viewed) -> None:
    put(
        viewed,
        "maximo",
        MAXIMO,
        settings={"base_url": "https://maximo.example.com/maximo"},
        secrets={"api_key": "env://KEY"},
    )
    (order,) = viewed.all(
        "SELECT o.status, o.type, o.location_id, a.name FROM models.work_order o JOIN models.asset a ON a.remote_id = o.asset_id"
    )
    assert order == {"status": "in_progress", "type": "corrective", "location_id": None, "name": "Pump"}
    (line,) = viewed.all("SELECT part_id, quantity, unit_price FROM models.purchase_order__lines")
    assert line == {"part_id": BOLT, "quantity": 2, "unit_price": 9.5}


def test_an_order_of_erpnext_has_its_rows_and_locations_are_of_two_kinds(viewed: Viewed) -> None:
    put(
        viewed,
        "erpnext",
        ERPNEXT,
        settings={"base_url": "https://erp.example.com", "timezone": "Europe/Berlin"},
        secrets={"api_key": "env://KEY", "api_secret": "env://SECRET"},
    )
    (order,) = viewed.all("SELECT status, vendor_id, total FROM models.purchase_order")
    assert order == {"status": "approved", "vendor_id": "Acme", "total": 19}
    (line,) = viewed.all("SELECT line_no, part_id, quantity FROM models.purchase_order__lines")
    assert line == {"line_no": 1, "part_id": "BOLT", "quantity": 2}
    found = viewed.all("SELECT name, type FROM models.location ORDER BY name")
    assert [(one["name"], one["type"]) for one in found] == [("Hall 1", None), ("Stores", "warehouse")]
