"""Acumatica, as its own client, MYOB's guide and answers in public repositories say: wrapped values, sessions, and 500 for all that fails."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from scheduler.connectors.check import Answer, Call, Complaint, Double, Row, Table, by_offset, iso, moment
from scheduler.connectors.check.double.times import MILLISECOND
from worker.connectors.reading.keys import make_key

COMPANY, BRANCH = "Plant", "MAIN"
ENTITIES = {
    "PurchaseOrder": "purchase_orders",
    "StockItem": "stock_items",
    "Warehouse": "warehouses",
    "Vendor": "vendors",
}
EXPANDED: Mapping[str, frozenset[str]] = {
    "purchase_orders": frozenset({"Details"}),
    "stock_items": frozenset({"WarehouseDetails"}),
    "warehouses": frozenset({"Locations"}),
    "vendors": frozenset({"MainContact"}),
}
"""What comes only where it is asked for."""
BARE = frozenset({"id", "rowNumber", "error", "custom", "files", "added_by_a_release"})
"""System fields, whose values aren't wrapped."""
KNOWN = frozenset({"$filter", "$top", "$skip", "$expand", "$select", "$custom"})
_CLAUSE = re.compile(r"LastModifiedDateTime (gt|ge|lt|le) datetimeoffset'([^']+)'")


def _table(key: str, key_of: Callable[[int], Any], edited: str, **more: Any) -> Table:
    return Table(
        key=key,
        key_of=key_of,
        changed="LastModifiedDateTime",
        content=lambda number: {edited: f"Record {number}", **more},
        edited=edited,
    )


def _guid(number: int) -> str:
    return f"{number:08x}-62bd-ef11-a82c-000d3ae74153"


