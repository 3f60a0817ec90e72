"""Odoo as far as reading goes: `search_read` with domains, `false` where nothing is, many2one as `[id, name]`, archived records.

Built from documentation and from what releases are known for. The database keeps microseconds of `write_date` that no
answer shows. Releases up to 18 compare by them (`whole_seconds` false), later ones by seconds.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from scheduler.connectors.check import Answer, Call, Complaint, Double, Row, Table, moment, naive
from scheduler.connectors.check.double.times import SECOND, cut
from worker.connectors.manifest.model import load_manifest
from worker.connectors.registry.places import CATALOG

STREAMS = load_manifest(CATALOG / "odoo" / "manifest.yaml").streams
MODELS = {stream.model: name for name, stream in STREAMS.items()}
ARCHIVED = 7
"""One in so many is archived, where a model knows that."""
_TEXTS = frozenset(
    {"name", "description", "login", "default_code", "serial_no", "complete_name", "ref", "note"}
)
_NUMBERS = frozenset({"quantity", "product_qty", "price_unit", "amount_total", "sequence"})


def content_of(stream: str) -> Any:
    """Fields as Odoo writes them; those that are empty are `false`."""
    fields = STREAMS[stream].fields

    def content(number: int) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for name in fields:
            if name == "active":
                record[name] = number % ARCHIVED != 0
            elif name in _TEXTS:
                record[name] = f"{name} {number}"
            elif name in _NUMBERS:
                record[name] = number * 1.5
            elif name.endswith("_id") and number % 2:
                record[name] = [number % 5 + 1, f"{name} {number % 5 + 1}"]
            elif name != "create_date":
                record[name] = False
        return record

    return content


class OdooDouble(Double):
    """One database, whatever the wire."""

    whole_seconds: ClassVar[bool]
    tables: ClassVar[Mapping[str, Table]] = {
        name: Table(
            changed="write_date",
            created="create_date",
            writes=naive,
            unit=SECOND,
            content=content_of(name),
            edited="name" if "name" in stream.fields else "origin",
        )
        for name, stream in STREAMS.items()
        if name != "stock"
    } | {
        "stock": Table(
            changed="write_date",
            created="create_date",
            writes=naive,
            unit=SECOND,
            content=lambda number: {
                **content_of("stock")(number),
                "lot_id": [number, f"LOT-{number}"],
                "x_note": f"n{number}",
            },
            edited="x_note",
        )
    }

    def found(self, model: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What `search_read` answers."""
        stream = MODELS[model]
        known = {"domain", "fields", "offset", "limit", "order", "context"}
        if unknown := arguments.keys() - known:
            raise ValueError(f"got an unexpected keyword argument {min(unknown)!r}")
        context = arguments.get("context", {})
        rows = self.rows(stream, order="number" if arguments.get("order") == "id" else "changed")
        if context.get("active_test", True):
            rows = [row for row in rows if row.content.get("active", True)]
        rows = [
            row for row in rows if all(self._fits(stream, row, *part) for part in arguments.get("domain", []))
        ]
        offset = arguments.get("offset", 0)
        page = rows[offset : offset + arguments.get("limit", len(rows))]
        return [self._read(stream, row, arguments["fields"]) for row in page]

    def _read(self, stream: str, row: Row, fields: Sequence[str]) -> dict[str, Any]:
        shown = self.show(stream, row)
        known = {"id", "create_date", "write_date", *STREAMS[stream].fields}
        for name in fields:
            if name not in known:
                raise ValueError(f"Invalid field {name!r} on {STREAMS[stream].model!r}")
        asked = {"id", *fields} | {"added_by_a_release", "x_note"}
        return {name: value for name, value in shown.items() if name in asked}

    def _fits(self, stream: str, row: Row, name: str, operator: str, asked: Any) -> bool:
        if name == "id":
            held: Any = row.number
        elif name == "write_date":
            bound = moment(asked)
            assert bound is not None
            held, asked = (row.changed if self.whole_seconds else hidden(row)), bound
        else:
            held = row.content[name]
            held = held[0] if isinstance(held, list) else held
        compared = {"=": held == asked}
        if name in {"id", "write_date"}:
            compared |= {">": held > asked, ">=": held >= asked, "<=": held <= asked, "<": held < asked}
        return bool(compared[operator])


def hidden(row: Row) -> datetime:
    """What the database holds: microseconds that have nothing to do with the order of ids."""
    return cut(row.changed, SECOND) + timedelta(microseconds=row.serial * 7_919_317 % 999_983)


def fault(name: str, message: str) -> dict[str, Any]:
    """How Odoo says what went wrong, on either wire."""
    traceback = (
        'Traceback (most recent call last):\n  File "/opt/odoo/service/model.py", line 176, in retrying'
    )
    return {"name": name, "message": message, "arguments": [message], "context": {}, "debug": traceback}


class Odoo(OdooDouble):
    """Odoo 19: JSON-2, real statuses, times compared by seconds."""

    system = "odoo"
    whole_seconds = True
    secrets: ClassVar[Mapping[str, str]] = {
        "api_key": "6578616d706c65206a736f6e20617069206b6579",
        "webhook_secret": "double-url-secret",
    }

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": self.base_url, "database": "plant"}

    def admits(self, call: Call) -> bool:
        kind, _, key = call.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and key == self.secrets["api_key"]

    def answer(self, call: Call) -> Answer:
        if call.headers.get("x-odoo-database") != "plant" or call.method != "POST":
            return Answer(404, "Not Found")
        _, _, _, model, method = call.path.split("/")
        if model not in MODELS or method != "search_read":
            return Answer(404, fault("werkzeug.exceptions.NotFound", f"the model {model!r} does not exist"))
        try:
            return Answer(body=self.found(model, call.json))
        except (ValueError, KeyError) as exc:
            return Answer(500, fault(f"builtins.{type(exc).__name__}", str(exc)))

    def throttled(self, seconds: int) -> Answer:
        """By a proxy in front of it: Odoo itself has no limits."""
        return Answer(429, "Too Many Requests", {"Retry-After": str(seconds)})

    def failing(self) -> Answer:
        return Answer(500, fault("psycopg2.errors.SerializationFailure", "could not serialize access"))

    def refused(self) -> Answer:
        return Answer(401, fault("werkzeug.exceptions.Unauthorized", "Invalid apikey"))

    def forbidden(self) -> Answer:
        said = "You are not allowed to access 'Maintenance Request' (maintenance.request) records."
        return Answer(403, fault("odoo.exceptions.AccessError", said))

    def complaints(self) -> Sequence[Complaint]:
        return [
            Complaint(
                "no_such_field",
                Answer(500, fault("builtins.ValueError", "Invalid field 'x_gone' on 'maintenance.request'")),
                "operator",
                words="Invalid field 'x_gone'",
            ),
            Complaint(
                "app_not_installed",
                Answer(
                    404,
                    fault("werkzeug.exceptions.NotFound", "the model 'maintenance.request' does not exist"),
                ),
                "operator",
                words="does not exist",
            ),
            Complaint(
                "gone_meanwhile",
                Answer(404, fault("odoo.exceptions.MissingError", "Record does not exist.")),
                "transient",
            ),
            Complaint(
                "user_error",
                Answer(422, fault("odoo.exceptions.UserError", "Not this way.")),
                "operator",
                words="Not this way",
            ),
        ]
