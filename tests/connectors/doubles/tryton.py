"""Tryton's JSON-RPC as far as reading goes: sessions, typed values, `search_read` with a domain, errors in a 200.

Built from what a real Tryton 8.2 answers; tests/connectors/test_tryton_live.py asks that one itself.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from scheduler.connectors.check import Answer, Call, Complaint, Double, Row, Table
from worker.connectors.cursors import typed_json
from worker.connectors.manifest.model import load_manifest
from worker.connectors.registry.places import CATALOG

STREAMS = load_manifest(CATALOG / "tryton" / "manifest.yaml").streams
MODELS = {stream.model: name for name, stream in STREAMS.items()}
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _content(fields: Sequence[str]) -> Any:
    return lambda number: {name: f"{name} {number}" for name in fields}


class Tryton(Double):
    """One database."""

    system = "tryton"
    secrets: ClassVar[Mapping[str, str]] = {"password": "double-pass/word é"}
    tables: ClassVar[Mapping[str, Table]] = {
        name: Table(
            changed="write_date",
            created="create_date",
            writes=typed_json,
            unit=MICROSECOND,
            content=_content(stream.fields),
            edited=stream.fields[0],
        )
        for name, stream in STREAMS.items()
    }

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": self.base_url, "database": "plant", "username": "reader"}

    def is_login(self, call: Call) -> bool:
        return bool(call.json) and call.json["method"] == "common.db.login"

    def admits(self, call: Call) -> bool:
        kind, _, proof = call.headers.get("authorization", "").partition(" ")
        try:
            user, _, session = base64.b64decode(proof).decode().split(":")
        except ValueError:
            return False
        return kind == "Session" and user == "reader" and self.knows(session)

    def answer(self, call: Call) -> Answer:
        if call.path != "/plant/rpc/":
            return Answer(404, "Not Found")
        if {*call.json} != {"id", "method", "params"}:
            return Answer(400, "Bad Request")
        method, params = call.json["method"], call.json["params"]
        if method == "common.db.login":
            good = params == ["reader", {"password": self.secrets["password"]}]
            return _result([7, self.issue()] if good else None)
        _, _, model = method.removesuffix(".search_read").partition(".")
        if model not in MODELS:
            return _error(f"'{model}'", "Traceback …")
        return _result(self._read(MODELS[model], params))

    def _read(self, stream: str, params: Sequence[Any]) -> list[dict[str, Any]]:
        domain, offset, limit, order, fields, context = params
        assert context == {"active_test": False}
        assert order in ([["id", "ASC"]], None)
        found = [row for row in self.rows(stream, order="number") if self._fits(stream, row, domain)]
        shown = [self.show(stream, row) for row in found[offset : offset + limit]]
        return [{name: record[name] for name in fields if name in record} for record in shown]

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        """`write_date` is null until a record is first edited."""
        record = super().render(stream, row)
        return record if row.version > 1 else {**record, "write_date": None}

    def _fits(self, stream: str, row: Row, clause: Sequence[Any]) -> bool:
        match clause:
            case ["OR", *parts]:
                return any(self._fits(stream, row, part) for part in parts)
            case [str(name), str(operator), value]:
                return _compares(self._value(row, name), operator, _told(value))
            case _:
                return all(self._fits(stream, row, part) for part in clause)

    def _value(self, row: Row, name: str) -> Any:
        known = {
            "id": row.number,
            "create_date": row.created,
            "write_date": row.changed if row.version > 1 else None,
        }
        return known[name] if name in known else row.content[name]

    def truth(self, stream: str) -> dict[str, Any]:
        """Only the fields that are asked for."""
        wanted = {"id", "create_date", "write_date", *STREAMS[stream].fields}
        every = super().truth(stream)
        return {key: {name: row[name] for name in row if name in wanted} for key, row in every.items()}

    def complaints(self) -> Sequence[Complaint]:
        return [
            Complaint(
                "user_error",
                _error("UserError", ["Not allowed to read.", ""]),
                "operator",
                words="Not allowed",
            ),
            Complaint(
                "unknown_field", _error("'no_such_field'", "Traceback …"), "operator", words="no_such_field"
            ),
            Complaint("database", _error("OperationalError", "server closed the connection"), "transient"),
            Complaint("locked", _error("RateLimitException", [""]), "rate_limited"),
        ]


def _result(value: Any) -> Answer:
    return Answer(body={"id": 1, "result": value})


def _error(kind: str, said: Any) -> Answer:
    return Answer(body={"id": 1, "error": [kind, said]})


def _told(value: Any) -> Any:
    if isinstance(value, Mapping) and value.get("__class__") == "datetime":
        part = {name: int(number) for name, number in value.items() if name != "__class__"}
        at = EPOCH.replace(year=part["year"], month=part["month"], day=part["day"], hour=part["hour"])
        return at.replace(minute=part["minute"], second=part["second"], microsecond=part["microsecond"])
    return value


def _compares(held: Any, operator: str, asked: Any) -> bool:
    if operator == "=" or asked is None:
        return bool(held == asked)
    if held is None:
        return False
    return bool({">": held > asked, ">=": held >= asked, "<=": held <= asked}[operator])
