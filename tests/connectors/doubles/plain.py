"""A REST system that pages, counts time and tells of deletes in a different way in each of its streams.

No system of anybody's: it shows what a double looks like, and every way that a manifest can express is tried with it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from scheduler.connectors.check import (
    Answer,
    Call,
    Complaint,
    Double,
    Row,
    Table,
    by_number,
    by_offset,
    by_token,
    epoch,
    iso,
    moment,
    naive,
)
from scheduler.connectors.check.double.times import SECOND

WEST, EAST = ZoneInfo("America/Los_Angeles"), ZoneInfo("Asia/Tokyo")
MOST = 100
MANIFEST = """
manifest: 1
system: plain
title: Plain REST
protocol: rest
base_url: "{base_url}"
settings: {base_url: {required: true, description: Where it listens.}}
secrets: {token: {description: Its token., find: On its first page.}}
auth: {bearer: {secret: token}}
errors:
  words: error.words
  rules:
    - {path: error.code, equals: 1100, kind: rate_limited, wait: error.seconds}
    - {path: error.code, equals: 1500, kind: transient}
    - {path: error, kind: operator}
defaults: {records: data, key: id, interval: 1h}
streams:
  by_offset:
    path: /by_offset
    single: {record: data}
    total: total
    version: serial
    deleted: deleted_at
    incremental: {field: updated_at, param: since, until_param: until, overlap: 1m}
    paging: {offset: {param: offset, limit_param: limit, size: 100}}
  by_page:
    path: /by_page
    single: {record: data}
    total: total
    incremental: {field: updated_at, format: epoch_s, param: since, overlap: 1m, ordered: true}
    paging: {page: {param: page, size_param: per_page, size: 100}}
    deletes:
      tombstones: {path: /by_page/deleted, incremental: {field: at, format: epoch_s, param: since, overlap: 1m}}
  by_cursor:
    path: /by_cursor
    single: {record: data}
    incremental: {field: updated_at, format: epoch_ms, param: since, overlap: 1m, ordered: true}
    paging: {cursor: {param: cursor, path: next, size_param: limit, size: 100}}
    deletes: {removed: gone, sweep: {params: {fields: id}}}
  by_link:
    path: /by_link
    single: {record: data}
    incremental: {field: updated_at, format: datetime, zone: America/Los_Angeles, param: since, until_param: until, overlap: 1m}
    paging: {next_link: {path: links.next, size_param: limit, size: 100}}
  by_header:
    path: /by_header
    single: {record: data}
    incremental: {field: serial, kind: number, param: since}
    paging: {next_link: {header: true, size_param: limit, size: 100}}
  by_key:
    path: /by_key
    single: {record: data}
    incremental: {field: updated_at, format: datetime, zone: Asia/Tokyo, param: since, overlap: 1m}
    paging: {keyset: {order: id, param: after, size_param: limit, size: 100}}
  by_token:
    path: /by_token
    single: {record: data}
    incremental: {kind: token, token: delta, param: delta}
    paging: {cursor: {param: cursor, path: next, size_param: limit, size: 100}}
    deletes: {removed: gone, sweep: false}
  whole:
    path: /whole
    single: {record: data}
  orders:
    path: /orders
    incremental: {field: updated_at, param: since, overlap: 1m, ordered: true}
    paging: {cursor: {param: cursor, path: next, size_param: limit, size: 100}}
  lines:
    explode: {of: orders, path: lines, parent: {order_id: id, updated_at: updated_at}, by: order_id}
    key: [order_id, no]
  notes:
    explode: {of: orders, path: data, parent: {order_id: id, updated_at: updated_at}, by: order_id}
    detail: {}
    single: {path: "/orders/{key}/notes"}
    key: [order_id, no]
