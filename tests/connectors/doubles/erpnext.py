"""ERPNext, as the source of the Frappe Framework says: lists of columns, filters as JSON, times by the site's clock alone."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import unquote

from scheduler.connectors.check import Answer, Call, Complaint, Double, Row, Table
from scheduler.connectors.check.double.times import MICROSECOND

DOCTYPES = {
    "asset_repairs": "Asset Repair",
    "maintenance_logs": "Asset Maintenance Log",
    "maintenance_visits": "Maintenance Visit",
    "assets": "Asset",
    "items": "Item",
    "stock_levels": "Bin",
    "warehouses": "Warehouse",
    "locations": "Location",
    "suppliers": "Supplier",
    "purchase_orders": "Purchase Order",
    "material_requests": "Material Request",
    "purchase_invoices": "Purchase Invoice",
    "users": "User",
}
STREAMS = {doctype: stream for stream, doctype in DOCTYPES.items()}
TABLES = {
    "purchase_orders": "items",
    "material_requests": "items",
    "purchase_invoices": "items",
    "maintenance_visits": "purposes",
}
"""Child tables, which lists never hold."""
CHOSEN = ("name", "full_name", "creation", "modified")
TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda own, wanted: bool(own == wanted),
    ">": lambda own, wanted: bool(own > wanted),
    ">=": lambda own, wanted: bool(own >= wanted),
    "<=": lambda own, wanted: bool(own <= wanted),
}


def _table(stream: str) -> Table:
    text = "full_name" if stream == "users" else "title"
    return Table(
        key="name",
        key_of=f"{DOCTYPES[stream][:3].upper()}/2026-{{:05}}".format,
        changed="modified",
        created="creation",
        unit=MICROSECOND,
        content=lambda number: {text: f"Record {number}"},
        edited=text,
    )


class ERPNext(Double):
    """A site, whose names hold slashes."""

    system = "erpnext"
    secrets: ClassVar[Mapping[str, str]] = {
        "api_key": "double-key",
        "api_secret": "double-secret/of+erpnext",
        "webhook_secret": "double-signing",
    }
    tables: ClassVar[Mapping[str, Table]] = {stream: _table(stream) for stream in DOCTYPES}

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": self.base_url, "timezone": str(self.zone), "deleted_documents": True}

    def admits(self, call: Call) -> bool:
        proof = f"token {self.secrets['api_key']}:{self.secrets['api_secret']}"
        return call.headers.get("authorization") == proof

    def write(self, stream: str, at: datetime) -> Any:
        """As Python writes a time: without a fraction where it is nought."""
        return str(at.astimezone(self.zone).replace(tzinfo=None))

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        record = super().render(stream, row)
        if stream == "users":
            return record
        record |= {"owner": "Administrator", "docstatus": 0, "idx": 0}
        if stream in TABLES:
            rows = [{"name": f"row-{row.number}-{idx}", "idx": idx, "qty": 1.0} for idx in (1, 2)]
            record |= {"doctype": DOCTYPES[stream], TABLES[stream]: rows}
        return record

    def answer(self, call: Call) -> Answer:
        asked = unquote(call.path).removeprefix("/api/resource/")
        doctype, _, name = asked.partition("/")
        if doctype == "Deleted Document":
            return self._list(call, [self._buried(row, stream) for row, stream in self._gone()])
        stream = STREAMS.get(doctype)
        if stream is None:
            return self._error(404, "DoesNotExistError", f"DocType {doctype} not found")
        if not name:
            return self._list(call, [self._columns(stream, row) for row in self.rows(stream, order="number")])
        found = self.row(stream, name)
        if found is None:
            return self._error(404, "DoesNotExistError", f"{doctype} {name} not found")
        return Answer(body={"data": self.show(stream, found)})

    def throttled(self, seconds: int) -> Answer:
        """The words are no JSON. What is left is counted in millionths of a second of the server's time."""
        headers = {
            "X-RateLimit-Limit": "600000000",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(seconds),
            "Retry-After": str(seconds),
        }
        return Answer(429, "Too Many Requests", headers)

    def refused(self) -> Answer:
        return self._error(401, "AuthenticationError", "Authentication failed")

    def forbidden(self) -> Answer:
        return self._error(403, "PermissionError", "No permission to read Item")

    def complaints(self) -> Sequence[Complaint]:
        wrong = self._error(417, "ValidationError", "Quantity is missing.")
        stale = self._error(417, "TimestampMismatchError", "Document has been modified")
        often = self._error(417, "RateLimitExceededError", "You hit the rate limit")
        stopped = Answer(503, {"exc_type": "SessionStopped"})
        return [
            Complaint("words in JSON in a text", wrong, "operator", words="Quantity is missing."),
            Complaint("somebody else was faster", stale, "operator", words="has been modified"),
            Complaint("too often, without a wait", often, "rate_limited"),
            Complaint("an update of the site", stopped, "transient"),
        ]

    def _list(self, call: Call, every: Sequence[dict[str, Any]]) -> Answer:
        """Filters compare what stands in the database: times are texts of the site's clock there."""
        fields = json.loads(call.param("fields") or '["name"]')
        if call.param("order_by") != "name asc":
            raise ValueError("another order isn't played")
        found = sorted(every, key=lambda record: _name(record).lower())
        for field, operator, value in json.loads(call.param("filters") or "[]"):
            found = [one for one in found if TESTS[operator](*_alike(field, one, value))]
        page = found[: call.number("limit_page_length", 20)]
        return Answer(body={"data": [_chosen(record, fields) for record in page]})

    def _columns(self, stream: str, row: Row) -> dict[str, Any]:
        hidden = {TABLES.get(stream, ""), "doctype"}
        shown = {name: value for name, value in self.show(stream, row).items() if name not in hidden}
        return {**shown, _SORTED: self.key_of(stream, row)}

    def _gone(self) -> list[tuple[Row, str]]:
        every = [(row, stream) for stream in DOCTYPES for row in self.rows(stream, gone=True)]
        return [(row, stream) for row, stream in every if row.deleted is not None]

    def _buried(self, row: Row, stream: str) -> dict[str, Any]:
        assert row.deleted is not None
        return {
            "name": f"{row.serial:010}",
            "deleted_doctype": DOCTYPES[stream],
            "deleted_name": self.key_of(stream, row),
            "restored": 0,
            "creation": self.write(stream, row.deleted),
        }

    def _error(self, status: int, kind: str, words: str) -> Answer:
        said = json.dumps([json.dumps({"message": words, "indicator": "red"})])
        return Answer(status, {"exc_type": kind, "exception": f"{kind}: {words}", "_server_messages": said})


_SORTED = "__name"
"""What names a row in the database, however it is shown."""


def _name(record: Mapping[str, Any]) -> str:
    return str(record.get(_SORTED, record.get("name")))


def _alike(field: str, record: Mapping[str, Any], value: Any) -> tuple[Any, Any]:
    if field in {"modified", "creation"}:
        return datetime.fromisoformat(record[field]), datetime.fromisoformat(value)
    if field == "name":
        return _name(record).lower(), str(value).lower()
    return record[field], value


def _chosen(record: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    names = record.keys() if "*" in fields else {*fields, "added_by_a_release"}
    return {name: value for name, value in record.items() if name in names and name != _SORTED}
