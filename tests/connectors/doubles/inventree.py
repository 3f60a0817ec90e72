"""InvenTree, as its source says: limit and offset, times to the minute by the server's clock, filters by the day."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from scheduler.connectors.check import Answer, Call, Complaint, Double, Row, Table, by_offset, naive
from scheduler.connectors.check.double.times import MINUTE

STREAMS = {
    "part": "parts",
    "stock": "stock_items",
    "stock/location": "locations",
    "company": "suppliers",
    "company/part": "supplier_parts",
    "order/po": "purchase_orders",
    "order/po-line": "purchase_order_lines",
    "build": "builds",
}
TIMED = {"stock_items": "updated", "purchase_orders": "updated_at"}
SORTS = {
    "parts": "id",
    "stock_items": "creation_date",
    "purchase_orders": "creation_date",
    "builds": "creation_date",
}
"""By what they can be sorted that never changes. The others are sorted by a name, so an edit may move a record."""
NOTED = {"parts", "purchase_orders"}
"""Their lists leave out the notes."""


def _order(number: int) -> dict[str, Any]:
    return {
        "reference": f"PO-{number:04}",
        "description": f"Order {number}",
        "supplier": 3,
        "status": (10, 20, 30, 40)[number % 4],
        "target_date": "2026-12-31",
        "total_price": 12.5,
    }


CONTENT = {
    "stock_items": (lambda number: {"part": 7, "quantity": 4.0, "batch": f"Batch {number}"}, "batch"),
    "purchase_orders": (_order, "description"),
    "purchase_order_lines": (
        lambda number: {"order": 1, "quantity": 2.0, "received": 0.0, "reference": f"Line {number}"},
        "reference",
    ),
    "supplier_parts": (lambda number: {"part": 7, "supplier": 3, "SKU": f"SKU {number}"}, "SKU"),
    "builds": (lambda number: {"reference": f"BO-{number:04}", "title": f"Build {number}"}, "title"),
}


def _table(stream: str) -> Table:
    content, edited = CONTENT.get(stream, (lambda number: {"name": f"Record {number}"}, "name"))
    return Table(key="pk", changed=TIMED.get(stream), unit=MINUTE, content=content, edited=edited)


class InvenTree(Double):
    """Its tokens are a user's, made once and good for a year."""

    system = "inventree"
    secrets: ClassVar[Mapping[str, str]] = {"token": "inv-double-20260615"}
    tables: ClassVar[Mapping[str, Table]] = {stream: _table(stream) for stream in STREAMS.values()}

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": self.base_url, "timezone": str(self.zone)}

    def write(self, stream: str, at: datetime) -> Any:
        """DATETIME_FORMAT is %Y-%m-%d %H:%M."""
        return naive(at, MINUTE, self.zone)[:16]

    def admits(self, call: Call) -> bool:
        return call.headers.get("authorization") == f"Token {self.secrets['token']}"

    def answer(self, call: Call) -> Answer:
        path = call.path.removeprefix("/api/").strip("/")
        place, _, key = path.rpartition("/")
        if call.method != "GET" or not call.path.endswith("/"):
            return _no(404, "API endpoint not found")
        if key.isdigit() and place in STREAMS:
            row = self.row(STREAMS[place], key)
            return _no(404, "No match.") if row is None else Answer(body=self._single(STREAMS[place], row))
        stream = STREAMS.get(path)
        return _no(404, "API endpoint not found") if stream is None else self._list(stream, call)

    def _single(self, stream: str, row: Row) -> dict[str, Any]:
        """With the notes, which some lists leave out."""
        record = self.show(stream, row)
        return record | {"notes": f"Notes of {row.number}."} if stream in NOTED else record

    def _list(self, stream: str, call: Call) -> Answer:
        rows = self.rows(stream, order="number")
        if stream not in SORTS or call.param("ordering") != SORTS[stream]:
            rows = sorted(rows, key=lambda row: str(row.content[self.tables[stream].edited]))
        if stream in TIMED and (said := call.param("updated_after")):
            try:
                midnight = datetime.strptime(said, "%Y-%m-%d").replace(tzinfo=self.zone)
            except ValueError:
                return Answer(400, {"updated_after": ["Enter a valid date."]})
            rows = [row for row in rows if row.changed > midnight]
        if call.param("limit") is None:
            return Answer(body=[self.show(stream, row) for row in rows])
        limit, offset = call.number("limit", 0), call.number("offset", 0)
        page = by_offset(rows, offset, limit)
        found: dict[str, Any] = {"count": len(rows), "next": None, "previous": None}
        if offset + limit < len(rows):
            kept = {name: value for name, value in call.params if name != "offset"}
            found["next"] = f"{self.base_url}{call.path}?{urlencode({**kept, 'offset': offset + limit})}"
        return Answer(body=found | {"results": [self.show(stream, row) for row in page]})

    def failing(self) -> Answer:
        return Answer(
            500, {"error": "OperationalError", "detail": "Error details can be found in the admin panel"}
        )

    def refused(self) -> Answer:
        return _no(401, "Invalid token.")

    def forbidden(self) -> Answer:
        return _no(403, "You do not have permission to perform this action.")

    def throttled(self, seconds: int) -> Answer:
        """As whatever stands in front of it says it; InvenTree itself never does."""
        return Answer(429, "<h1>429</h1>", {"Content-Type": "text/plain", "Retry-After": str(seconds)})

    def complaints(self) -> Sequence[Complaint]:
        field = Answer(400, {"updated_after": ["Enter a valid date."]})
        several = Answer(400, {"non_field_errors": ["Those two exclude each other."]})
        return [
            Complaint("of a field", field, "operator", words="Enter a valid date."),
            Complaint("of several", several, "operator", words="exclude each other"),
            Complaint("no longer good", _no(401, "Token has expired"), "operator", words="Token has expired"),
        ]


def _no(status: int, words: str) -> Answer:
    return Answer(status, {"detail": words})