"""


class Plain(Double):
    """Its streams are named by how they page."""

    system = "plain"
    short_is_last = True
    secrets: ClassVar[Mapping[str, str]] = {"token": "double/token+of plain"}
    tables: ClassVar[Mapping[str, Table]] = {
        "by_offset": Table(),
        "by_page": Table(writes=lambda at: epoch(at, SECOND), unit=SECOND),
        "by_cursor": Table(
            writes=epoch, content=lambda number: {"name": f"Record {number}", "kind": f"K{number % 7}"}
        ),
        "by_link": Table(writes=lambda at: naive(at, zone=WEST), unit=SECOND),
        "by_header": Table(),
        "by_key": Table(writes=lambda at: naive(at, zone=EAST), unit=SECOND, key_of="K{:05}".format),
        "by_token": Table(),
        "whole": Table(changed=None),
        "orders": Table(),
        "lines": Table(
            key="no",
            changed=None,
            of="orders",
            within="lines",
            carries={"order_id": "id", "updated_at": "updated_at"},
            keyed=("order_id", "no"),
        ),
        "notes": Table(
            key="no",
            changed=None,
            of="orders",
            carries={"order_id": "id", "updated_at": "updated_at"},
            keyed=("order_id", "no"),
        ),
    }

    def admits(self, call: Call) -> bool:
        return call.headers.get("authorization") == f"Bearer {self.secrets['token']}"

    def answer(self, call: Call) -> Answer:
        _, stream, *key = call.path.split("/")
        if stream not in self.tables:
            return Answer(404, {"error": {"words": "No such page."}})
        if key[1:] == ["notes"]:
            return self._notes(key[0])
        if key == ["deleted"]:
            return self._deleted(stream, call)
        if key:
            found = self.row(stream, key[0])
            return (
                Answer(404, {"error": {"words": "Not found."}})
                if found is None
                else Answer(body={"data": self.show(stream, found)})
            )
        answers: Mapping[str, Callable[[Call], Answer]] = {
            "by_offset": self._by_offset,
            "by_page": self._by_page,
            "by_cursor": self._by_cursor,
            "by_link": self._by_link,
            "by_header": self._by_header,
            "by_key": self._by_key,
            "by_token": self._by_token,
            "orders": self._orders,
            "whole": lambda _: self._list("whole", self.rows("whole")),
        }
        return answers[stream](call)

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        """Deleted records are listed with a flag, or as a mark; elsewhere they are just not there."""
        if row.deleted is not None and stream in {"by_cursor", "by_token"}:
            return {"id": row.number, "gone": True}
        record = super().render(stream, row)
        if stream in {"by_offset", "by_header"}:
            record["serial"] = row.serial
        if stream == "by_offset":
            record["deleted_at"] = None if row.deleted is None else iso(row.deleted)
        return record

    def changed_at(self, stream: str, key: str) -> datetime | int | None:
        row = self.row(stream, key)
        return row.serial if row is not None and stream == "by_header" else super().changed_at(stream, key)

    def complaints(self) -> Sequence[Complaint]:
        said = {"data": [], "error": {"code": 1403, "words": "Ask your administrator."}}
        busy = {"data": [], "error": {"code": 1100, "seconds": 90, "words": "Slow down."}}
        return [
            Complaint("an error in a 200", Answer(body=said), "operator", words="Ask your administrator"),
            Complaint("busy, in a 200", Answer(body=busy), "rate_limited", wait=90),
            Complaint("broken, in a 200", Answer(body={"error": {"code": 1500}}), "transient"),
        ]

    def _list(self, stream: str, rows: Sequence[Row], **more: Any) -> Answer:
        return Answer(body={"data": [self.show(stream, row) for row in rows], **more})

    def _by_offset(self, call: Call) -> Answer:
        rows = self.rows(
            "by_offset", since=moment(call.param("since")), until=moment(call.param("until")), gone=True
        )
        page = by_offset(rows, call.number("offset", 0), min(MOST, call.number("limit", MOST)))
        return self._list("by_offset", page, total=len(rows))

    def _by_page(self, call: Call) -> Answer:
        rows = self.rows("by_page", since=_seconds(call.param("since")))
        page = by_number(rows, call.number("page", 1), min(MOST, call.number("per_page", MOST)))
        return self._list("by_page", page, total=len(rows))

    def _by_cursor(self, call: Call) -> Answer:
        since = call.param("since")
        rows = self.rows("by_cursor", since=_seconds(since, 1000), gone=since is not None)
        page, following = by_token(rows, call.param("cursor"), min(MOST, call.number("limit", MOST)))
        return self._list("by_cursor", page, next=following)

    def _by_link(self, call: Call) -> Answer:
        rows = self.rows(
            "by_link", since=moment(call.param("since"), WEST), until=moment(call.param("until"), WEST)
        )
        page, following = by_token(rows, call.param("cursor"), min(MOST, call.number("limit", MOST)))
        return self._list("by_link", page, links={"next": self._link(call, following)})

    def _by_header(self, call: Call) -> Answer:
        rows = [row for row in self.rows("by_header") if row.serial >= call.number("since", 0)]
        page, following = by_token(rows, call.param("cursor"), min(MOST, call.number("limit", MOST)))
        listed = self._list("by_header", page)
        link = self._link(call, following)
        return listed if link is None else Answer(body=listed.body, headers={"Link": f'<{link}>; rel="next"'})

    def _by_key(self, call: Call) -> Answer:
        rows = self.rows("by_key", since=moment(call.param("since"), EAST), order="number")
        after = call.param("after") or ""
        behind = [row for row in rows if self.key_of("by_key", row) > after]
        return self._list("by_key", behind[: min(MOST, call.number("limit", MOST))])

    def _by_token(self, call: Call) -> Answer:
        since = call.number("delta", 0)
        rows = [row for row in self.rows("by_token", gone=since > 0) if row.serial > since]
        page, following = by_token(rows, call.param("cursor"), min(MOST, call.number("limit", MOST)))
        more = {"next": following} if following else {"delta": str(self.serial)}
        return self._list("by_token", page, **more)

    def _orders(self, call: Call) -> Answer:
        rows = self.rows("orders", since=moment(call.param("since")))
        page, following = by_token(rows, call.param("cursor"), min(MOST, call.number("limit", MOST)))
        return self._list("orders", page, next=following)

    def _notes(self, key: str) -> Answer:
        """Those of one order."""
        if (order := self.row("orders", key)) is None:
            return Answer(404, {"error": {"words": "Not found."}})
        return self._list("notes", [row for row in self.rows("notes") if row.parent == order.number])

    def _deleted(self, stream: str, call: Call) -> Answer:
        since = _seconds(call.param("since"))
        gone = [
            row
            for row in self.rows(stream, gone=True)
            if row.deleted and (since is None or row.deleted >= since)
        ]
        page = by_number(gone, call.number("page", 1), min(MOST, call.number("per_page", MOST)))
        return Answer(
            body={
                "data": [{"id": row.number, "at": epoch(row.deleted, SECOND)} for row in page if row.deleted]
            }
        )

    def _link(self, call: Call, cursor: str | None) -> str | None:
        if cursor is None:
            return None
        kept = {name: value for name, value in call.params if name != "cursor"}
        return f"{self.base_url}{call.path}?{urlencode({**kept, 'cursor': cursor})}"


def _seconds(text: str | None, per_second: int = 1) -> datetime | None:
    return None if text is None else datetime.fromtimestamp(int(text) / per_second, UTC)
