"""Fiix, as its client's source says: one address, requests named in the body, an HMAC over the address, errors in a 200."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from scheduler.connectors.check import Answer, Call, Complaint, Double, Row, Table, by_offset, epoch

APP, ACCESS, SECRET = "double-app", "double-access", "double-secret/of+fiix"
STREAMS = {
    "WorkOrder": "work_orders",
    "Asset": "assets",
    "Business": "vendors",
    "User": "users",
    "Stock": "stock_levels",
    "PurchaseOrder": "purchase_orders",
    "MeterReading": "meter_readings",
    "WorkOrderStatus": "work_order_statuses",
    "Priority": "priorities",
}
COUNTED = {"assets", "vendors", "users"}
TEXTS = {
    "work_orders": "strDescription",
    "users": "strFullName",
    "stock_levels": "strAisle",
    "purchase_orders": "intCode",
    "meter_readings": "dblMeterReading",
}
_CLAUSE = re.compile(r"(\w+) (>=|<=|=) \?")


def _table(stream: str) -> Table:
    text = TEXTS.get(stream, "strName")
    timed = stream == "work_orders"
    return Table(
        changed="dtmDateLastModified" if timed else None,
        writes=epoch,
        content=lambda number: {text: f"Record {number}"},
        edited=text,
    )


class Fiix(Double):
    """Everything is a POST to one address."""

    system = "fiix"
    secrets: ClassVar[Mapping[str, str]] = {"secret": SECRET}
    tables: ClassVar[Mapping[str, Table]] = {stream: _table(stream) for stream in STREAMS.values()}

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": self.base_url, "app_key": APP, "access_key": ACCESS}

    def admits(self, call: Call) -> bool:
        address = f"{self.base_url.partition('://')[2]}{call.path}?{call.query}"
        wanted = hmac.new(SECRET.encode(), address.encode(), hashlib.sha256).hexdigest()
        known = call.param("appKey") == APP and call.param("accessKey") == ACCESS
        return known and hmac.compare_digest(call.headers.get("authorization", ""), wanted)

    def answer(self, call: Call) -> Answer:
        asked = json.loads(call.body)
        if call.method != "POST" or call.path != "/api/" or asked["_maCn"] != "FindRequest":
            return self._error(0, "Unknown request.")
        stream = STREAMS.get(asked["className"])
        if stream is None or not asked.get("fields"):
            return self._error(0, f"Class {asked['className']} with these fields is unknown.")
        rows = self.rows(stream, order="serial" if asked["orderBy"].startswith("intUpdated") else "number")
        for one in asked.get("filters", []):
            rows = [row for row in rows if self._fits(stream, row, one)]
        page = by_offset(rows, asked["startIndex"], asked["maxObjects"])
        names = [name.strip() for name in asked["fields"].split(",")]
        objects = [self._chosen(stream, row, names) for row in page]
        return Answer(body={"_maCn": "FindResponse", "objects": objects, "totalObjects": len(rows)})

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        record = super().render(stream, row)
        if stream in COUNTED:
            record["intUpdated"] = row.serial
        return {"className": stream, **record, "uideleted": False}

    def changed_at(self, stream: str, key: str) -> datetime | int | None:
        row = self.row(stream, key)
        return row.serial if row is not None and stream in COUNTED else super().changed_at(stream, key)

    def failing(self) -> Answer:
        return Answer(500, {"error": {"code": 500, "message": "Internal error."}})

    def refused(self) -> Answer:
        return Answer(
            401, {"error": {"leg": "SERVER_REQUEST_PROCESS", "code": 401, "message": "Not authenticated."}}
        )

    def forbidden(self) -> Answer:
        return Answer(
            403, {"error": {"leg": "SERVER_REQUEST_PROCESS", "code": 403, "message": "Not allowed."}}
        )

    def throttled(self, seconds: int) -> Answer:
        wait = {"P_CLIENT_AUTO_RETRY_WAIT_ADVISORY_MS": seconds * 1000}
        return Answer(
            body={
                "error": {
                    "leg": "SERVER_REQUEST_PROCESS",
                    "code": 1100,
                    "message": "Too many.",
                    "object": wait,
                }
            }
        )

    def complaints(self) -> Sequence[Complaint]:
        said = {"error": {"leg": "SERVER_REQUEST_PROCESS", "code": 1200, "message": "No such field: strX"}}
        return [Complaint("an error in a 200", Answer(body=said), "operator", words="No such field")]

    def _chosen(self, stream: str, row: Row, names: Sequence[str]) -> dict[str, Any]:
        """What was asked for, and what every object has."""
        shown = self.show(stream, row)
        always = {"className", "uideleted", "added_by_a_release"}
        return {name: value for name, value in shown.items() if name in names or name in always}

    def _fits(self, stream: str, row: Row, found: Mapping[str, Any]) -> bool:
        record = self.render(stream, row)
        clauses = _CLAUSE.findall(found["ql"])
        if len(clauses) != len(found["parameters"]):
            raise ValueError("marks and parameters differ")
        for (name, operator, _), wanted in zip(
            [(*one, "") for one in clauses], found["parameters"], strict=True
        ):
            value = record[name]
            if not {">=": value >= wanted, "<=": value <= wanted, "=": value == wanted}[operator]:
                return False
        return True

    def _error(self, code: int, words: str) -> Answer:
        return Answer(body={"error": {"leg": "SERVER_REQUEST_PROCESS", "code": code, "message": words}})
