"""ShipHero, as its developer pages, a published introspection of its schema and public clients say: GraphQL with credits."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import takewhile
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from scheduler.connectors.check import Answer, Call, Complaint, Double, Row, Table, moment, naive
from scheduler.connectors.check.double.times import SECOND

MOST_CREDITS = 4004
LISTS = {
    "orders": "orders",
    "purchase_orders": "purchase_orders",
    "products": "products",
    "warehouse_products": "inventory",
    "vendors": "vendors",
}
ALONE = {"order": "orders", "purchase_order": "purchase_orders", "product": "products"}
KINDS = {
    "orders": "Order",
    "purchase_orders": "PurchaseOrder",
    "purchase_order_lines": "PurchaseOrderLineItem",
    "products": "Product",
    "inventory": "WarehouseProduct",
    "vendors": "Vendor",
    "warehouses": "Warehouse",
}
TIMED = {"orders", "products", "inventory"}
TEXTS = {
    "orders": "shop_name",
    "purchase_orders": "po_note",
    "purchase_order_lines": "note",
    "inventory": "inventory_bin",
    "warehouses": "company_name",
}
_TOKEN = re.compile(r'[A-Za-z_]\w*|\$\w+|"[^"]*"|\d+|[{}():!]')


@dataclass(frozen=True)
class Field:
    """One field of a query: its arguments, and what is asked of it."""

    name: str
    args: Mapping[str, Any]
    inner: Sequence["Field"] = field(default_factory=tuple)

    def __getitem__(self, name: str) -> "Field":
        return next(each for each in self.inner if each.name == name)


def _key_of(kind: str) -> Any:
    return lambda number: b64encode(f"{kind}:{number}".encode()).decode()


def _table(stream: str, **more: Any) -> Table:
    text = TEXTS.get(stream, "name")
    return Table(
        key_of=_key_of(KINDS[stream]),
        changed="updated_at" if stream in TIMED else None,
        unit=SECOND,
        content=lambda number: {"legacy_id": number, text: f"Record {number}", **more},
        edited=text,
    )


class ShipHero(Double):
    """Everything is a POST to /graphql; what isn't asked for doesn't come."""

    system = "shiphero"
    secrets: ClassVar[Mapping[str, str]] = {"refresh_token": "double-refresh/token+of=shiphero"}
    tables: ClassVar[Mapping[str, Table]] = {
        "orders": _table("orders", order_number="1001", fulfillment_status="pending", total_price="19.90"),
        "purchase_orders": _table(
            "purchase_orders", po_number="PO 31", total_price="99.5", vendor_id="VmVuZG9yOjE="
        ),
        "purchase_order_lines": Table(
            key_of=_key_of("PurchaseOrderLineItem"),
            changed=None,
            content=lambda number: {
                "sku": f"SKU-{number}",
                "quantity": 10,
                "note": f"Line {number}",
                "price": "9.95",
            },
            edited="note",
            of="purchase_orders",
            within="line_items",
            carries={"purchase_order_id": "id", "po_number": "po_number"},
        ),
        "products": _table("products", sku="SKU-1", barcode="0123456789012", kit=False),
        "inventory": _table(
            "inventory", sku="SKU-1", on_hand=148, allocated=10, warehouse_id="V2FyZWhvdXNlOjE="
        ),
        "vendors": _table("vendors", email="sales@vendor.example", currency=None),
        "warehouses": _table("warehouses", identifier="Primary"),
    }

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": self.base_url, "timezone": getattr(self.zone, "key", "UTC")}

    def is_login(self, call: Call) -> bool:
        return call.path.startswith("/auth/")

    def admits(self, call: Call) -> bool:
        return self.knows(call.headers.get("authorization", "").removeprefix("Bearer "))

    def write(self, stream: str, at: datetime) -> Any:
        """Without a zone."""
        return naive(at, SECOND, self.zone, "T")

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        """With all that a query of the manifest may ask for; `answer` chooses of it."""
        record = super().render(stream, row)
        if stream in TIMED:
            record["order_date" if stream == "orders" else "created_at"] = self.write(stream, row.created)
        if stream == "inventory":
            record["product"] = {"id": _key_of("Product")(row.number)}
        if "line_items" in record:
            edges = [{"node": line} for line in record["line_items"]]
            record["line_items"] = {"pageInfo": {"hasNextPage": False}, "edges": edges}
        return record

    def answer(self, call: Call) -> Answer:
        if call.path == "/auth/refresh":
            if call.json != {"refresh_token": self.secrets["refresh_token"]}:
                return Answer(401, {"message": "Unknown or invalid refresh token."})
            scope = {"scope": "openid profile offline_access", "token_type": "Bearer"}
            return Answer(body={"access_token": self.issue(), "expires_in": 2419200, **scope})
        if call.method != "POST" or call.path != "/graphql":
            return Answer(404, {"message": "Not found."})
        asked = _read(call.json["query"], call.json.get("variables") or {})
        cost = _cost(asked)
        if cost > MOST_CREDITS:
            return self._said(
                asked.name, 31, f"The query costs {cost} credits, and there are never more than 4004."
            )
        if asked.name == "account":
            rows = self.rows("warehouses", order="number")
            found: Any = {
                "warehouses": [self._asked("warehouses", row, asked["data"]["warehouses"]) for row in rows]
            }
        elif asked.name in ALONE:
            row = self.row(ALONE[asked.name], asked.args["id"])
            if row is None:
                return self._said(asked.name, 5, f"{asked.name.replace('_', ' ').capitalize()} not found")
            found = self._asked(ALONE[asked.name], row, asked["data"])
        else:
            found = self._connection(LISTS[asked.name], asked)
        return Answer(
            body={"data": {asked.name: {"request_id": "5da7dc13", "complexity": cost, "data": found}}}
        )

    def throttled(self, seconds: int) -> Answer:
        said = (
            "There are not enough credits to perform the requested operation, which requires 1010 credits, but the are only "
            f"3 left. In {seconds} seconds you will have enough credits to perform the operation"
        )
        more = {"required_credits": 1010, "remaining_credits": 3, "max_available": MOST_CREDITS}
        return self._said("orders", 30, said, time_remaining=f"{seconds} seconds", **more)

    def complaints(self) -> Sequence[Complaint]:
        denied = self._said("orders", 4, "You are not allowed to access this account")
        return [
            Complaint("an error in a 200", denied, "operator", words="not allowed to access"),
            Complaint(
                "7,000 requests in five minutes", Answer(429, {"message": "Slow down."}), "rate_limited"
            ),
        ]

    def _connection(self, stream: str, asked: Field) -> dict[str, Any]:
        data, args = asked["data"], asked.args
        if data.args.get("sort") not in {"created_at", "order_date"}:
            raise ValueError("a sort is wanted, or an edit moves pages")
        rows = self.rows(
            stream,
            since=self._moment(args.get("updated_from")),
            until=self._moment(args.get("updated_to")),
            order="number",
        )
        page, following = _by_place(rows, data.args.get("after"), data.args.get("first") or 100)
        edges = [{"node": self._asked(stream, row, data["edges"]["node"])} for row in page]
        return {"pageInfo": {"hasNextPage": following is not None, "endCursor": following}, "edges": edges}

    def _asked(self, stream: str, row: Row, node: Field) -> dict[str, Any]:
        found: dict[str, Any] = _chosen(self.show(stream, row), node)
        return found

    def _moment(self, text: str | None) -> datetime | None:
        if text is None:
            return None
        if not re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", text):
            raise ValueError(text)
        return moment(text, self.zone if isinstance(self.zone, ZoneInfo) else ZoneInfo("UTC"))

    def _said(self, operation: str, code: int, words: str, **more: Any) -> Answer:
        error = {
            "message": words,
            "operation": operation,
            "field": operation,
            "request_id": "5da7dc13",
            "code": code,
        }
        return Answer(body={"errors": [error | more], "data": {operation: None}})


def _by_place(rows: Sequence[Row], after: str | None, first: int) -> tuple[Sequence[Row], str | None]:
    """Behind a record, in the order in which records were made; and the place of the last one, unless it is the end."""
    place = int(b64decode(after).decode().removeprefix("place:")) if after else 0
    behind = [row for row in rows if row.number > place]
    page = behind[:first]
    return page, b64encode(f"place:{page[-1].number}".encode()).decode() if len(behind) > first else None


def _read(query: str, variables: Mapping[str, Any]) -> Field:
    """The only field of a query, with its variables in their places."""
    tokens = iter(_TOKEN.findall(query))
    for token in tokens:
        if token == "{":
            break
    (found,) = _selection(tokens, variables)
    return found


def _selection(tokens: Iterator[str], variables: Mapping[str, Any]) -> tuple[Field, ...]:
    """Up to the brace that closes it."""
    found: list[Field] = []
    for token in tokens:
        if token == "}":
            break
        if token == "(":
            found[-1] = replace(found[-1], args=_arguments(tokens, variables))
        elif token == "{":
            found[-1] = replace(found[-1], inner=_selection(tokens, variables))
        else:
            found.append(Field(token, {}))
    return tuple(found)


def _arguments(tokens: Iterator[str], variables: Mapping[str, Any]) -> dict[str, Any]:
    said = list(takewhile(lambda token: token != ")", tokens))
    values = zip(said[::3], said[2::3], strict=True)
    return {
        name: variables.get(value[1:])
        if value[0] == "$"
        else value.strip('"')
        if value[0] == '"'
        else int(value)
        for name, value in values
    }


def _cost(asked: Field) -> int:
    """One for each object, as often as it may come; what a connection is made of costs nothing."""
    inner = sum(_cost(each) for each in asked.inner if each.inner)
    own = 0 if asked.name in {"data", "pageInfo", "edges"} else 1
    return own + int(asked.args.get("first") or 1) * inner


def _chosen(value: Any, asked: Field) -> Any:
    """What is asked for of an object, or of each in a list."""
    if not asked.inner or value is None:
        return value
    if isinstance(value, list):
        return [_chosen(each, asked) for each in value]
    names = {each.name: each for each in asked.inner}
    kept = {name: _chosen(value[name], each) for name, each in names.items() if name in value}
    return kept | {name: value[name] for name in value if name == "added_by_a_release"}
