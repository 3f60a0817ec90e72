"""A manifest's rules say which answers mean no, and what is done next; nothing else is taken for one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from worker.connectors.contract import Response, Source
from worker.connectors.reading import seeking
from worker.errors import AuthExpired, InvalidInput, NeedsOperator, NotThere, Throttled, Transient

System = Callable[..., Source]
Answer = Callable[..., Response]

JSONRPC = {"jsonrpc": "2.0", "id": 1, "error": {"code": 200, "message": "Odoo Server Error", "data": {"name": "odoo.exceptions.AccessError", "message": "You are not allowed."}}}  # fmt: skip
FIIX = {"error": {"code": 1005, "message": "Object not found", "stackTrace": ""}}
GRAPHQL = {"data": {"orders": None}, "errors": [{"message": "Not today.", "extensions": {"code": "X1"}}, {"message": "Nor that."}]}  # fmt: skip
ODATA = {"error": {"code": "SY/530", "message": {"lang": "en", "value": "Order 7 is locked."}}}
NETSUITE = {"title": "Bad Request", "o:errorDetails": [{"detail": "Invalid search.", "o:errorCode": "INVALID_PARAMETER"}]}  # fmt: skip
MAXIMO = {"Error": {"reasonCode": "BMXAA4121E", "message": "Update conflict.", "statusCode": "400"}}
DRF = {"reference": ["This field must be unique."], "quantity": ["A valid number is required."]}
FRAPPE = {"exc_type": "ValidationError", "_server_messages": json.dumps([json.dumps({"message": "Qty is missing."})])}  # fmt: skip
ODOO = {"name": "werkzeug.exceptions.NotFound", "message": "Record does not exist.", "arguments": []}


@pytest.mark.parametrize(
    ("rule", "status", "body", "kind", "code", "words"),
    [
        ({"path": "error.data.name", "equals": "odoo.exceptions.AccessError", "kind": "permission", "words": "error.data.message"}, 200, JSONRPC, NeedsOperator, "permission_denied", "200 with an error: You are not allowed."),
        ({"path": "error.code", "equals": [1005, 1006], "kind": "not_found"}, 200, FIIX, NotThere, "not_found", "Object not found"),
        ({"path": "errors", "kind": "partial", "words": "errors.*.message"}, 200, GRAPHQL, NeedsOperator, "partial_answer", "Not today.; Nor that."),
        ({"path": "errors.*.extensions.code", "equals": "X1", "kind": "transient"}, 200, GRAPHQL, Transient, "system_error", "Not today."),
        ({"path": "error.message.value", "matches": "is locked", "kind": "conflict", "code": "locked"}, 400, ODATA, NeedsOperator, "locked", "400: Order 7 is locked."),
        ({"status": "4xx", "path": ["o:errorDetails", "0", "o:errorCode"], "equals": "INVALID_PARAMETER", "kind": "validation", "words": [["o:errorDetails", "0", "detail"]]}, 400, NETSUITE, NeedsOperator, "invalid_request", "Invalid search."),
        ({"status": [400, 409], "path": "Error.reasonCode", "equals": "BMXAA4121E", "kind": "conflict", "words": "Error.message"}, 400, MAXIMO, NeedsOperator, "conflict", "Update conflict."),
        ({"status": 400, "kind": "validation", "words": "*"}, 400, DRF, NeedsOperator, "invalid_request", "reference: This field must be unique.; quantity: A valid number is required."),
        ({"status": 417, "kind": "warning", "words": "_server_messages.0.message"}, 417, FRAPPE, NeedsOperator, "warning", "417: Qty is missing."),
        ({"path": "_server_messages.0.message", "equals": "Qty is missing.", "kind": "warning"}, 200, FRAPPE, NeedsOperator, "warning", "Qty is missing."),
        ({"path": "name", "matches": "NotFound$", "kind": "not_found"}, 500, ODOO, NotThere, "not_found", "Record does not exist."),
        ({"path": "ok", "equals": False, "kind": "operator"}, 200, {"ok": False, "detail": "No."}, NeedsOperator, "request_refused", "No."),
        ({"path": "state", "equals": "expired", "kind": "auth_expired"}, 200, {"state": "expired"}, AuthExpired, "auth_refused", "200 with an error: expired"),
        ({"status": 200, "path": "data", "present": False, "kind": "transient"}, 200, {"data": []}, Transient, "system_error", "200 with an error."),
        ({"status": 200, "matches": "^<!DOCTYPE", "kind": "auth_expired"}, 200, b"<!DOCTYPE html>", AuthExpired, "auth_refused", "200 with an error."),
    ],
)  # fmt: skip
def test_an_error_of_a_known_envelope_is_told_with_its_words(
    system: System, answer: Answer, rule: Any, status: int, body: Any, kind: type, code: str, words: str
) -> None:
    found = system(rules=[rule]).failure(answer(body, status))
    assert type(found) is kind
    assert found.code == code
    assert words in found.message


@pytest.mark.parametrize(
    ("rule", "body", "headers", "seconds"),
    [
        ({"wait": "error.object.ADVISORY_MS", "unit": "ms"}, {"error": {"code": 1100, "object": {"ADVISORY_MS": 2500}}}, {}, 2.5),
        ({"wait": "error.wait"}, {"error": {"code": 1100, "wait": "12"}}, {}, 12),
        ({"wait": "error.wait"}, {"error": {"code": 1100, "wait": "12 seconds"}}, {}, 12),
        ({"wait": "error.wait"}, {"error": {"code": 1100, "wait": "soon"}}, {}, None),
        ({"wait": "error.wait"}, {"error": {"code": 1100, "wait": True}}, {}, None),
        ({"header": "X-Retry-In", "unit": "ms"}, {"error": {"code": 1100}}, {"x_retry_in": "1500"}, 1.5),
        ({}, {"error": {"code": 1100}}, {"x_retry_in": "1500"}, None),
    ],
)  # fmt: skip
def test_a_wait_is_read_where_the_rule_says(
    system: System, answer: Answer, rule: Any, body: Any, headers: Any, seconds: float | None
) -> None:
    rules = [{"path": "error.code", "equals": 1100, "kind": "rate_limited", **rule}]
    found = system(rules=rules).failure(answer(body, 200, **headers))
    assert isinstance(found, Throttled)
    assert found.seconds == seconds


@pytest.mark.parametrize("status", [200, 400])
def test_a_wait_is_read_out_of_words(system: System, answer: Answer, status: int) -> None:
    rules = [{"path": "errors.*.message", "matches": "(?i)retry in ([0-9]+) s", "kind": "rate_limited"}]
    body = {"errors": [{"message": "no"}, {"message": "There are not enough credits. Retry in 10 seconds."}]}
    found = system(rules=rules).failure(answer(body, status))
    assert isinstance(found, Throttled)
    assert found.seconds == 10


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ({"path": "error"}, {"data": [], "error": None}),
        ({"path": "error"}, {"data": [], "error": []}),
        ({"path": "error"}, {"data": [{"error": "of a record"}]}),
        ({"path": "error.code", "equals": 1100}, {"error": {"code": 1101}}),
        ({"path": "error.code", "equals": 1100}, {"error": {"code": [1100]}}),
        ({"path": "error.code", "equals": 1100}, {"error": [1100]}),
        ({"path": "error.code", "equals": 1}, {"error": {"code": True}}),
        ({"path": "errors.7.code", "equals": 1}, {"errors": [{"code": 1}]}),
        ({"path": "error"}, b"not JSON, with an error"),
        ({"path": "error"}, b""),
        ({"path": "error"}, b'"error"'),
        ({"path": "data", "present": False}, b""),
        ({"path": "data", "present": False}, b"data: none"),
    ],
)
def test_other_answers_are_not_taken_for_it(system: System, answer: Answer, rule: Any, body: Any) -> None:
    assert system(rules=[{**rule, "kind": "operator"}]).failure(answer(body)) is None


def test_the_first_rule_that_holds_counts_and_statuses_come_after_them(
    system: System, answer: Answer
) -> None:
    source = system(
        status={"400": "transient"},
        rules=[
            {"status": 400, "path": "code", "equals": "A", "kind": "conflict"},
            {"status": "4xx", "path": "code", "equals": ["A", "B"], "kind": "permission"},
        ],
    )
    codes = [getattr(source.failure(answer({"code": code}, 400)), "code", None) for code in "ABC"]
    assert codes == ["conflict", "permission_denied", "system_error"]


class TestAPageOfMegabytes:
    """It is searched as bytes first; only what may hold an error is read, and of that only what lies on the path."""

    RULES = (
        {"path": "errors.*.message", "matches": "credits", "kind": "rate_limited"},
        {"path": "errors", "kind": "partial"},
    )
    ROWS = (b'{"id": 1, "name": "bolt", "lines": [{"n": 1}]}' + b",") * 2000

    @pytest.mark.parametrize("beside", [b'"error": 1', b'"data2": {"errors": 1}', b'"errors": []'])
    def test_is_fine_where_no_error_stands_at_the_path(
        self, system: System, answer: Answer, beside: bytes
    ) -> None:
        body = b'{"data": [' + self.ROWS + b"{}], " + beside + b"}"
        assert system(rules=list(self.RULES)).failure(answer(body)) is None

    @pytest.mark.parametrize("where", ["before", "behind"])
    @pytest.mark.parametrize("deep", [False, True])
    def test_is_an_error_wherever_that_stands(
        self, system: System, answer: Answer, where: str, deep: bool
    ) -> None:
        error, rows = b'"errors": [{"message": "Out of credits."}]', b'"data": [' + self.ROWS + b"{}]"
        if deep:  # no decoder reads so deep
            rows = rows[:-1] + b"," + b"[" * 5000 + b"]" * 5000 + b"]"
        body = b"{" + b", ".join([error, rows] if where == "before" else [rows, error]) + b"}"
        assert isinstance(system(rules=list(self.RULES)).failure(answer(body)), Throttled)

    def test_is_not_decoded_where_no_name_of_a_path_stands_in_it(
        self, system: System, answer: Answer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = system(rules=[{"path": "errors", "kind": "partial"}])
        monkeypatch.delattr(seeking.Body, "values")
        assert source.failure(answer(b'{"data": [' + self.ROWS + b"{}]}")) is None

    def test_is_not_looked_at_where_no_rule_can_mean_it(
        self, system: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = system(rules=[{"status": ["4xx", 503], "path": "errors", "kind": "partial"}])
        assert source.failure(Response(200, {}, None, "")) is None  # type: ignore[arg-type] - nothing to look at


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"kind": "conflict"}, "errors.rules[0]"),
        ({"kind": "conflict", "equals": 1}, "A rule says which answers it means"),
        ({"kind": "conflict", "status": 400, "equals": 1}, "equals goes with path"),
        ({"kind": "conflict", "matches": "x"}, "say which by status"),
        ({"kind": "conflict", "path": "a", "equals": 1, "present": True}, "leave it out"),
        ({"kind": "conflict", "path": "a", "wait": "b"}, "goes with the kind rate_limited, not conflict"),
        ({"kind": "rate_limited", "path": "a", "code": "b"}, "a code of its own"),
        ({"kind": "conflict", "path": "a", "matches": "("}, "no regular expression"),
        ({"kind": "conflicts", "path": "a"}, "Did you mean 'conflict'?"),
        ({"kind": "conflict", "status": "4x"}, "errors.rules[0].status can't be '4x'"),
    ],
)
def test_a_rule_that_can_mean_nothing_is_refused_with_its_line(system: System, rule: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        system(rules=[rule])
    assert words.removeprefix("errors.rules[0]") in str(caught.value)
    assert "manifest.yaml:" in str(caught.value.place)
