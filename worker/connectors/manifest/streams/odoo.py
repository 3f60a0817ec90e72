"""How are the records of an Odoo model asked for? A stream's `model` and `fields` become bodies, conditions and paging.

    model: maintenance.equipment
    fields: [name, serial_no, category_id]
    domain: [[company_id, "=", 1]]
    incremental: {}

Two ways on the wire, one meaning: JSON-2 (Odoo 19 and later) names model and method in the path and arguments in the body;
JSON-RPC wraps the same into a call of `execute_kw`.

Pages go by id inside of a window of `write_date`. The database keeps microseconds of which answers show none, and releases
up to 18 compare by them: an order by `write_date` has places that nobody can name. The order of ids has none of that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

SIZE = 500
MOST_IDS = 10_000
"""So many ids fit in a page."""
CHANGED = "write_date"
OVERLAP = "15m"
"""`write_date` is when a transaction began, so a change appears when that ends, behind the time that it bears."""
METHOD = "search_read"
_KWARGS = "params.args.6"
"""Where JSON-RPC has the named arguments."""

DEFAULTS_JSON2: Mapping[str, Any] = {"key": "id", "records": "", "empty": [False], "method": "POST"}
DEFAULTS_JSONRPC: Mapping[str, Any] = {**DEFAULTS_JSON2, "records": "result"}


def json2(data: Mapping[str, Any], part: str = "") -> dict[str, Any]:
    """The stream in the words of requests; `part` is the part of `deletes` that it describes: a sweep lists ids alone."""
    path = f"/json/2/{data.get('model', '')}/{METHOD}"
    return {**_asked(data, part, ""), "path": path, "body": _arguments(data, part)}


def jsonrpc(data: Mapping[str, Any], part: str = "") -> dict[str, Any]:
    """The same by JSON-RPC. Who asks is put into the body's places by `auth`."""
    body = call(data.get("model", ""), METHOD, _arguments(data, part))
    return {**_asked(data, part, f"{_KWARGS}."), "path": "/jsonrpc", "body": body}


def call(model: str, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A call of a model's method; the first three places are those of database, user and key."""
    args: list[Any] = [None, None, None, model, method, [], dict(arguments)]
    return {
        "jsonrpc": "2.0",
        "method": "call",
        "id": 1,
        "params": {"service": "object", "method": "execute_kw", "args": args},
    }


def _arguments(data: Mapping[str, Any], part: str) -> dict[str, Any]:
    fields = ["id"] if part == "sweep" else _fields(data)
    context = {"context": data["context"]} if "context" in data else {}
    return {"fields": fields, "order": "id", **context}


def _fields(data: Mapping[str, Any]) -> list[str]:
    changed = [CHANGED] if "incremental" in data else []
    return list(dict.fromkeys(["id", *data.get("fields", ()), *changed]))


def _asked(data: Mapping[str, Any], part: str, stem: str) -> dict[str, Any]:
    found = {name: value for name, value in data.items() if name != "context"}
    found["conditions"] = {"in": "body", "param": f"{stem}domain", "splice": True}
    if data.get("domain"):
        found["where"] = [list(data["domain"])]
    found["paging"] = {
        "keyset": {
            "in": "body",
            "order": "id",
            "behind": [["id", ">", "{0}"]],
            "size_param": f"{stem}limit",
            "size": MOST_IDS if part == "sweep" else SIZE,
        }
    }
    if part == "":
        found["single"] = {"by": [["id", "=", "{key}"]], "number": True}
    if isinstance(filters := data.get("filters"), Sequence):
        found["filters"] = {name: [[name, "=", "{value}"]] for name in filters}
    if "incremental" in data:
        found.setdefault("updated_at", {"field": CHANGED, "format": "datetime"})
        found["incremental"] = {
            "field": CHANGED,
            "format": "datetime",
            "since": [[CHANGED, ">=", "{value}"]],
            "until": [[CHANGED, "<", "{value}"]],  # the end of the second: `protocols.odoo.whole_seconds`
            "overlap": OVERLAP,
            **data["incremental"],
        }
    return found
