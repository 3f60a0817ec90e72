"""The unified models of Odoo, from records as Odoo writes them: `false` where nothing is, many2one as `[id, name]`.

The values are made up: no documentation has an answer with all of these fields.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from integration.views.viewed import Viewed

pytestmark = pytest.mark.integration

RECORDS: dict[str, dict[str, Any]] = {
    "work_orders": {
        "id": 12, "name": "Bearing is loud", "description": False, "owner_user_id": [2, "Mitchell Admin"],
        "equipment_id": [4, "Press/PR-4"], "stage_id": [2, "In Progress"], "priority": "3", "archive": False,
        "maintenance_type": "corrective", "schedule_date": "2026-03-04 07:30:00", "close_date": False,
        "create_date": "2026-03-01 07:12:09", "write_date": "2026-03-02 07:12:09",
    },
    "equipment": {
        "id": 4, "name": "Press", "active": False, "category_id": [1, "Presses"], "serial_no": "PR-4", "model": False,
        "note": False, "assign_date": "2020-05-01", "create_date": "2026-03-01 07:12:09", "write_date": "2026-03-02 07:12:09",
    },
    "products": {
        "id": 8, "default_code": False, "barcode": False, "active": True, "name": "Bearing", "categ_id": [3, "All / Parts"],
        "uom_id": [1, "Units"], "create_date": "2026-03-01 07:12:09", "write_date": "2026-03-02 07:12:09",
    },
    "stock": {
        "id": 9, "product_id": [8, "Bearing"], "location_id": [5, "WH/Stock"], "lot_id": False, "quantity": 0.0,
        "reserved_quantity": 2.5, "create_date": "2026-03-01 07:12:09", "write_date": "2026-03-02 07:12:09",
    },
    "purchase_orders": {
        "id": 20, "name": "P00020", "state": "to approve", "partner_id": [25, "Deco Addict"], "date_order": "2026-03-01 23:30:00",
        "date_planned": False, "currency_id": [1, "USD"], "amount_untaxed": 100.0, "amount_tax": 19.0, "amount_total": 119.0,
        "create_date": "2026-03-01 07:12:09", "write_date": "2026-03-02 07:12:09",
    },
    "purchase_order_lines": {
        "id": 21, "order_id": [20, "P00020"], "sequence": 10, "product_id": [8, "Bearing"], "name": "Bearing", "product_qty": 2.0,
        "qty_received": 0.0, "price_unit": 50.0, "price_tax": 19.0, "price_total": 119.0, "date_planned": "2026-03-09 12:00:00",
    },
}  # fmt: skip


@pytest.fixture
def odoo(viewed: Viewed) -> Viewed:
    viewed.connect(
        "odoo",
        system="odoo",
        settings={"base_url": "https://mycompany.example.com"},
        secrets={"api_key": "env://ODOO_KEY"},
    )
    for name, record in RECORDS.items():
        viewed.put(name, {str(record["id"]): record}, connection="Plant odoo")
    viewed.make_models()
    return viewed


def one(viewed: Viewed, view: str) -> dict[str, Any]:
    (row,) = viewed.all(f"SELECT * FROM models.{view}")
    return row


def fitting(row: dict[str, Any], **wanted: Any) -> bool:
    assert {name: row[name] for name in wanted} == wanted
    return True


def test_records_of_odoo_are_read_as_the_unified_models(odoo: Viewed) -> None:
    assert fitting(
        one(odoo, "work_order"), title="Bearing is loud", description=None, status="in_progress", priority="high",
        type="corrective", asset_id="4", requester_id="2", completed_at=None,
        scheduled_start=datetime(2026, 3, 4, 7, 30, tzinfo=UTC), remote_created_at=datetime(2026, 3, 1, 7, 12, 9, tzinfo=UTC),
    )  # fmt: skip
    assert fitting(
        one(odoo, "asset"), name="Press", status="archived", category="Presses", model=None, serial_number="PR-4",
        installed_at=datetime(2020, 5, 1, tzinfo=UTC),
    )  # fmt: skip
    assert fitting(one(odoo, "part"), number=None, unit="Units", is_active=True, category="All / Parts")
    assert fitting(
        one(odoo, "inventory_level"),
        part_id="8",
        location_id="5",
        lot_or_serial=None,
        on_hand=0,
        reserved=Decimal("2.5"),
    )
    assert fitting(
        one(odoo, "purchase_order"), number="P00020", status="sent", vendor_id="25", order_date=date(2026, 3, 1),
        expected_at=None, currency="USD", total=119,
    )  # fmt: skip
    assert fitting(
        one(odoo, "purchase_order__lines"),
        parent_remote_id="20",
        part_id="8",
        quantity=2,
        received_qty=0,
        line_no=10,
    )


def test_an_archived_order_is_cancelled_and_a_stage_of_ones_own_is_unknown(odoo: Viewed) -> None:
    for change, status in (({"archive": True}, "cancelled"), ({"stage_id": [9, "Waiting for parts"]}, None)):
        odoo.put("work_orders", {"12": {**RECORDS["work_orders"], **change}}, connection="Plant odoo")
        assert one(odoo, "work_order")["status"] == status
