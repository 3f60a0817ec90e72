"""Finance and Operations, as Microsoft's page on its OData and one environment's metadata say: data entities of legal entities.

Read on 2026-11-24 and 2026-11-27: odata.md (pages of at most 10,000, `cross-company`, which operators there are), the throttling
pages (429 with Retry-After), names and keys of entities in a client generated from `$metadata` in 2025, and that links to the next
page count records (`$skip=10000&$top=10000`, support.cleo.com). From memory: how an error is nested.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from connectors.doubles.entra import TENANT, Entra
from connectors.doubles.odata_filter import Compared, Condition, Joined, Negated, Refused
from connectors.doubles.odata_server import Entity

from scheduler.connectors.check import Answer, Call, Complaint, Row, Table

OWN, OTHER = "usmf", "dat"
"""The user's legal entity, and another one."""
NEVER = "1900-01-01T12:00:00Z"
DIMENSIONS = dict.fromkeys(
    ("ProductColorId", "ProductConfigurationId", "ProductSizeId", "ProductStyleId", "ProductVersionId"), ""
)
"""Of a product that comes in one kind only."""
PARTS: Mapping[str, tuple[str, str, str, Mapping[str, Any]]] = {
    "purchase_orders": ("PurchaseOrderHeadersV2", "PurchaseOrderNumber", "PurchaseOrderName", {"PurchaseOrderStatus": "Backorder", "ConfirmedDeliveryDate": NEVER}),
    "purchase_order_lines": ("PurchaseOrderLinesV2", "LineNumber", "LineDescription", {"PurchaseOrderNumber": "PO-1", "OrderedPurchaseQuantity": 2}),
    "vendors": ("VendorsV3", "VendorAccountNumber", "VendorOrganizationName", {"CurrencyCode": "USD"}),
    "products": ("ReleasedProductsV2", "ItemNumber", "ProductSearchName", {"UnitCost": 9.5}),
    "warehouses": ("Warehouses", "WarehouseId", "WarehouseName", {}),
    "inventory": ("WarehousesOnHandV2", "ItemNumber", "ProductName", {**DIMENSIONS, "InventorySiteId": "1", "InventoryWarehouseId": "11", "OnHandQuantity": 4}),
    "functional_locations": ("AssetMaintenanceFunctionalLocations", "FunctionalLocationId", "Name", {}),
    "assets": ("AssetMaintenanceAssetsV3", "MaintenanceAssetId", "Name", {"SerialId": "S-1"}),
    "work_orders": ("AssetMaintenanceWorkOrderTablesV2", "WorkOrderId", "Description", {"ActualEnd": NEVER, "ServiceLevel": 3}),
}  # fmt: skip
"""The entity, its own key, the text that a change changes, and what else is in it."""
KEYS: Mapping[str, tuple[str, ...]] = {
    "purchase_order_lines": ("dataAreaId", "PurchaseOrderNumber", "LineNumber"),
    "inventory": ("dataAreaId", "ItemNumber", *DIMENSIONS, "InventorySiteId", "InventoryWarehouseId"),
}


def _table(stream: str) -> Table:
    _, key, text, more = PARTS[stream]

    def content(number: int) -> dict[str, Any]:
        return {"dataAreaId": OWN if number % 3 else OTHER, text: f"Record {number}", **more}

    return Table(key, int if key == "LineNumber" else "{:06}".format, None, content=content, edited=text)


class DynamicsFO(Entra):
    """Two legal entities; who doesn't ask across them sees one."""

    system = "dynamics_fo"
    root = "/data"
    most = 10_000
    links = "offset"
    entities: ClassVar[Mapping[str, Entity]] = {
        path: Entity(stream, KEYS.get(stream, ("dataAreaId", key)), {"LineNumber": "int64"})
        for stream, (path, key, _, _) in PARTS.items()
    }
    tables: ClassVar[Mapping[str, Table]] = {stream: _table(stream) for stream in PARTS}

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": self.base_url, "login_url": self.base_url, "tenant_id": TENANT}

    def throttled(self, seconds: int) -> Answer:
        words = "This request is denied by the service protection limits."
        return self._error(429, "TooManyRequests", words, **{"Retry-After": str(seconds)})

    def failing(self) -> Answer:
        return self._error(500, "", "The server is busy with something else.")

    def refused(self) -> Answer:
        """Without a body."""
        return Answer(401, "", {"WWW-Authenticate": "Bearer"})

    def complaints(self) -> Sequence[Complaint]:
        absent = self._error(404, "", "No HTTP resource was found that matches the request URI.")
        unknown = self._error(400, "", "Could not find a property named 'ModifiedDateTime'.")
        return [
            Complaint("an entity that isn't there", absent, "operator", words="No HTTP resource"),
            Complaint("an unknown property", unknown, "operator", words="ModifiedDateTime"),
        ]

    def _scope(self) -> str:
        return f"{self.base_url}/.default"

    def _error(self, status: int, code: str, words: str, **headers: str) -> Answer:
        inner = {"message": words, "type": "System.Exception", "stacktrace": ""}
        said = {"code": code, "message": "An error has occurred.", "innererror": inner}
        return Answer(status, {"error": said}, dict(headers))

    def _visible(self, call: Call, stream: str) -> list[Row]:
        """Of all legal entities, or the user's own."""
        rows = super()._visible(call, stream)
        if call.param("cross-company") == "true":
            return rows
        return [row for row in rows if row.content["dataAreaId"] == OWN]

    def _check_filter(self, condition: Condition) -> None:
        """Neither `has` nor `in`, which `read_filter` refuses, and enumerations only by eq and ne."""
        match condition:
            case Joined(_, left, right):
                self._check_filter(left)
                self._check_filter(right)
            case Negated(inner):
                self._check_filter(inner)
            case Compared(name, operator) if name.endswith("Status") and operator not in {"eq", "ne"}:
                raise Refused(f"The operator {operator} isn't supported for enumerations.")
