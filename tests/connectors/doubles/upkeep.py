"""UpKeep, as its documentation and public clients say: a session from a log-in, offsets without a total, 404 behind the end."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from scheduler.connectors.check import Answer, Call, Complaint, Double, Table, by_offset, iso

EMAIL, PASSWORD = "headrace@example.com", "double-password/of+upkeep"
STREAMS = {
    "work-orders": "work_orders",
    "assets": "assets",
    "locations": "locations",
    "parts": "parts",
    "meters": "meters",
    "requests": "requests",
    "purchase-orders": "purchase_orders",
    "vendors": "vendors",
    "customers": "customers",
    "users": "users",
    "teams": "teams",
}
SAYS_NOTHING = {"users", "teams"}
"""Their lists are empty behind the end; those of the others aren't there."""
USUAL, MOST = 25, 200
"""Records in a page where nobody says how many, and at most: no page of the documentation says either."""
LASTS = timedelta(days=365)


def _id(number: int) -> str:
    """Ten characters, as ids are."""
    return f"O1L94{number:05}"


def _order(number: int) -> dict[str, Any]:
    """What it refers to are ids, unless `includes` asks for more."""
    return {
        "title": f"Order {number}",
        "description": "Check the seal.",
        "workOrderNo": str(number),
        "status": ("open", "inProgress", "onHold", "complete")[number % 4],
        "priority": number % 4,
        "dueDate": "2026-12-31T00:00:00.000Z",
        "asset": _id(1),
        "location": _id(2),
    }


def _named(number: int) -> dict[str, Any]:
    return {"name": f"Record {number}", "location": _id(2)}


class UpKeep(Double):
    """Its lists begin with what was made last, so what is new moves all the others."""

    system = "upkeep"
    secrets: ClassVar[Mapping[str, str]] = {"email": EMAIL, "password": PASSWORD}
    tables: ClassVar[Mapping[str, Table]] = {
        stream: Table(
            key_of=_id,
            changed="updatedAt",
            created="createdAt",
            content=_order if stream == "work_orders" else _named,
            edited="title" if stream == "work_orders" else "name",
        )
        for stream in STREAMS.values()
    }

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": f"{self.base_url}/api/v2"}

    def is_login(self, call: Call) -> bool:
        return call.method == "POST" and call.path == "/api/v2/auth"

    def admits(self, call: Call) -> bool:
        """A token in another header is none."""
        return self.knows(call.headers.get("session-token"))

    def answer(self, call: Call) -> Answer:
        if self.is_login(call):
            return self._log_in(call)
        path, _, key = call.path.removeprefix("/api/v2/").partition("/")
        stream = STREAMS.get(path)
        if call.method != "GET" or stream is None:
            return _no(404, "Not found.")
        if key:
            row = self.row(stream, key)
            return (
                _no(404, "Not found.")
                if row is None
                else Answer(body={"success": True, "result": self.show(stream, row)})
            )
        rows = self.rows(stream, order="number")[::-1]
        page = by_offset(rows, call.number("offset", 0), min(MOST, call.number("limit", USUAL)))
        if not page and stream not in SAYS_NOTHING:
            return _no(404, "No results.")
        return Answer(body={"success": True, "results": [self.show(stream, row) for row in page]})

    def failing(self) -> Answer:
        return _no(500, "Internal error.")

    def refused(self) -> Answer:
        return _no(401, "Invalid session token.")

    def forbidden(self) -> Answer:
        """Vendors, for one, need a larger plan."""
        return _no(403, "Your plan doesn't include this.")

    def throttled(self, seconds: int) -> Answer:
        return Answer(429, {"success": False, "message": "Too many requests."}, {"Retry-After": str(seconds)})

    def complaints(self) -> Sequence[Complaint]:
        said = {"success": False, "message": "Limit must be a number."}
        return [
            Complaint("an error in a 200", Answer(body=said), "operator", words="Limit must be a number."),
            Complaint("a wrong parameter", Answer(400, said), "operator", words="Limit must be a number."),
        ]

    def _log_in(self, call: Call) -> Answer:
        said = call.json if "json" in call.headers.get("content-type", "") else call.form
        if (said["email"], said["password"]) != (EMAIL, PASSWORD):
            return _no(401, "Invalid email or password.")
        result = {"sessionToken": self.issue(), "expiresAt": iso(self.now + LASTS)}
        return Answer(body={"success": True, "result": result})


def _no(status: int, words: str) -> Answer:
    return Answer(status, {"success": False, "message": words})
