"""MaintainX, as its documentation says: wrappers named after the resource, cursors that hide offsets, two error envelopes."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from scheduler.connectors.check import (
    Answer,
    Call,
    Complaint,
    Double,
    Row,
    Table,
    by_offset,
    by_token,
    iso,
    moment,
)

WRAPPERS = {
    "work_orders": ("workorders", "workOrders", "workOrder"),
    "assets": ("assets", "assets", "asset"),
    "parts": ("parts", "parts", "part"),
    "purchase_orders": ("purchaseorders", "purchaseOrders", "purchaseOrder"),
    "locations": ("locations", "locations", "location"),
    "vendors": ("vendors", "vendors", "vendor"),
    "users": ("users", "users", "user"),
    "meters": ("meters", "meters", "meter"),
    "work_requests": ("workrequests", "workRequests", "workRequest"),
}
BY_PATH = {path: stream for stream, (path, _, _) in WRAPPERS.items()}
FILTERED = {"work_orders", "assets", "parts", "purchase_orders"}
MOST = 200


def _order(number: int) -> dict[str, Any]:
    return {
        "title": f"Order {number}",
        "sequentialId": number,
        "status": "OPEN",
        "priority": "LOW",
        "deletedAt": None,
    }


class MaintainX(Double):
    """Its lists of assets, parts and purchase orders are offsets behind a cursor, so they shift under a reader."""

    system = "maintainx"
    secrets: ClassVar[Mapping[str, str]] = {
        "api_key": "eyJ.double-key/of+maintainx.x",
        "webhook_secret": "double-signing",
    }
    tables: ClassVar[Mapping[str, Table]] = {
        stream: Table(
            changed="updatedAt",
            created="createdAt",
            **({"content": _order, "edited": "title"} if stream == "work_orders" else {}),  # type: ignore[arg-type]
        )
        for stream in WRAPPERS
    }

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        """A deleted work order is listed still, with the time: one of the two ways that the documentation leaves open."""
        record = super().render(stream, row)
        if stream == "work_orders":
            record["deletedAt"] = None if row.deleted is None else iso(row.deleted)
        return record

    def admits(self, call: Call) -> bool:
        return call.headers.get("authorization", "").lower() == f"bearer {self.secrets['api_key']}".lower()

    def answer(self, call: Call) -> Answer:
        path, *key = call.path.strip("/").split("/")
        stream = BY_PATH.get(path)
        if stream is None:
            return Answer(404, {"error": "Not found"})
        if key:
            row = self.row(stream, key[0])
            if row is None:
                return Answer(404, {"error": "Not found"})
            return Answer(body={WRAPPERS[stream][2]: self.show(stream, row)})
        limit = call.number("limit", 100)
        if not 0 < limit <= MOST:
            wrong = {"error": "limit must be between 1 and 200", "fieldPath": "limit", "fieldValue": limit}
            return Answer(400, {"errors": [wrong]})
        return self._list(stream, call, limit)

    def _list(self, stream: str, call: Call, limit: int) -> Answer:
        since, until = moment(call.param("updatedAt[gte]")), moment(call.param("updatedAt[lte]"))
        if (since or until) and stream not in FILTERED:
            return Answer(400, {"errors": [{"error": "unknown parameter", "fieldPath": "updatedAt"}]})
        if stream == "work_orders":
            rows = self.rows(stream, since=since, until=until, gone=True)
            page, token = by_token(rows, call.param("cursor"), limit)
            return Answer(body={"workOrders": [self.show(stream, row) for row in page], "nextCursor": token})
        sort = call.param("sort")
        rows = self.rows(stream, since=since, until=until, order="changed" if sort else "number")
        rows = rows[::-1] if sort == "-updatedAt" else rows
        cursor = call.param("cursor")
        offset = int(base64.b64decode(cursor)) if cursor else 0
        page = by_offset(rows, offset, limit)
        more = offset + limit < len(rows)
        following = base64.b64encode(str(offset + limit).encode()).decode() if more else None
        shown = [self._in_list(stream, row) for row in page]
        return Answer(body={WRAPPERS[stream][1]: shown, "nextCursor": following})

    def _in_list(self, stream: str, row: Row) -> dict[str, Any]:
        record = self.show(stream, row)
        if stream != "purchase_orders":
            return record
        return {name: record[name] for name in ("id", "updatedAt", "createdAt") if name in record} | {
            "status": "APPROVED"
        }

    def throttled(self, seconds: int) -> Answer:
        said = {"error": f"Too many requests. Please retry in {seconds} seconds"}
        return Answer(429, said, {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": str(seconds)})

    def refused(self) -> Answer:
        return Answer(401, {"error": "Unauthorized"})

    def forbidden(self) -> Answer:
        return Answer(403, {"errors": [{"error": "Not allowed", "fieldPath": None}]})

    def complaints(self) -> Sequence[Complaint]:
        missing = {"errors": [{"error": "Missing x-organization-id header.", "fieldPath": None}]}
        return [
            Complaint("no organization", Answer(400, missing), "operator", words="Missing x-organization-id")
        ]
