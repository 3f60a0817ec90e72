"""Odoo: what is asked by JSON-2 and by JSON-RPC, and what answers mean.

Bodies of answers are those of odoo/documentation (external_api.rst, external_rpc_api.rst) where they are there.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Request, Response, Source, Window
from worker.connectors.manifest.model import load_manifest
from worker.connectors.protocols.odoo_finding import streams_of
from worker.connectors.registry.places import CATALOG
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.secrets import Secret
from worker.webhooks.delivery import Delivery, Refusal

URL = "https://mycompany.example.com"
CONNECTORS = {
    name: ManifestConnector(load_manifest(CATALOG / name / "manifest.yaml"))
    for name in ("odoo", "odoo_jsonrpc")
}
RPC: Mapping[str, Any] = {"database": "mycompany", "username": "bot@example.com"}
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
WINDOW = Window(
    since=datetime(2026, 1, 31, 8, 0, 0, 900_000, tzinfo=UTC),
    until=datetime(2026, 1, 31, 9, 0, 0, 500_000, tzinfo=UTC),
)


def bound(system: str, **settings: Any) -> Source:
    rpc = RPC if system == "odoo_jsonrpc" else {}
    return CONNECTORS[system].bind({"base_url": URL, **rpc, **settings})


def arguments(request: Request) -> dict[str, Any]:
    """What `search_read` is called with, whatever the wire."""
    body: dict[str, Any] = json.loads(request.body or b"")
    named: dict[str, Any] = body["params"]["args"][6] if "params" in body else body
    return named


def answered(body: Any, status: int = 200) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {"content-type": "application/json"}, content, URL)


def failure(system: str, body: Any, status: int = 200) -> HeadraceError:
    found = bound(system).failure(answered(body, status))
    assert found is not None
    return found


def rpc_error(name: str, message: str) -> dict[str, Any]:
    data = {"name": name, "message": message, "arguments": [message], "context": {}, "debug": "Traceback …"}
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": 200, "message": "Odoo Server Error", "data": data}}


def test_the_two_ways_ask_for_the_same_by_other_wires() -> None:
    by_json2 = bound("odoo").stream("locations").request(WINDOW, {"behind": "[7]"})
    by_rpc = bound("odoo_jsonrpc").stream("locations").request(WINDOW, {"behind": "[7]"})
    assert by_json2.url == f"{URL}/json/2/stock.location/search_read"
    assert by_rpc.url == f"{URL}/jsonrpc"
    assert arguments(by_json2) == arguments(by_rpc)
    assert (by_json2.method, by_rpc.method) == ("POST", "POST")


def test_whoever_goes_from_one_way_to_the_other_finds_the_same_streams_and_models() -> None:
    one, other = (CONNECTORS[name].manifest for name in CONNECTORS)
    assert [*one.streams] == [*other.streams]
    assert [stream.shape.key for stream in one.streams.values()] == [
        stream.shape.key for stream in other.streams.values()
    ]
    assert one.models == other.models


@pytest.mark.parametrize("system", CONNECTORS)
def test_a_window_holds_its_first_and_last_second_whole_and_goes_on_by_id(system: str) -> None:
    asked = arguments(bound(system).stream("locations").request(WINDOW, {"behind": "[7]"}))
    assert asked["domain"] == [
        ["write_date", ">=", "2026-01-31 08:00:00"],
        ["write_date", "<", "2026-01-31 09:00:01"],
        ["id", ">", 7],
    ]
    assert (asked["order"], asked["limit"]) == ("id", 500)


@pytest.mark.parametrize("system", CONNECTORS)
def test_archived_records_are_asked_for_in_the_companies_that_are_named(system: str) -> None:
    source = bound(system, companies="1, 3", lang="de_DE")
    asked = arguments(source.stream("equipment").request(Window(), None))
    assert asked["context"] == {"active_test": False, "lang": "de_DE", "allowed_company_ids": [1, 3]}
    assert asked["domain"] == []
    without = arguments(bound(system).stream("equipment").request(Window(), None))
    assert "allowed_company_ids" not in without["context"]


@pytest.mark.parametrize("system", CONNECTORS)
def test_a_sweep_lists_ids_alone_and_many_of_them(system: str) -> None:
    swept = bound(system).stream("equipment").sweep()
    assert swept is not None
    asked = arguments(swept.request(Window(), None))
    assert (asked["fields"], asked["limit"]) == (["id"], 10_000)
    assert asked["context"]["active_test"] is False


@pytest.mark.parametrize(
    ("system", "gone"), [("odoo", []), ("odoo_jsonrpc", {"jsonrpc": "2.0", "id": 1, "result": []})]
)
def test_an_empty_list_of_one_says_that_the_record_is_gone(system: str, gone: Any) -> None:
    stream = bound(system).stream("equipment")
    request = stream.single("25")
    assert request is not None
    assert arguments(request)["domain"] == [["id", "=", 25]]
    assert [each.key for each in stream.read_single(answered(gone), "25").gone] == ["25"]
    assert not request.absent & {404}


def test_a_record_of_the_documentation_is_read() -> None:
    page = (
        bound("odoo")
        .stream("contacts")
        .read(answered(b'[\n   {"id": 25, "name": "Deco Addict"}\n]'), Window(), None)
    )
    assert [(record.key, record.cursor) for record in page.records] == [("25", None)]
    assert page.next is None


@pytest.mark.parametrize("system", CONNECTORS)
def test_false_is_no_time(system: str) -> None:
    rows = [{"id": 1, "write_date": False}, {"id": 2, "write_date": "2026-01-31 08:00:00"}]
    body = rows if system == "odoo" else {"jsonrpc": "2.0", "id": 1, "result": rows}
    page = bound(system).stream("contacts").read(answered(body), Window(), None)
    assert [record.cursor for record in page.records] == [None, datetime(2026, 1, 31, 8, tzinfo=UTC)]


def test_filters_keep_the_types_of_their_values() -> None:
    """A many2one that is compared with a text is looked for by its name."""
    orders = bound("odoo").stream("purchase_orders").filtered({"partner_id": "5", "state": "purchase"})
    asked = arguments(orders.request(Window(), None))
    assert asked["domain"] == [["partner_id", "=", 5], ["state", "=", "purchase"]]


def test_a_connection_describes_models_of_its_own() -> None:
    domain = ["|", ["x_kind", "=", "a"], ["x_kind", "=", "b"]]
    tools = {"model": "x_tool", "fields": ["x_name"], "domain": domain}
    source = bound("odoo", describe={"streams": {"tools": tools}})
    request = source.stream("tools").request(Window(), {"behind": "[3]"})
    assert request.url.endswith("/json/2/x_tool/search_read")
    assert arguments(request)["domain"] == [*domain, ["id", ">", 3]]
    assert arguments(request)["fields"] == ["id", "x_name"]


def test_the_documented_401_means_that_the_key_is_no_good() -> None:
    said = {
        "name": "werkzeug.exceptions.Unauthorized",
        "message": "Invalid apikey",
        "arguments": ["Invalid apikey", 401],
        "context": {},
        "debug": "Traceback (most recent call last):\n  File …",
    }
    found = failure("odoo", said, 401)
    assert isinstance(found, NeedsOperator)
    assert (found.code, "Invalid apikey" in found.message, "Traceback" in found.message) == (
        "auth_refused",
        True,
        False,
    )


@pytest.mark.parametrize(
    ("status", "name", "code"),
    [
        (403, "odoo.exceptions.AccessError", "permission_denied"),
        (404, "werkzeug.exceptions.NotFound", "no_such_model"),
        (422, "odoo.exceptions.UserError", "invalid_request"),
        (500, "builtins.ValueError", "invalid_request"),
    ],
)
def test_json2_says_by_name_and_status_what_a_person_must_do(status: int, name: str, code: str) -> None:
    found = failure("odoo", {"name": name, "message": "No."}, status)
    assert (type(found), found.code) == (NeedsOperator, code)


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("odoo.exceptions.AccessDenied", "Access Denied", "auth_refused"),
        ("odoo.exceptions.AccessError", "You are not allowed", "permission_denied"),
        ("odoo.exceptions.UserError", "Object stock.quant doesn't exist", "invalid_request"),
        ("builtins.ValueError", "Invalid field 'x' on model 'stock.quant'", "invalid_request"),
        ("psycopg2.OperationalError", 'FATAL: database "m" does not exist', "no_such_database"),
    ],
)
def test_jsonrpc_says_it_in_a_200_by_the_name_of_the_exception(name: str, message: str, code: str) -> None:
    found = failure("odoo_jsonrpc", rpc_error(name, message))
    assert isinstance(found, NeedsOperator)
    assert found.code == code
    assert message.split(maxsplit=1)[0] in found.message


@pytest.mark.parametrize(
    "name",
    ["psycopg2.errors.SerializationFailure", "psycopg2.errors.LockNotAvailable", "psycopg2.OperationalError"],
)
def test_what_passes_is_tried_again(name: str) -> None:
    assert isinstance(failure("odoo_jsonrpc", rpc_error(name, "could not serialize access")), Transient)
    assert isinstance(
        failure("odoo", {"name": name, "message": "could not serialize access"}, 500), Transient
    )


def test_who_asks_stands_in_the_body_of_every_call_and_the_number_is_asked_for_once() -> None:
    source = bound("odoo_jsonrpc")
    held: dict[str, str] = {}
    secrets = {"api_key": "the key"}
    asked = source.stream("users").request(Window(), None)
    for first in (True, False):
        flow = source.auth.flow(asked, secrets, held)
        step = next(flow)
        if first:
            assert isinstance(step, Request)
            called = json.loads(step.body or b"")["params"]
            assert (called["service"], called["method"]) == ("common", "authenticate")
            assert called["args"] == ["mycompany", "bot@example.com", "the key", {}]
            step = flow.send(answered({"jsonrpc": "2.0", "id": 1, "result": 7}))
        assert isinstance(step, Request)
        assert json.loads(step.body or b"")["params"]["args"][:3] == ["mycompany", 7, "the key"]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ({"jsonrpc": "2.0", "id": 1, "result": False}, NeedsOperator, "has no result"),
        (
            rpc_error("psycopg2.OperationalError", 'FATAL: database "m" does not exist'),
            NeedsOperator,
            'database "m" does not exist',
        ),
        (
            rpc_error("psycopg2.errors.SerializationFailure", "could not serialize"),
            Transient,
            "could not serialize",
        ),
    ],
)
def test_a_log_in_is_refused_by_false_and_not_by_a_server_that_is_busy(
    answer: Any, kind: type[HeadraceError], words: str
) -> None:
    asked = Request("POST", f"{URL}/jsonrpc", body=b"{}")
    flow = bound("odoo_jsonrpc").auth.flow(asked, {"api_key": "wrong"}, {})
    next(flow)
    with pytest.raises(kind, match=words):
        flow.send(answered(answer))


@pytest.mark.parametrize("system", CONNECTORS)
def test_models_are_found_with_the_fields_that_can_be_read(system: str) -> None:
    finding = bound(system).discover()
    assert finding is not None

    def reply(rows: list[dict[str, Any]]) -> Response:
        return answered(rows if system == "odoo" else {"jsonrpc": "2.0", "id": 1, "result": rows})

    assert arguments(next(finding))["domain"] == [["transient", "=", False]]
    asked = finding.send(reply([{"id": 1, "model": "x_tool", "name": "Tool"}]))
    assert arguments(asked)["limit"] == 2000
    fields = [
        {"id": 1, "model": "x_tool", "name": "x_name", "ttype": "char", "groups": []},
        {"id": 2, "model": "x_tool", "name": "write_date", "ttype": "datetime", "groups": []},
    ]
    with pytest.raises(StopIteration) as done:
        finding.send(reply(fields))
    (tool,) = done.value.value
    assert (tool.name, tool.cursor) == ("x_tool", "write_date")
    assert tool.describe == {"model": "x_tool", "fields": ["x_name"], "incremental": {}}


def test_files_lines_and_what_only_some_may_read_are_left_out_of_what_is_found() -> None:
    kinds = {"image": "binary", "line_ids": "one2many", "cost": "float", "name": "char", "id": "integer"}
    fields = [
        {"model": "a.b", "name": name, "ttype": kind, "groups": [4] if name == "cost" else []}
        for name, kind in kinds.items()
    ]
    (found,) = streams_of([{"model": "a.b", "name": "AB"}, {"model": "c.d", "name": "No table"}], fields)
    assert found.describe == {"model": "a.b", "fields": ["name"]}
    assert any("cost" in remark for remark in found.remarks)
    assert found.cursor is None


def test_a_webhook_is_a_hint_to_ask_for_the_record_and_the_same_again_is_another() -> None:
    webhooks = bound("odoo").webhooks
    assert webhooks is not None
    body = b'{"_action": "Tell Headrace(#41)", "_id": 12, "_model": "maintenance.request"}'
    secrets = {"webhook_secret": Secret("s3cret-in-the-url")}
    hints = []
    for fresh in ("one", "two"):
        delivery = Delivery("POST", body, rest="s3cret-in-the-url")
        hints += webhooks.told(delivery, webhooks.verify(delivery, secrets, NOW), fresh).hints
    assert [(hint.stream, hint.key) for hint in hints] == [("work_orders", "12")] * 2
    assert hints[0].event_key != hints[1].event_key
    with pytest.raises(Refusal):
        webhooks.verify(Delivery("POST", body, rest="another"), secrets, NOW)
