"""NetSuite, as Oracle's help and queries in public repositories say: SuiteQL over REST, signed by OAuth 1.0a, all values texts."""

import hashlib
import hmac
import json
import re
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from connectors.doubles.suiteql import SuiteQL

from scheduler.connectors.check import Answer, Call, Complaint, Double, Row, Table, naive
from scheduler.connectors.check.double.times import SECOND
from worker.connectors.reading.keys import make_key

ACCOUNT = "1234567_SB1"
MOST_IN_A_PAGE, MOST_OF_A_QUERY = 1000, 100_000
DAY = "2026-06-01"
ALWAYS = frozenset({"links", "added_by_a_release"})
STREAMS = {
    "transactionline": "purchase_order_lines",
    "transaction": "purchase_orders",
    "item": "items",
    "aggregateitemlocation": "inventory_levels",
    "vendor": "vendors",
    "location": "locations",
}
CONTENT: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "purchase_orders": lambda number: {
        "tranid": f"PO{number}",
        "entity": "7",
        "status": "B",
        "foreigntotal": "99.5",
    },
    "purchase_order_lines": lambda number: {
        "item": "12",
        "quantity": f"{number}",
        "rate": "9.95",
        "isclosed": "F",
    },
    "items": lambda number: {
        "itemid": f"BOLT-{number}",
        "itemtype": "InvtPart",
        "isinactive": "F",
        "cost": "1.25",
    },
    "inventory_levels": lambda number: {"location": f"{2 - number % 2}", "quantityonhand": f"{number}"},
    "vendors": lambda number: {
        "entityid": f"V{number}",
        "companyname": f"Vendor {number}",
        "isinactive": "F",
    },
    "locations": lambda number: {"name": f"Location {number}", "isinactive": "F"},
}
EDITED = {
    "purchase_orders": "tranid",
    "purchase_order_lines": "quantity",
    "items": "itemid",
    "inventory_levels": "quantityonhand",
    "vendors": "companyname",
    "locations": "name",
}
KEYS = {"purchase_order_lines": "uniquekey", "inventory_levels": "item"}
TIMED = {"purchase_orders", "items"}


