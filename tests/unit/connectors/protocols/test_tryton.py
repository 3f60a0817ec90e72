"""The protocol tryton: calls described, answers read, no socket. What answers look like was seen at a Tryton 8.2.1."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.connectors.contract import Page, Position, Request, Response, Source, Stream, Window
from worker.connectors.registry import Registry
from worker.errors import HeadraceError, NeedsOperator, NotFound, Transient

SETTINGS = {"base_url": "https://erp.example.com", "database": "demo", "username": "sync"}
SINCE = datetime(2026, 1, 31, 8, 0, 0, 1, tzinfo=UTC)
TYPED = {
    "__class__": "datetime", "year": 2026, "month": 1, "day": 31, "hour": 8, "minute": 0, "second": 0, "microsecond": 1,
}  # fmt: skip


@pytest.fixture
def source() -> Source:
    return Registry.load().get("tryton").bind(SETTINGS)


@pytest.fixture
def parties(source: Source) -> Stream:
    return source.stream("parties")


def call(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.body or b"")
    return found


def answer(body: object, status: int = 200) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    return Response(
        status, {"content-type": "application/json"}, content, "https://erp.example.com/demo/rpc/"
    )


def read(stream: Stream, rows: list[dict[str, Any]], position: Position | None = None) -> Page:
    return stream.read(answer({"id": 1, "result": rows}), Window(), position)


def test_the_first_call_reads_from_the_lowest_id_with_archived_records(parties: Stream) -> None:
    request = parties.request(Window(), None)
    assert (request.method, request.url) == ("POST", "https://erp.example.com/demo/rpc/")
    assert request.headers["Content-Type"] == "application/json"
    asked = call(request)
    assert asked.keys() == {"id", "method", "params"}
    assert asked["method"] == "model.party.party.search_read"
    domain, offset, limit, order, fields, context = asked["params"]
    assert (domain, offset, limit, order, context) == ([], 0, 500, [["id", "ASC"]], {"active_test": False})
    assert {"id", "name", "write_date", "create_date"} <= set(fields)
    assert len(fields) == len(set(fields))


def test_a_window_asks_by_both_dates_as_write_date_is_null_until_the_first_edit(parties: Stream) -> None:
    domain = call(parties.request(Window(since=SINCE, until=SINCE), {"after": 41}))["params"][0]
    assert domain == [
        ["id", ">", 41],
        ["OR", ["write_date", ">=", TYPED], [["write_date", "=", None], ["create_date", ">=", TYPED]]],
        ["OR", ["write_date", "<=", TYPED], [["write_date", "=", None], ["create_date", "<=", TYPED]]],
    ]


def test_the_cursor_is_the_date_of_the_last_edit_or_else_of_the_creation(parties: Stream) -> None:
    early = {**TYPED, "year": 2025}
    edited, fresh = read(
        parties,
        [
            {"id": 1, "create_date": early, "write_date": TYPED},
            {"id": 2, "create_date": early, "write_date": None},
        ],
    ).records
    assert (edited.key, edited.cursor, edited.updated_at) == ("1", SINCE, SINCE)
    assert fresh.cursor == SINCE.replace(year=2025)


def test_the_order_of_fields_which_changes_with_each_start_of_the_server_changes_nothing(
    parties: Stream,
) -> None:
    first, second, other = (
        read(parties, [row]).records[0]
        for row in (
            {"id": 1, "name": "a", "code": "b"},
            {"code": "b", "name": "a", "id": 1},
            {"id": 1, "name": "b", "code": "a"},
        )
    )
    assert first.raw != second.raw
    assert first.digest == second.digest != other.digest


def test_a_full_page_goes_on_behind_its_highest_id_and_a_short_one_is_the_last(parties: Stream) -> None:
    rows = [{"id": number, "name": "x"} for number in range(1, 501)]
    assert read(parties, rows).next == {"after": 500}
    assert read(parties, rows[:499]).next is None
    assert read(parties, []).next is None


def test_a_full_page_that_does_not_advance_is_stuck(parties: Stream) -> None:
    rows = [{"id": number, "name": "x"} for number in range(1, 501)]
    with pytest.raises(Transient) as caught:
        read(parties, rows, {"after": 500})
    assert caught.value.code == "paging_stuck"


@pytest.mark.parametrize(
    ("error", "kind", "code", "words"),
    [
        (["UserError", ['You are not allowed to access "Currency".', "", None]], NeedsOperator, "request_refused", "not allowed"),
        (["UserWarning", ["name", "Sure?", ""]], NeedsOperator, "request_refused", "Sure?"),
        (["ConcurrencyException", "Records were modified in the meanwhile"], Transient, "system_error", "modified"),
        (["LoginException", ["code", "One-time password", "char"]], NeedsOperator, "auth_refused", "One-time"),
        (["'warehouse'", ""], NeedsOperator, "request_refused", "module activated"),
        (["maximum recursion depth exceeded", "Traceback (most recent call last): secret stuff"], Transient, "system_error",
         "recursion"),
        ([], Transient, "system_error", "without words"),
        ("boom", Transient, "system_error", "without words"),
    ],
)  # fmt: skip
def test_an_error_in_a_200_is_told_by_its_kind(
    source: Source, error: Any, kind: type[HeadraceError], code: str, words: str
) -> None:
    failure = source.failure(answer({"id": 1, "error": error}))
    assert isinstance(failure, kind)
    assert failure.code == code
    assert words in str(failure)
    assert "Traceback" not in str(failure)


def test_records_that_speak_of_errors_are_no_error(source: Source) -> None:
    assert (
        source.failure(
            answer({"id": 1, "result": [{"id": 1, "name": '"error"', "error": ["UserError", ["x"]]}]})
        )
        is None
    )
    assert source.failure(answer({"id": 1, "error": None, "result": []})) is None


@pytest.mark.parametrize(
    ("status", "code"), [(401, "auth_refused"), (403, "auth_refused"), (400, "request_refused"), (503, "system_error"), (429, "throttled")]
)  # fmt: skip
def test_other_statuses_mean_what_they_usually_do(source: Source, status: int, code: str) -> None:
    failure = source.failure(answer(b"<html>words of a proxy</html>", status))
    assert failure is not None
    assert failure.code == code
    assert "html" not in str(failure)


def test_html_with_a_200_is_a_malformed_page(parties: Stream) -> None:
    with pytest.raises(Transient) as caught:
        parties.read(answer(b"<html>login</html>"), Window(), None)
    assert caught.value.code == "malformed_page"


@pytest.mark.parametrize(("rpc_path", "url"), [("", "/demo/"), ("rpc/", "/demo/rpc/")])
def test_older_releases_listen_at_another_path(rpc_path: str, url: str) -> None:
    source = Registry.load().get("tryton").bind({**SETTINGS, "rpc_path": rpc_path})
    assert source.stream("parties").request(Window(), None).url == "https://erp.example.com" + url


def test_an_unknown_stream_is_answered_with_the_nearest(source: Source) -> None:
    with pytest.raises(NotFound, match="Did you mean 'purchases'"):
        source.stream("purchase")


def test_fewer_records_are_asked_for_from_the_same_id_on(parties: Stream) -> None:
    smaller, place = parties.resized(4, {"after": 7}) or pytest.fail("not resized")
    body = json.loads(smaller.request(Window(), place).body or b"")
    whole = json.loads(parties.request(Window(), place).body or b"")
    assert body["params"][2] == whole["params"][2] // 4
    assert body["params"][0] == whole["params"][0]
    assert list(parties.onward(None, Page([], next={"after": 9}), 5)) == []
