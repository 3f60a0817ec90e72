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

NETSUITE: dict[str, dict[str, Any]] = {
    "purchase_orders": {
        "607632": {
            "links": [], "id": "607632", "tranid": "PO17", "trandate": "2026-03-01", "entity": "7", "status": "PurchOrd:E",
            "foreigntotal": "-19.5", "changed": "2026-03-02 08:12:09",
        }
    },
    "purchase_order_lines": {
        "88": {
            "links": [], "uniquekey": "88", "purchase_order_id": "607632", "linesequencenumber": "1", "item": "12", "quantity": "2.5",
            "quantityshiprecv": "1", "rate": "7.8", "changed": "2026-03-02 08:12:09",
        }
    },
    "vendors": {"7": {"links": [], "id": "7", "entityid": "V7", "companyname": "Acme"}},
    "inventory_levels": {make_key(["12", "1"]): {"links": [], "item": "12", "location": "1", "quantityonhand": "4.5"}},
}  # fmt: skip
ACUMATICA: dict[str, dict[str, Any]] = {
    "purchase_orders": {
        "8689c293-62bd-ef11-a82c-000d3ae74153": {
            "id": "8689c293-62bd-ef11-a82c-000d3ae74153", "OrderNbr": {"value": "PO000017"}, "VendorID": {"value": "ACME"},
            "Status": {"value": "Open"}, "Date": {"value": "2026-03-01T00:00:00+00:00"}, "PromisedOn": {},
            "OrderTotal": {"value": 19.5}, "LastModifiedDateTime": {"value": "2026-03-02T08:12:09.433+00:00"},
            "Details": [{"LineNbr": {"value": 1}, "InventoryID": {"value": "BOLT"}, "OrderQty": {"value": 2.5}, "LineDescription": {}}],
        }
    },
    "vendors": {"ACME": {"VendorID": {"value": "ACME"}, "VendorName": {"value": "Acme"}, "MainContact": {"Email": {"value": "a@acme.example"}, "Phone1": {}}}},
    "inventory_levels": {make_key(["BOLT", "MAIN"]): {"InventoryID": {"value": "BOLT"}, "WarehouseID": {"value": "MAIN"}, "QtyOnHand": {"value": 4.5}}},
}  # fmt: skip
SHIPHERO: dict[str, dict[str, Any]] = {
    "purchase_orders": {
        "UHVyY2hhc2VPcmRlcjoxMDcwMTEw": {
            "id": "UHVyY2hhc2VPcmRlcjoxMDcwMTEw", "po_number": "PO 31", "fulfillment_status": "closed", "total_price": "19.50",
            "vendor_id": "VmVuZG9yOjQyMzA0OQ==", "po_date": "2026-03-01T00:00:00",
            "line_items": {"edges": [{"node": {"product_id": "UHJvZHVjdDo5", "quantity": 10, "quantity_received": 5, "price": "1.95"}}]},
        }
    },
    "vendors": {"VmVuZG9yOjQyMzA0OQ==": {"id": "VmVuZG9yOjQyMzA0OQ==", "name": "Acme"}},
    "inventory": {"V1": {"id": "V1", "sku": "S-1", "product": {"id": "UHJvZHVjdDo5"}, "warehouse_id": "W1", "on_hand": 148, "allocated": 10}},
}  # fmt: skip

