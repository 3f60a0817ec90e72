"""Webhooks as their systems' documentation shows them, read as the manifests of the catalogue say."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Delivery, Webhooks
from worker.connectors.manifest.model import load_manifest
from worker.connectors.registry.places import CATALOG
from worker.secrets import Secret

SECRET = "shared-signature-secret"
DERIVED = hashlib.sha256(SECRET.encode()).hexdigest().encode()
"""The key of which Limble makes its signatures."""
SETTINGS: dict[str, dict[str, Any]] = {
    "shiphero": {},
    "acumatica": {"base_url": "https://erp.example.com", "company": "Plant"},
    "limble": {},
    "upkeep": {},
    "business_central": {"tenant_id": "t", "company_id": "b18aed47-c385-49d2-b954-dbdf8ad71780"},
}
COMPANY = "api/v2.0/companies(b18aed47-c385-49d2-b954-dbdf8ad71780)"
PUBLISHED: list[tuple[str, dict[str, Any], list[tuple[str, str, str | None]]]] = [
    (
        "shiphero",
        {"webhook_type": "PO Update", "test": "0", "purchase_order": {"id": 1070110, "po_uuid": "UHVyY2hhc2VPcmRlcjoxMDcwMTEw"}},
        [("purchase_orders", "record", "UHVyY2hhc2VPcmRlcjoxMDcwMTEw"), ("purchase_order_lines", "stream", None)],
    ),
    (
        "shiphero",
        {"webhook_type": "Order Canceled", "order_id": 389118717, "order_uuid": "T3JkZXI6Mzg5MTE4NzE3"},
        [("orders", "record", "T3JkZXI6Mzg5MTE4NzE3")],
    ),
    (
        "shiphero",
        {"webhook_type": "Inventory Update", "account_id": 63898, "inventory": [{"sku": "S-1", "on_hand": "148"}]},
        [("inventory", "stream", None)],
    ),
    (
        "acumatica",
        {"Inserted": [{"OrderNbr": "PO1"}], "Deleted": [], "Query": "PurchaseOrders", "CompanyId": "Plant", "Id": "a4d2", "TimeStamp": 636295833829493672},
        [("purchase_orders", "stream", None), ("purchase_order_lines", "stream", None)],
    ),
    (
        "business_central",
        {
            "value": [
                {"clientState": SECRET, "resource": f"{COMPANY}/items(26814998-936a-401c-81c1-0e848a64971d)", "changeType": "updated", "lastModifiedDateTime": "2018-10-26T12:54:20.467Z"},
                {"clientState": SECRET, "resource": f"{COMPANY}/vendors(4b4f31f0-dc1c-4033-b2aa-ab03ca1d6ebc)", "changeType": "deleted", "lastModifiedDateTime": "2018-10-26T12:54:30.503Z"},
                {"clientState": SECRET, "resource": f"/{COMPANY}/items?$filter=lastDateTimeModified%20gt%202018-10-15T11:00:00Z", "changeType": "collection", "lastModifiedDateTime": "2018-10-26T12:54:30.503Z"},
            ]
        },
        [
            ("items", "record", "26814998-936a-401c-81c1-0e848a64971d"),
            ("vendors", "delete", "4b4f31f0-dc1c-4033-b2aa-ab03ca1d6ebc"),
            ("items", "stream", None),
        ],
    ),
    ("limble", {"taskID": 8203, "status": "COMPLETE", "category": "task", "user": "bob@example.com"}, [("tasks", "record", "8203")]),
    ("limble", {"poItemID": 8203, "status": "DELETED", "category": "poItem"}, [("purchase_order_items", "record", "8203")]),
    ("limble", {"valueID": 46490, "status": "DELETED", "category": "location"}, [("locations", "stream", None)]),
    ("limble", {"valueID": 46490, "status": "UPDATED", "category": "assetField"}, [("asset_fields", "record", "46490")]),
    ("limble", {"instructionID": 46490, "status": "Updated", "category": "instruction"}, []),
    (
        "upkeep",
        {"id": "wfhn43LMh3", "title": "Repair sink", "createdAt": "2016-10-20T10:17:13.712Z"},
        [(stream, "record", "wfhn43LMh3") for stream in ("work_orders", "purchase_orders", "requests")],
    ),
]  # fmt: skip


@lru_cache
def webhooks_of(system: str) -> Webhooks:
    found = (
        ManifestConnector(load_manifest(CATALOG / system / "manifest.yaml")).bind(SETTINGS[system]).webhooks
    )
    assert found is not None
    return found


@pytest.mark.parametrize(("system", "payload", "hints"), PUBLISHED)
def test_what_was_published_leads_to_its_record_or_stream(
    system: str, payload: dict[str, Any], hints: list[tuple[str, str, str | None]]
) -> None:
    body = json.dumps(payload).encode()
    proof = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    headers = [
        ("x-shiphero-hmac-sha256", proof),
        ("x-shiphero-message-id", "1"),
        ("x-headrace-secret", SECRET),
        ("timestamp", "17"),
        ("token", "token"),
        ("signature", hmac.new(DERIVED, b"17token", hashlib.sha256).hexdigest()),
    ]
    delivery = Delivery("POST", body, headers, rest=SECRET)
    webhooks = webhooks_of(system)
    secrets = dict.fromkeys(("webhook_secret", "client_state"), Secret(SECRET))
    signed = webhooks.verify(delivery, secrets, datetime(2026, 6, 15, tzinfo=UTC))
    told = webhooks.told(delivery, signed, "fresh")
    assert [(hint.stream, hint.kind, hint.key) for hint in told.hints] == hints