def _item(number: int) -> str:
    """An item is in two locations."""
    return str((number + 1) // 2)


def _table(stream: str) -> Table:
    lines = stream == "purchase_order_lines"
    return Table(
        key=KEYS.get(stream, "id"),
        key_of=_item if stream == "inventory_levels" else str,
        changed="changed" if stream in TIMED else None,
        created="created" if stream in TIMED else None,
        unit=SECOND,
        content=CONTENT[stream],
        edited=EDITED[stream],
        of="purchase_orders" if lines else "",
        within="lines" if lines else "",
        carries={"purchase_order_id": "id", "changed": "changed"} if lines else {},
    )


class NetSuite(Double):
    """One address for all queries."""

    system = "netsuite"
    says_how_long = False
    secrets: ClassVar[Mapping[str, str]] = {
        "consumer_key": "double-consumer",
        "consumer_secret": "double-consumer/secret+=",
        "token": "double-token",
        "token_secret": "double-token&secret",
    }
    tables: ClassVar[Mapping[str, Table]] = {stream: _table(stream) for stream in CONTENT}

    def __post_init__(self) -> None:
        super().__post_init__()
        self._kept: tuple[tuple[int, tzinfo], SuiteQL] | None = None

    def __exit__(self, *about: object) -> None:
        super().__exit__(*about)
        self._let_go()

    def settings(self) -> Mapping[str, Any]:
        zone = getattr(self.zone, "key", "Etc/UTC")
        return {"base_url": self.base_url, "account": ACCOUNT, "timezone": zone, "deleted_records": True}

    def admits(self, call: Call) -> bool:
        """RFC 5849, with the account as realm."""
        scheme, _, said = call.headers.get("authorization", "").partition(" ")
        proof = {name: unquote(value) for name, value in re.findall(r'(\w+)="([^"]*)"', said)}
        signature = proof.pop("oauth_signature", "")
        if scheme != "OAuth" or proof.pop("realm", "") != ACCOUNT:
            return False
        named = {"oauth_consumer_key": "consumer_key", "oauth_token": "token"}
        if any(proof.get(name) != self.secrets[secret] for name, secret in named.items()):
            return False
        pairs = sorted((_quoted(name), _quoted(value)) for name, value in [*call.params, *proof.items()])
        params = "&".join(f"{name}={value}" for name, value in pairs)
        text = "&".join(map(_quoted, (call.method, self.base_url + call.path, params)))
        key = "&".join(_quoted(self.secrets[name]) for name in ("consumer_secret", "token_secret"))
        wanted = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
        return proof["oauth_signature_method"] == "HMAC-SHA256" and signature == b64encode(wanted).decode()

    def write(self, stream: str, at: datetime) -> Any:
        return naive(at, SECOND, self.zone)

    def key_of(self, stream: str, row: Row) -> str:
        key = super().key_of(stream, row)
        return key if stream != "inventory_levels" else make_key([_item(row.number), row.content["location"]])

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        """As the manifest's queries name it."""
        record = super().render(stream, row)
        record.pop("lines", None)
        if stream == "purchase_orders":
            record |= {"trandate": DAY, "status_name": "Purchase Order : Pending Receipt"}
        if stream == "purchase_order_lines":
            record |= {
                "line_id": str(row.number),
                "linesequencenumber": str(row.number),
                "purchase_order_id": str(row.parent),
            }
            record["changed"] = self.write(stream, self._changed(stream, row))
        return {"links": [], **record}

    def answer(self, call: Call) -> Answer:
        if call.method != "POST" or call.path != "/services/rest/query/v1/suiteql":
            return _refusal(
                404, "NONEXISTENT_ENDPOINT", f"The requested endpoint does not exist: {call.path}"
            )
        if call.headers.get("prefer") != "transient":
            return _refusal(
                400, "INVALID_HEADER", "The required request header 'Prefer' is missing or not 'transient'."
            )
        limit, offset = call.number("limit", MOST_IN_A_PAGE), call.number("offset", 0)
        if limit > MOST_IN_A_PAGE or offset + limit > MOST_OF_A_QUERY:
            return _refusal(400, "INVALID_PARAMETER", "Out of the bounds of a query.")
        try:
            names, found = self._suite().run(call.json["q"])
        except sqlite3.Error as exc:
            return _refusal(400, "INVALID_PARAMETER", f"Invalid search query. Search error occurred: {exc}")
        total = min(len(found), MOST_OF_A_QUERY)
        page = found[offset : offset + limit]
        items = [self._item(call.json["q"], dict(zip(names, row, strict=True))) for row in page]
        more = offset + len(page) < total
        links = (
            [{"rel": "next", "href": f"{self.base_url}{call.path}?limit={limit}&offset={offset + limit}"}]
            if more
            else []
        )
        told = {"count": len(items), "hasMore": more, "offset": offset, "totalResults": total}
        return Answer(body={"links": links, "items": items, **told})

    def throttled(self, seconds: int) -> Answer:
        """Too many at a time; for how long isn't said."""
        del seconds
        return _refusal(
            429, "CONCURRENCY_LIMIT_EXCEEDED", "The request could not be processed: too many at a time."
        )

    def failing(self) -> Answer:
        return _refusal(500, "UNEXPECTED_ERROR", "An unexpected error occurred. Error ID: kx1")

    def refused(self) -> Answer:
        return _refusal(
            401, "INVALID_LOGIN", "Invalid login attempt. For more details, see the Login Audit Trail."
        )

    def forbidden(self) -> Answer:
        return _refusal(
            403, "INSUFFICIENT_PERMISSION", "Permission Violation: the role lacks REST Web Services."
        )

    def complaints(self) -> Sequence[Complaint]:
        unknown = _refusal(
            400, "INVALID_PARAMETER", "Invalid search query. Record 'transactions' was not found."
        )
        limit = _refusal(400, "SSS_REQUEST_LIMIT_EXCEEDED", "Request Limit Exceeded")
        return [
            Complaint("a query that can't be", unknown, "operator", words="'transactions' was not found"),
            Complaint("too many at a time, as a 400", limit, "rate_limited"),
        ]

    def _suite(self) -> SuiteQL:
        """Made anew when anything has changed."""
        state = (self.serial, self.zone)
        if self._kept is None or self._kept[0] != state:
            self._let_go()
            self._kept = state, SuiteQL(self._rows_of, self.zone)
        return self._kept[1]

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept[1].close()

    def _rows_of(self, name: str) -> list[dict[str, Any]]:
        """What a table of NetSuite holds, by its own names."""
        if name == "deletedrecord":
            gone = [row for row in self.rows("purchase_orders", gone=True) if row.deleted is not None]
            return [
                {"recordid": row.number, "type": "purchaseorder", "deleteddate": _at(row.deleted)}
                for row in gone
            ]
        stream = STREAMS[name]
        found = [self._raw(stream, row) for row in self.rows(stream, order="number")]
        if name == "transaction":
            return [{**row, "type": "PurchOrd"} for row in found] + [{"id": 9_000_001, "type": "SalesOrd"}]
        if name == "transactionline":
            heads = [
                {"transaction": row.number, "id": 0, "mainline": "T"} for row in self.rows("purchase_orders")
            ]
            return [{**row, "mainline": "F"} for row in found] + heads
        return found

    def _raw(self, stream: str, row: Row) -> dict[str, Any]:
        own = {
            "createddate": _at(row.created),
            "lastmodifieddate": _at(row.changed),
            "trandate": _at(row.created),
        }
        line = {
            "transaction": row.parent,
            "id": row.number,
            "uniquekey": row.number,
            "linesequencenumber": str(row.number),
        }
        named = line if stream == "purchase_order_lines" else {"id": row.number, "item": _item(row.number)}
        return {**row.content, **own, **named, **({"item": "12"} if stream == "purchase_order_lines" else {})}

    def _item(self, query: str, found: Mapping[str, Any]) -> dict[str, Any]:
        """A row as it is answered: texts in lower-case columns, without what is null."""
        name = re.search(r"FROM (\w+)", query)
        stream = STREAMS.get(name[1] if name else "")
        texts = {column: str(value) for column, value in found.items() if value is not None}
        if stream is None:
            return {"links": [], **texts}
        number = int(texts[self.tables[stream].key])
        if stream == "inventory_levels":
            number = 2 * number - 2 + int(texts["location"])
        shown = self.show(stream, self._rows[stream][number])
        return {column: value for column, value in shown.items() if column in found or column in ALWAYS}

    def _changed(self, stream: str, row: Row) -> datetime:
        holder = self._holder(stream, row)
        return row.changed if holder is None else holder.changed


def _at(moment: datetime) -> int:
    return int(moment.timestamp())


def _quoted(text: str) -> str:
    return quote(text, safe="-._~")


def _refusal(status: int, code: str, words: str) -> Answer:
    found = {
        "type": f"https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html#sec10.4.{status % 100 + 1}",
        "title": "Bad Request" if status == 400 else "Refused",
        "status": status,
        "o:errorDetails": [{"detail": words, "o:errorCode": code}],
    }
    return Answer(
        status, json.dumps(found), {"Content-Type": "application/vnd.oracle.resource+json; type=error"}
    )
