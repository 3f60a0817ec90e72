"""Business Central, as Microsoft's documentation of API v2.0 and of its OData says: one company below one environment.

Read on 2026-11-27 in MicrosoftDocs/dynamics365smb-devitpro-pb: the resource types, the error codes, the operational limits,
`odata.maxpagesize` (at most 20,000, else 413), and that `or` can't join conditions on different fields. From memory: that its links
name the place of the last record, and the dates and GUIDs that stand for nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from connectors.doubles.entra import TENANT, Entra
from connectors.doubles.odata_filter import Condition, Refused, alternatives
from connectors.doubles.odata_server import Entity

from scheduler.connectors.check import Answer, Call, Complaint, Table, iso

COMPANY = "5106b77d-9bce-eb11-bacc-000d3a2d2c6b"
BESIDE = f"/v2.0/{TENANT}/production/api/v2.0"
MOST = 20_000
NOTHING = "00000000-0000-0000-0000-000000000000"
MASTER = {"items": "items", "vendors": "vendors", "locations": "locations", "employees": "employees", "fixed_assets": "fixedAssets"}  # fmt: skip
TIMED = {**MASTER, "item_ledger_entries": "itemLedgerEntries", "purchase_orders": "purchaseOrders", "purchase_receipts": "purchaseReceipts"}  # fmt: skip
HOLDS = {
    "purchase_orders": {"purchaseOrderLines": "lines"},
    "purchase_receipts": {"purchaseReceiptLines": "received"},
}


def _guid(number: int) -> str:
    """They grow, but not evenly, as sequential GUIDs of a database do."""
    return str(UUID(int=(0x6C2B << 112) + number * 0x1F3))


def _content(stream: str) -> Mapping[str, Any]:
    named = {"displayName": "Record"}
    return {
        "items": {**named, "inventory": 12.5, "unitCost": 9.5, "blocked": False, "itemCategoryId": NOTHING},
        "vendors": {**named, "blocked": "_x0020_", "currencyId": NOTHING, "balance": 0},
        "locations": {**named, "city": ""},
        "employees": {**named, "status": "Active", "birthDate": "0001-01-01"},
        "fixed_assets": {**named, "serialNumber": "S-1", "underMaintenance": False},
        "item_ledger_entries": {"description": "Entry", "quantity": -2, "postingDate": "2026-06-15"},
        "purchase_orders": {"vendorName": "Vendor", "status": "Open", "requestedReceiptDate": "0001-01-01"},
        "purchase_receipts": {"vendorName": "Vendor", "orderNumber": "PO-1"},
    }[stream]


def _table(stream: str) -> Table:
    content = _content(stream)
    text = next(iter(content))
    return Table(
        "id",
        _guid,
        "lastModifiedDateTime",
        content=lambda number: {"number": f"{number:05}", **content, text: f"{content[text]} {number}"},
        edited=text,
    )


def _lines(of: str, within: str) -> Table:
    return Table(
        "id",
        _guid,
        None,
        content=lambda number: {"sequence": number * 10_000, "description": f"Line {number}", "quantity": 2},
        edited="description",
        of=of,
        within=within,
    )


class BusinessCentral(Entra):
    """One company. Items are listed twice: whole, and by their stock alone."""

    system = "business_central"
    root = f"{BESIDE}/companies({COMPANY})"
    says_how_long = False
    entities: ClassVar[Mapping[str, Entity]] = {
        path: Entity(
            stream, ("id",), {"id": "guid", "lastModifiedDateTime": "datetimeoffset"}, HOLDS.get(stream, {})
        )
        for stream, path in TIMED.items()
    }
    tables: ClassVar[Mapping[str, Table]] = {
        **{stream: _table(stream) for stream in TIMED},
        "inventory": Table(
            "id",
            _guid,
            None,
            content=lambda number: {"number": f"Item {number}", "inventory": 12.5},
            edited="number",
        ),
        "lines": _lines("purchase_orders", "purchaseOrderLines"),
        "received": _lines("purchase_receipts", "purchaseReceiptLines"),
    }

    def settings(self) -> Mapping[str, Any]:
        return {
            "base_url": self.base_url,
            "login_url": self.base_url,
            "tenant_id": TENANT,
            "company_id": COMPANY,
        }

    def write(self, stream: str, at: datetime) -> Any:
        """To the millisecond, without zeros at its end."""
        whole, _, fraction = iso(at).rstrip("Z").partition(".")
        digits = fraction.rstrip("0")
        return f"{whole}.{digits}Z" if digits else f"{whole}Z"

    def throttled(self, seconds: int) -> Answer:
        """It names no time to wait."""
        del seconds
        return self._error(429, "Application_TooManyRequests", "The request rate limit is reached.")

    def failing(self) -> Answer:
        return self._error(500, "Internal_ServerError", "Cannot establish a connection to the SQL Server.")

    def refused(self) -> Answer:
        words = "The server has rejected the client credentials."
        return self._error(401, "Authentication_InvalidCredentials", words)

    def forbidden(self) -> Answer:
        return self._error(403, "Authorization_PermissionDenied", "You do not have the permission to read.")

    def complaints(self) -> Sequence[Complaint]:
        busy = self._error(503, "Unknown", "The request was queued for more than 8 minutes.")
        slow = self._error(408, "Unknown", "The operation took longer than 8 minutes.")
        away = self._error(504, "Unknown", "The gateway has timed out.")
        absent = self._error(404, "Internal_CompanyNotFound", "Cannot find the company.")
        wrong = self._error(400, "BadRequest", "Unable to convert value to Date.")
        return [
            Complaint("a full queue", busy, "transient"),
            Complaint("an operation that takes too long", slow, "transient"),
            Complaint("a gateway that gives up", away, "transient"),
            Complaint("a company that isn't there", absent, "operator", words="Cannot find the company"),
            Complaint("a bad value", wrong, "operator", words="Unable to convert value"),
        ]

    def answer(self, call: Call) -> Answer:
        """What it has is described beside the companies, not below one."""
        if call.path == f"{BESIDE}/$metadata":
            return Answer(200, self.metadata(), {"Content-Type": "application/xml"})
        return super().answer(call)

    def _scope(self) -> str:
        return "https://api.businesscentral.dynamics.com/.default"

    def _error(self, status: int, code: str, words: str, **headers: str) -> Answer:
        return super()._error(status, code, f"{words}  CorrelationId:  1c5f0e4e-double.", **headers)

    def _check_filter(self, condition: Condition) -> None:
        if any(len(each.names) > 1 for each in alternatives(condition)):
            raise Refused("The 'OR' operator is not supported on distinct fields on an OData filter.")

    def _served(self, call: Call, path: str) -> Answer:
        wanted = call.headers.get("prefer", "").partition("odata.maxpagesize=")[2]
        if wanted and int(wanted) > MOST:
            return self._error(413, "BadRequest", f"The page size is larger than {MOST}.")
        return super()._served(call, path)

    def _entity(self, path: str) -> Entity | None:
        found = super()._entity(path)
        if found is not None and found.stream == "items" and self.rows("inventory", gone=True):
            return Entity("inventory", ("id",), {"id": "guid"})
        return found
