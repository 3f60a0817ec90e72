"""SAP S/4HANA, as its services describe themselves: OData V2 of SAP Gateway, a service for each kind of document.

Names, types and keys are from the `$metadata` of SAP's services (copies of 2019 to 2024 in public projects), shapes and records that have
no time of change from answers of SAP's sandbox that were published (latonaio, 2022), all read on 2026-11-27. From memory: that a
refused log-in is told by a web page, and that V2 answers in Atom where nobody asks for JSON.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from connectors.doubles.odata_server import Entity, ODataServer, date_of

from scheduler.connectors.check import Answer, Call, Complaint, Row, Table
from scheduler.connectors.check.double.times import SECOND
from scheduler.connectors.check.double.truth import BEGINNING

CLIENT = "100"
STAMPED = BEGINNING + timedelta(seconds=90)
"""A third of what is older was never stamped with a time of change."""
FOREVER = date_of(datetime(9999, 12, 31, tzinfo=UTC))
LONG_AGO = date_of(datetime(2020, 1, 1, tzinfo=UTC))
NO_RECORD = {
    "Plant": "1710",
    "StorageLocation": "",
    "Supplier": "",
    "Customer": "",
    "WBSElementInternalID": "0",
}
STOCK = {
    **NO_RECORD,
    "SDDocument": "",
    "SDDocumentItem": "0",
    "InventorySpecialStockType": "",
    "InventoryStockType": "01",
    "MatlWrhsStkQtyInMatlBaseUnit": "12.000",
}
PARTS: Mapping[str, tuple[str, str, str, Mapping[str, Any]]] = {
    "maintenance_orders": ("API_MAINTENANCEORDER;v=0002/MaintenanceOrder", "MaintenanceOrder", "MaintenanceOrderDesc", {"Equipment": "", "MaintOrdBasicEndDate": LONG_AGO}),
    "maintenance_notifications": ("API_MAINTNOTIFICATION/MaintenanceNotification", "MaintenanceNotification", "NotificationText", {"LastChangeTime": "PT12H30M00S"}),
    "equipment": ("API_EQUIPMENT/Equipment", "Equipment", "EquipmentName", {"ValidityEndDate": FOREVER, "GrossWeight": "7.400"}),
    "functional_locations": ("API_FUNCTIONALLOCATION/FunctionalLocation", "FunctionalLocation", "FunctionalLocationName", {}),
    "products": ("API_PRODUCT_SRV/A_Product", "Product", "ProductOldID", {"LastChangeDate": LONG_AGO}),
    "material_stocks": ("API_MATERIAL_STOCK_SRV/A_MaterialStock", "Material", "MaterialBaseUnit", {}),
    "vendors": ("API_BUSINESS_PARTNER/A_Supplier", "Supplier", "SupplierName", {}),
    "purchase_orders": ("API_PURCHASEORDER_PROCESS_SRV/A_PurchaseOrder", "PurchaseOrder", "CorrespncExternalReference", {"PurchaseOrderDate": LONG_AGO}),
    "purchase_requisitions": ("API_PURCHASEREQ_PROCESS_SRV/A_PurchaseRequisitionHeader", "PurchaseRequisition", "PurReqnDescription", {}),
    "purchase_requisition_items": ("API_PURCHASEREQ_PROCESS_SRV/A_PurchaseRequisitionItem", "PurchaseRequisitionItem", "PurchaseRequisitionItemText", {"PurchaseRequisition": "10000001", "RequestedQuantity": "1.000"}),
}  # fmt: skip
"""The entity below its service, its own key, the text that a change changes, and what else is in it."""
UNTIMED = frozenset({"material_stocks", "vendors", "purchase_requisitions"})
TO_THE_SECOND = frozenset(
    {"maintenance_orders", "maintenance_notifications", "equipment", "functional_locations"}
)
KEYS: Mapping[str, tuple[str, ...]] = {
    "equipment": ("Equipment", "ValidityEndDate"),
    "purchase_requisition_items": ("PurchaseRequisition", "PurchaseRequisitionItem"),
}
INNER: Mapping[str, Table] = {
    "operations": Table(
        "MaintenanceOrderOperation", "{:04}".format, None, of="maintenance_orders", within="to_MaintenanceOrderOperation"
    ),
    "descriptions": Table("Language", "{:02}".format, None, of="products", within="to_Description"),
    "items": Table("PurchaseOrderItem", "{:05}".format, None, of="purchase_orders", within="to_PurchaseOrderItem"),
    "stock": Table(
        "Batch",
        "B{:05}".format,
        None,
        content=lambda number: {"Material": f"M {number}", **STOCK},
        edited="Material",
        of="material_stocks",
        within="to_MatlStkInAcctMod",
        carries={"of_material": "Material"},
        keyed=(
            "of_material", "Plant", "StorageLocation", "Batch", "Supplier", "Customer", "WBSElementInternalID", "SDDocument",
            "SDDocumentItem", "InventorySpecialStockType", "InventoryStockType",
        ),
    ),
}  # fmt: skip


def _table(stream: str) -> Table:
    _, key, text, more = PARTS[stream]
    return Table(
        key,
        "{:08}".format,
        None if stream in UNTIMED else "LastChangeDateTime",
        unit=SECOND if stream in TO_THE_SECOND else timedelta(milliseconds=1),
        content=lambda number: {text: f"Record {number}", **more},
        edited=text,
    )


def _entity(stream: str) -> Entity:
    key = PARTS[stream][1]
    types = {"LastChangeDateTime": "datetimeoffset", "ValidityEndDate": "datetime"}
    holds = {table.within: name for name, table in INNER.items() if table.of == stream}
    return Entity(stream, KEYS.get(stream, (key,)), types, holds, (key,) if stream == "equipment" else ())


class SapS4Hana(ODataServer):
    """A client of a system."""

    system = "sap_s4hana"
    version = 2
    root = "/sap/opu/odata/sap"
    most = 400
    secrets: ClassVar[Mapping[str, str]] = {"username": "HEADRACE_COMM", "password": "double:password-of-s4"}
    entities: ClassVar[Mapping[str, Entity]] = {PARTS[stream][0]: _entity(stream) for stream in PARTS}
    tables: ClassVar[Mapping[str, Table]] = {**{stream: _table(stream) for stream in PARTS}, **INNER}

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": self.base_url, "client": CLIENT}

    def admits(self, call: Call) -> bool:
        proof = b64encode(":".join(self.secrets.values()).encode()).decode()
        return call.headers.get("authorization") == f"Basic {proof}"

    def changed_at(self, stream: str, key: str) -> datetime | int | None:
        row = self.row(stream, key)
        return None if row is not None and _is_unstamped(row) else super().changed_at(stream, key)

    def refused(self) -> Answer:
        page = "<html><head><title>Logon failed</title></head><body>Logon failed</body></html>"
        return Answer(401, page, {"Content-Type": "text/html", "WWW-Authenticate": 'Basic realm="SAP"'})

    def failing(self) -> Answer:
        return self._error(500, "/IWFND/CM_BEC/026", "RFC Error.")

    def forbidden(self) -> Answer:
        return self._error(403, "/IWFND/MED/170", "No authorization to access the service.")

    def complaints(self) -> Sequence[Complaint]:
        busy = self._error(503, "503", "Service Unavailable.", **{"Retry-After": "20"})
        absent = self._error(404, "/IWFND/MED/170", "No service found for namespace.")
        literal = self._error(400, "/IWFND/CM_MGW/", "Invalid filter expression.")
        return [
            Complaint("too much to do", busy, "transient"),
            Complaint("a service that isn't active", absent, "operator", words="No service found"),
            Complaint("a literal of another type", literal, "operator", words="Invalid filter expression"),
        ]

    def _stamp(self, stream: str, row: Row) -> Any:
        return None if _is_unstamped(row) else super()._stamp(stream, row)

    def _visible(self, call: Call, stream: str) -> list[Row]:
        """What is in this client; of equipment the periods that ended, too."""
        rows = super()._visible(call, stream) if call.param("sap-client") == CLIENT else []
        if stream == "equipment":
            ended = [row for row in rows if row.number % 4 == 0]
            rows += [replace(row, content={**row.content, "ValidityEndDate": LONG_AGO}) for row in ended]
        return rows

    def _served(self, call: Call, path: str) -> Answer:
        if "application/json" not in call.headers.get("accept", "") and call.param("$format") != "json":
            return Answer(200, "<feed/>", {"Content-Type": "application/atom+xml"})
        return super()._served(call, path)


def _is_unstamped(row: Row) -> bool:
    return row.version == 1 and row.created < STAMPED and row.number % 3 == 0