LEGAL = "usmf"
CLOSED = "/Date(1473638400000)/"
SAP: dict[str, dict[str, Any]] = {
    "maintenance_orders": {
        "4000000": {
            "MaintenanceOrder": "4000000", "MaintenanceOrderDesc": "Mechanical Inspection", "MaintPriority": "2", "Equipment": "217100002",
            "FunctionalLocation": "1710-SPA", "MaintOrdBasicEndDateTime": None, "MaintOrdBasicEndDate": CLOSED, "LastChangeDateTime": None,
        }
    },
    "equipment": {"217100002": {"Equipment": "217100002", "EquipmentName": "Valve", "SuperordinateEquipment": "", "CreationDate": CLOSED}},
    "purchase_orders": {
        "4500000028": {
            "PurchaseOrder": "4500000028", "Supplier": "17300001", "PurchaseOrderDate": CLOSED,
            "to_PurchaseOrderItem": {"results": [{"PurchaseOrderItem": "10", "Material": "TG0012", "OrderQuantity": "1", "NetPriceAmount": "40.00"}]},
        }
    },
    "products": {
        "A001": {
            "Product": "A001", "IsMarkedForDeletion": False,
            "to_Description": {"results": [{"Language": "DE", "ProductDescription": "Dichtung"}, {"Language": "EN", "ProductDescription": "Seal"}]},
        }
    },
}  # fmt: skip
CENTRAL: dict[str, dict[str, Any]] = {
    "items": {"i1": {"id": "i1", "number": "1896-S", "displayName": "Desk", "blocked": False, "unitCost": 780.7}},
    "inventory": {"i1": {"id": "i1", "number": "1896-S", "inventory": 4}},
    "vendors": {"v1": {"id": "v1", "number": "10000", "displayName": "Fabrikam", "blocked": "_x0020_", "city": "Atlanta", "country": "US"}},
    "purchase_orders": {
        "p1": {
            "id": "p1", "number": "106001", "vendorId": "v1", "status": "Open", "fullyReceived": False, "orderDate": "2026-03-01",
            "requestedReceiptDate": "0001-01-01", "totalAmountIncludingTax": 1561.4,
            "purchaseOrderLines": [{"sequence": 10000, "itemId": "i1", "quantity": 2, "receivedQuantity": 0, "expectedReceiptDate": "2026-04-01"}],
        }
    },
}  # fmt: skip
FINANCE: dict[str, dict[str, Any]] = {
    "purchase_orders": {
        make_key([LEGAL, "PO1"]): {
            "dataAreaId": LEGAL, "PurchaseOrderNumber": "PO1", "OrderVendorAccountNumber": "1001", "PurchaseOrderStatus": "Received",
            "ConfirmedDeliveryDate": "1900-01-01T12:00:00Z", "RequestedDeliveryDate": "2026-03-01T12:00:00Z",
        }
    },
    "purchase_order_lines": {
        make_key([LEGAL, "PO1", 1]): {"dataAreaId": LEGAL, "PurchaseOrderNumber": "PO1", "LineNumber": 1, "ItemNumber": "D0001", "OrderedPurchaseQuantity": 2}
    },
    "vendors": {make_key([LEGAL, "1001"]): {"dataAreaId": LEGAL, "VendorAccountNumber": "1001", "VendorOrganizationName": "Acme"}},
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


ORDER = """SELECT o.number, o.status, o.order_date::text, o.total, v.name, l.part_id, l.quantity, l.received_qty, i.on_hand
    FROM models.purchase_order o
    JOIN models.purchase_order__lines l ON l.parent_remote_id = o.remote_id
    JOIN models.vendor v ON v.remote_id = o.vendor_id
    JOIN models.inventory_level i ON i.part_id = l.part_id"""


def test_an_order_of_netsuite_has_its_lines_from_a_stream_of_their_own_and_numbers_from_texts(
    viewed: Viewed,
) -> None:
    settings = {
        "base_url": "https://1234567.suitetalk.api.netsuite.com",
        "account": "1234567",
        "timezone": "America/Los_Angeles",
    }
    put(viewed, "netsuite", NETSUITE, settings=settings, secrets={})
    (order,) = viewed.all(ORDER)
    assert [*order.values()] == ["PO17", "partially_received", "2026-03-01", -19.5, "Acme", "12", 2.5, 1, 4.5]


def test_values_of_acumatica_are_unwrapped_and_empty_wraps_are_null(viewed: Viewed) -> None:
    settings = {"base_url": "https://erp.example.com", "company": "Plant"}
    put(
        viewed,
        "acumatica",
        ACUMATICA,
        settings=settings,
        secrets={"username": "env://USER", "password": "env://PASSWORD"},
    )
    (order,) = viewed.all(ORDER)
    assert [*order.values()] == ["PO000017", "approved", "2026-03-01", 19.5, "Acme", "BOLT", 2.5, None, 4.5]
    (vendor,) = viewed.all("SELECT email, phone FROM models.vendor")
    assert vendor == {"email": "a@acme.example", "phone": None}


def test_lines_of_shiphero_are_the_nodes_of_their_order(viewed: Viewed) -> None:
    put(viewed, "shiphero", SHIPHERO, settings={}, secrets={"refresh_token": "env://TOKEN"})
    (order,) = viewed.all(ORDER)
    assert [*order.values()] == ["PO 31", "closed", None, 19.5, "Acme", "UHJvZHVjdDo5", 10, 5, 148]
    (level,) = viewed.all("SELECT location_id, reserved FROM models.inventory_level")
    assert level == {"location_id": "W1", "reserved": 10}


def test_orders_of_sap_name_equipment_and_tell_days_and_moments(viewed: Viewed) -> None:
    secrets = {"username": "env://U", "password": "env://P"}
    put(viewed, "sap_s4hana", SAP, settings={"base_url": "https://s4.example.com"}, secrets=secrets)
    (order,) = viewed.all(
        "SELECT o.priority, o.due_at::date::text AS due, a.name, a.parent_id FROM models.work_order o"
        " JOIN models.asset a ON a.remote_id = o.asset_id"
    )
    assert order == {"priority": "high", "due": "2016-09-12", "name": "Valve", "parent_id": None}
    (bought,) = viewed.all("SELECT order_date::text AS day FROM models.purchase_order")
    (line,) = viewed.all("SELECT line_no, part_id, quantity, unit_price FROM models.purchase_order__lines")
    assert bought == {"day": "2016-09-12"}
    assert line == {"line_no": 10, "part_id": "TG0012", "quantity": 1, "unit_price": 40}
    assert viewed.all("SELECT name, is_active FROM models.part") == [{"name": "Seal", "is_active": True}]


def test_orders_of_business_central_name_vendors_and_items_and_have_no_date_of_the_year_one(
    viewed: Viewed,
) -> None:
    settings = {"tenant_id": "t", "company_id": "c"}
    secrets = {"client_id": "env://ID", "client_secret": "env://SECRET"}
    put(viewed, "business_central", CENTRAL, settings=settings, secrets=secrets)
    (order,) = viewed.all(
        "SELECT o.status, o.expected_at, o.total, v.name, v.is_active, v.address FROM models.purchase_order o"
        " JOIN models.vendor v ON v.remote_id = o.vendor_id"
    )
    assert order["expected_at"] is None
    assert (order["status"], order["name"], order["address"]) == ("approved", "Fabrikam", "Atlanta, US")
    assert (float(order["total"]), order["is_active"]) == (1561.4, True)
    (line,) = viewed.all(
        "SELECT l.quantity, p.name, s.on_hand FROM models.purchase_order__lines l"
        " JOIN models.part p ON p.remote_id = l.part_id JOIN models.inventory_level s ON s.part_id = p.remote_id"
    )
    assert line == {"quantity": 2, "name": "Desk", "on_hand": 4}


def test_lines_of_finance_and_operations_name_their_order_by_company_and_number(viewed: Viewed) -> None:
    settings = {"base_url": "https://fo.example.com", "tenant_id": "t"}
    secrets = {"client_id": "env://ID", "client_secret": "env://SECRET"}
    put(viewed, "dynamics_fo", FINANCE, settings=settings, secrets=secrets)
    (order,) = viewed.all(
        "SELECT o.status, o.expected_at::date::text AS day, v.name, l.line_no, l.quantity FROM models.purchase_order o"
        " JOIN models.vendor v ON v.remote_id = o.vendor_id JOIN models.purchase_order__lines l ON l.parent_id = o.id"
    )
    assert order == {"status": "received", "day": "2026-03-01", "name": "Acme", "line_no": 1, "quantity": 2}