class Acumatica(Double):
    """Bare lists at /entity/Default/24.200.001/<Entity>."""

    system = "acumatica"
    says_how_long = False
    secrets: ClassVar[Mapping[str, str]] = {"username": "double-reader", "password": "double-pass/word é"}
    tables: ClassVar[Mapping[str, Table]] = {
        "purchase_orders": _table(
            "id", _guid, "Description", Type="Normal", Status="Open", Hold=False, IsTaxValid=None
        ),
        "purchase_order_lines": Table(
            key="id",
            key_of=lambda number: _guid(number).replace("62bd", "71aa"),
            changed=None,
            content=lambda number: {
                "LineDescription": f"Line {number}",
                "InventoryID": "ITEM7",
                "OrderQty": 2.5,
            },
            edited="LineDescription",
            of="purchase_orders",
            within="Details",
            carries={
                "order_id": "id",
                "OrderType": "Type",
                "PurchaseOrderNbr": "OrderNbr",
                "order_last_modified": "LastModifiedDateTime",
            },
            keyed=("order_id", "id"),
        ),
        "stock_items": _table(
            "InventoryID", "ITEM{}".format, "Description", ItemStatus="Active", BaseUOM="EA"
        ),
        "inventory_levels": Table(
            key="WarehouseID",
            key_of="WH{}".format,
            changed=None,
            content=lambda number: {"QtyOnHand": float(number), "Status": "Active"},
            edited="Status",
            of="stock_items",
            within="WarehouseDetails",
            carries={"InventoryID": "InventoryID"},
        ),
        "warehouses": _table("WarehouseID", "WH{}".format, "Description", Active=True),
        "vendors": _table("VendorID", "V{:06}".format, "VendorName", Status="Active", CurrencyID="USD"),
    }

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": self.base_url, "company": COMPANY, "branch": BRANCH}

    def is_login(self, call: Call) -> bool:
        return call.path.startswith("/entity/auth/")

    def admits(self, call: Call) -> bool:
        return self.knows(call.cookies.get(".ASPXAUTH")) and call.cookies.get("UserBranch") == "1"

    def write(self, stream: str, at: datetime) -> Any:
        """With the offset of the user's zone."""
        return iso(at, MILLISECOND, self.zone).replace("Z", "+00:00")

    def key_of(self, stream: str, row: Row) -> str:
        if stream != "inventory_levels":
            return super().key_of(stream, row)
        return make_key([f"ITEM{row.parent}", self.tables[stream].key_of(row.number)])

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        """Values are wrapped, and nothing stands in the wrap of one that is null. Unasked details aren't there."""
        record = super().render(stream, row)
        record.pop("WarehouseDetails", None)
        if stream == "purchase_orders":
            record["OrderNbr"] = f"PO{row.number:06}"
        if stream == "vendors":
            contact = {"id": _guid(row.number), "Email": {"value": "sales@vendor.example"}, "Phone1": {}}
            record["MainContact"] = contact
        whole = BARE | {"Details", "MainContact"}
        wrapped = {name: value if name in whole else _wrapped(value) for name, value in record.items()}
        return (
            {"id": _guid(row.number), "rowNumber": row.number, "note": {"value": ""}}
            | wrapped
            | {"custom": {}}
        )

    def show(self, stream: str, row: Row) -> dict[str, Any]:
        record = super().show(stream, row)
        edited = self.tables[stream].edited
        if self.padding and "value" in record.get(edited, {}):
            record[edited] = {"value": record[edited]["value"] + "x" * self.padding}
        return record

    def _carried(self, stream: str, row: Row) -> dict[str, Any]:
        """The time alone comes along unwrapped."""
        carried = super()._carried(stream, row)
        if "order_last_modified" in carried:
            carried["order_last_modified"] = carried["order_last_modified"]["value"]
        return carried

    def answer(self, call: Call) -> Answer:
        if call.path.startswith("/entity/auth/"):
            return self._session(call)
        found = re.fullmatch(r"/entity/Default/24\.200\.001/(\w+)(?:/([^/]+))?", call.path)
        if found is None or found[1] not in ENTITIES or not {*dict(call.params)} <= KNOWN:
            return Answer(404, {"message": "No HTTP resource was found that matches the request URI."})
        stream = ENTITIES[found[1]]
        expanded = {name for name in (call.param("$expand") or "").split(",") if name}
        if not expanded <= EXPANDED[stream]:
            return _broken(
                f"There is nothing to expand in {sorted(expanded)}.", "PX.Api.ContractBased.Exception"
            )
        if found[2] is not None:
            row = self.row(stream, found[2])
            if row is None:
                kind = "PX.Api.ContractBased.NoEntitySatisfiesTheConditionException"
                return _broken("No entity satisfies the condition.", kind)
            return Answer(body=self._chosen(stream, row, call, expanded))
        rows = [row for row in self.rows(stream, order="number") if _fits(row.changed, call.param("$filter"))]
        page = by_offset(rows, call.number("$skip", 0), call.number("$top", len(rows)))
        return Answer(body=[self._chosen(stream, row, call, expanded) for row in page])

    def throttled(self, seconds: int) -> Answer:
        """Too many sessions or requests, as the server in front of it says it; for how long isn't said."""
        del seconds
        return Answer(429, "The custom error module does not recognize this error.")

    def failing(self) -> Answer:
        return _broken("Execution Timeout Expired.", "System.Data.SqlClient.SqlException")

    def refused(self) -> Answer:
        return Answer(401, {"message": "Authorization has been denied for this request."})

    def complaints(self) -> Sequence[Complaint]:
        limit = _broken("API Login Limit", "PX.Data.PXException")
        delegate = _broken(
            "Optimization cannot be performed.The following fields cause the error:\r\nQty: View X has BQL delegate"
        )
        setup = _broken(
            "The required configuration data is not entered on the Purchase Orders Preferences form.",
            "PX.Data.PXSetupNotEnteredException",
        )
        return [
            Complaint("more sessions than are licensed", limit, "rate_limited"),
            Complaint("a list that it can't make", delegate, "operator", words="Optimization cannot be"),
            Complaint(
                "a module that isn't set up", setup, "operator", words="configuration data is not entered"
            ),
        ]

    def _session(self, call: Call) -> Answer:
        if call.path == "/entity/auth/logout":
            self._tokens.discard(call.cookies.get(".ASPXAUTH", ""))
            return Answer(204, b"")
        said = call.json
        right = {"name": "username", "password": "password"}
        good = all(said.get(field) == self.secrets[name] for field, name in right.items())
        if (
            call.method != "POST"
            or not good
            or (said.get("company"), said.get("branch")) != (COMPANY, BRANCH)
        ):
            return _broken("Error: Invalid credentials. Please try again.", "PX.Data.PXException")
        proof = f".ASPXAUTH={self.issue()}; path=/; HttpOnly, UserBranch=1; path=/; secure; HttpOnly"
        return Answer(204, b"", {"Set-Cookie": proof})

    def _chosen(self, stream: str, row: Row, call: Call, expanded: set[str]) -> dict[str, Any]:
        record = self.show(stream, row)
        if "WarehouseDetails" in expanded:
            levels = (
                each for each in self.rows("inventory_levels", order="number") if each.parent == row.number
            )
            record["WarehouseDetails"] = [self.show("inventory_levels", each) for each in levels]
        for name in EXPANDED[stream] - expanded:
            record.pop(name, None)
        select = call.param("$select")
        if select is None:
            return record
        names = {*select.split(",")} | BARE
        return {name: value for name, value in record.items() if name in names}


def _wrapped(value: Any) -> dict[str, Any]:
    return {} if value is None else {"value": value}


def _broken(words: str, kind: str = "System.InvalidOperationException") -> Answer:
    return Answer(
        500, {"message": "An error has occurred.", "exceptionMessage": words, "exceptionType": kind}
    )


def _fits(changed: datetime, said: str | None) -> bool:
    for clause in said.split(" and ") if said else ():
        found = _CLAUSE.fullmatch(clause)
        at = moment(found[2]) if found else None
        if found is None or at is None:
            raise ValueError(clause)
        held = {"gt": changed > at, "ge": changed >= at, "lt": changed < at, "le": changed <= at}
        if not held[found[1]]:
            return False
    return True
