"""Limble, as its published collection of requests says: bare lists by id, seconds since 1970, two windows of limits."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, ClassVar

from scheduler.connectors.check import Answer, Call, Complaint, Double, Row, Table, by_number, epoch
from scheduler.connectors.check.double.times import SECOND

CLIENT, SECRET = "double-client", "double-secret/of+limble"
STREAMS = {
    "tasks": ("tasks", "taskID", "tasks", "start"),
    "assets": ("assets", "assetID", "assets", "start"),
    "assets/fields": ("asset_fields", "valueID", "values", None),
    "parts": ("parts", "partID", "parts", "start"),
    "po": ("purchase_orders", "poID", "pos", "lastEditedStart"),
    "po/items": ("purchase_order_items", "poItemID", "items", "lastEditedStart"),
    "locations": ("locations", "locationID", "locations", None),
    "users": ("users", "userID", "users", None),
    "vendors": ("vendors", "vendorID", "vendors", None),
    "statuses": ("statuses", "statusID", "statuses", None),
    "priorities": ("priorities", "priorityID", "priorities", None),
}
"""By path: the stream, its id, the parameter that takes a list of ids, and the one that takes a time of change."""
TIMED = {stream for stream, _, _, since in STREAMS.values() if since} | {"asset_fields"}
USUAL = 100
PICTURED = {"assets": "image", "parts": "image", "vendors": "image", "asset_fields": "files"}
WITHOUT_LIMIT = {"priorities"}


def _task(number: int) -> dict[str, Any]:
    """What isn't there is nought, not null."""
    done = number % 3 == 0
    return {
        "meta": {"instructions": f"/v2/tasks/{number}/instructions"},
        "name": f"Task {number}",
        "userID": 340 if number % 2 else 0,
        "teamID": 0 if number % 2 else 436,
        "locationID": 73,
        "template": number % 5 == 0,
        "createdDate": 1457569392,
        "startDate": 0,
        "due": 1457569392,
        "description": "",
        "dateCompleted": 1457569392 if done else 0,
        "assetID": number % 4,
        "priority": 0,
        "priorityID": 8,
        "type": (1, 2, 4, 6)[number % 4],
        "status": int(done),
        "statusID": 2 if done else number % 2,
    }


def _part(number: int) -> dict[str, Any]:
    return {
        "number": f"25x25x{number}",
        "name": f"Part {number}",
        "generalStock": 5,
        "generalPrice": 5.99,
        "category": None,
        "locationID": 163,
        "location": "Bin 002",
        "stockOnHand": -11,
        "pos": [],
    }


def _order(number: int) -> dict[str, Any]:
    return {
        "poNumber": number,
        "poNumberDisplay": f"PO-{number:05}",
        "vendorID": 7,
        "locationID": 73,
        "date": 1636670374,
        "expectedDate": 0,
        "status": (0, 3, 97, 98, 99, 100, 101)[number % 7],
        "notesToVendor": f"Note {number}",
    }


def _item(number: int) -> dict[str, Any]:
    return {"poID": 1, "itemType": 1, "partID": 9, "qty": 4, "rate": 5.99, "description": f"Item {number}"}


def _field(number: int) -> dict[str, Any]:
    return {"fieldID": 37, "assetID": 1022, "field": "Gallons", "value": f"Value {number}", "locked": True}


CONTENT = {
    "asset_fields": (_field, "value"),
    "tasks": (_task, "name"),
    "parts": (_part, "name"),
    "purchase_orders": (_order, "notesToVendor"),
    "purchase_order_items": (_item, "description"),
    "users": (lambda number: {"firstName": f"User {number}", "lastName": "Doe", "active": True}, "firstName"),
}


def _table(stream: str, key: str) -> Table:
    content, edited = CONTENT.get(stream, (lambda number: {"name": f"Record {number}"}, "name"))
    return Table(
        key=key,
        changed="lastEdited" if stream in TIMED else None,
        writes=lambda at: epoch(at, SECOND),
        unit=SECOND,
        content=content,
        edited=edited,
    )


class Limble(Double):
    """The paths of some lists end with a slash in the collection, those of others don't: both are answered."""

    system = "limble"
    secrets: ClassVar[Mapping[str, str]] = {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "webhook_secret": SECRET,
    }
    tables: ClassVar[Mapping[str, Table]] = {
        stream: _table(stream, key) for stream, key, _, _ in STREAMS.values()
    }

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": f"{self.base_url}/v2"}

    def admits(self, call: Call) -> bool:
        proof = b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        return call.headers.get("authorization") == f"Basic {proof}"

    def answer(self, call: Call) -> Answer:
        found = STREAMS.get(call.path.removeprefix("/v2/").strip("/"))
        if call.method != "GET" or found is None:
            return _no(404, "Resource not found.")
        stream, _, ids, since = found
        rows = self.rows(stream, order="number")
        if named := call.param(ids):
            wanted = {int(one) for one in named.split(",")}
            rows = [row for row in rows if row.number in wanted]
        if since is not None and (said := call.param(since)):
            edited = datetime.fromtimestamp(int(said), UTC)
            rows = [row for row in rows if row.changed > edited]
        if stream in WITHOUT_LIMIT:
            return self._listed(stream, rows)
        return self._page(stream, rows, call)

    def _page(self, stream: str, rows: Sequence[Row], call: Call) -> Answer:
        """Behind an id, or by numbers from 1 on, never both; the links of numbered pages are relative and in headers."""
        cursor, page, limit = call.param("cursor"), call.param("page"), call.number("limit", USUAL)
        if cursor is not None and page is not None:
            return _no(400, "cursor and page cannot be used simultaneously.")
        if page is None:
            return self._listed(stream, [row for row in rows if row.number > int(cursor or 0)][:limit])
        last = -(-len(rows) // limit)
        link = f"{call.path}?limit={limit}&page="
        headers = {"Last-Page": f"{link}{last}"}
        if int(page) < last:
            headers["Next-Page"] = f"{link}{int(page) + 1}"
        listed = self._listed(stream, by_number(rows, int(page), limit))
        return Answer(body=listed.body, headers=headers)

    def _listed(self, stream: str, rows: Sequence[Row]) -> Answer:
        return Answer(body=[self.show(stream, row) for row in rows])

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        """Each answer has links of its own to the same pictures, good for 15 minutes."""
        record = super().render(stream, row)
        if stream not in PICTURED:
            return record
        link = f"https://content.example.com/{stream}/{row.number}/pump.jpg?sealed={token_hex(6)}"
        return record | {PICTURED[stream]: [{"fileName": "pump.jpg", "link": link}]}

    def throttled(self, seconds: int) -> Answer:
        """The hour is used up; there is room in the minute."""
        headers = {
            "X-RateLimit-Limit": "4000",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-First-Call": str(epoch(self.now, SECOND) - 3600 + seconds),
            "X-RateLimit-TTL": str(seconds),
            "X-RateLimit-Minute-Limit": "360",
            "X-RateLimit-Minute-Remaining": "340",
        }
        return Answer(429, {"message": "Too many requests."}, headers)

    def refused(self) -> Answer:
        return _no(401, "Unauthorized")

    def forbidden(self) -> Answer:
        return _no(403, "The resource cannot be accessed.")

    def complaints(self) -> Sequence[Complaint]:
        return [
            Complaint("a wrong type", _no(400, "limit must be a number."), "operator", words="limit must be"),
            Complaint(
                "no sense", _no(422, "These don't go together."), "operator", words="don't go together"
            ),
        ]


def _no(status: int, words: str) -> Answer:
    return Answer(status, {"message": words})
