"""Odoo up to 18 by JSON-RPC: a log-in that brings a number, who asks in every body, errors in a 200, hidden microseconds."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from connectors.doubles.odoo import MODELS, OdooDouble, fault

from scheduler.connectors.check import Answer, Call, Complaint

NUMBER = 7


class OdooJsonRpc(OdooDouble):
    """One database. The number of a user isn't secret and never expires; the key does."""

    system = "odoo_jsonrpc"
    whole_seconds = False
    says_how_long = False
    secrets: ClassVar[Mapping[str, str]] = {
        "api_key": 'double "key"/of+odoo é',
        "webhook_secret": "double-url-secret",
    }

    def settings(self) -> Mapping[str, Any]:
        return {
            "base_url": self.base_url,
            "database": "plant",
            "username": "bot@example.com",
            "companies": "1,3",
        }

    def is_login(self, call: Call) -> bool:
        return bool(call.json) and call.json["params"]["service"] == "common"

    def admits(self, call: Call) -> bool:
        return bool(call.json["params"]["args"][:3] == ["plant", NUMBER, self.secrets["api_key"]])

    def answer(self, call: Call) -> Answer:
        if call.path != "/jsonrpc" or call.method != "POST":
            return Answer(404, "Not Found")
        asked = call.json["params"]
        if asked["service"] == "common":
            return self._log_in(asked["args"])
        model, method, positional, named = asked["args"][3:]
        assert (asked["method"], positional) == ("execute_kw", [])
        assert named["context"]["allowed_company_ids"] == [1, 3]
        if model not in MODELS or method != "search_read":
            return _error(fault("odoo.exceptions.UserError", f"Object {model} doesn't exist"))
        try:
            return _result(self.found(model, named))
        except (ValueError, KeyError) as exc:
            return _error(fault(f"builtins.{type(exc).__name__}", str(exc)))

    def _log_in(self, args: Sequence[Any]) -> Answer:
        """`false` where the password is wrong, without another word."""
        return _result(NUMBER if args == ["plant", "bot@example.com", self.secrets["api_key"], {}] else False)

    def throttled(self, seconds: int) -> Answer:
        """By a proxy in front of it: Odoo itself has no limits."""
        del seconds
        return Answer(429, "Too Many Requests")

    def failing(self) -> Answer:
        return _error(fault("psycopg2.errors.SerializationFailure", "could not serialize access"))

    def refused(self) -> Answer:
        return _error(fault("odoo.exceptions.AccessDenied", "Access Denied"))

    def forbidden(self) -> Answer:
        return _error(
            fault(
                "odoo.exceptions.AccessError", "You are not allowed to access 'Quants' (stock.quant) records."
            )
        )

    def complaints(self) -> Sequence[Complaint]:
        said = {
            "no_such_field": (
                "builtins.ValueError",
                "Invalid field 'x_gone' on model 'stock.quant'",
                "operator",
            ),
            "app_not_installed": (
                "odoo.exceptions.UserError",
                "Object stock.quant doesn't exist",
                "operator",
            ),
            "no_such_database": (
                "psycopg2.OperationalError",
                'FATAL: database "plnt" does not exist',
                "operator",
            ),
            "restarting": (
                "psycopg2.OperationalError",
                "server closed the connection unexpectedly",
                "transient",
            ),
            "gone_meanwhile": ("odoo.exceptions.MissingError", "Record does not exist", "transient"),
            "gave_up": (
                "psycopg2.errors.QueryCanceled",
                "canceling statement due to user request",
                "transient",
            ),
        }
        return [
            Complaint(name, _error(fault(*words)), kind, words=words[1] if kind == "operator" else None)  # type: ignore[arg-type]
            for name, (*words, kind) in said.items()
        ]


def _result(value: Any) -> Answer:
    return Answer(body={"jsonrpc": "2.0", "id": 1, "result": value})


def _error(data: Mapping[str, Any]) -> Answer:
    """The code says nothing, nor does the message."""
    return Answer(
        body={"jsonrpc": "2.0", "id": 1, "error": {"code": 200, "message": "Odoo Server Error", "data": data}}
    )
