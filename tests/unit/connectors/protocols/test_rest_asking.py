"""Bodies, places, conditions and keysets: what a manifest says of requests that aren't a path and a few parameters."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Position, Request, Response, Source, Stream, Window
from worker.connectors.manifest.model import read_manifest
from worker.connectors.manifest.schema import schema
from worker.errors import BadRecord, InvalidInput, NeedsOperator, Transient
from worker.parsing.documents import read_document, validate

HEAD = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: https://h.example.com
settings:
  company: {type: integer, description: The company.}
  site: {default: NORTH, description: The site.}
"""
SINCE = datetime(2026, 1, 31, 8, 0, 0, tzinfo=UTC)
LIST = "records: '', key: id"


def source(text: str, **settings: Any) -> Source:
    document = read_document((HEAD + text).encode(), "shop/manifest.yaml")
    validate(document, schema())
    return ManifestConnector(read_manifest(document)).bind(settings)


def stream(text: str, **settings: Any) -> Stream:
    return source(f"streams:\n  parts: {{path: /parts, {LIST}, {text}}}\n", **settings).stream("parts")


def answer(body: object, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, json.dumps(body).encode(), "https://h.example.com/parts")


def sent(request: Request) -> Any:
    assert request.body is not None
    assert request.method == "POST"
    return json.loads(request.body)


def second(of: Stream, body: object, window: Window | None = None, **headers: str) -> Position | None:
    return of.read(answer(body, **headers), window or Window(), None).next


def test_a_body_holds_settings_with_their_types_and_leaves_out_what_isnt_given() -> None:
    text = "body: {company: '{company}', at: 'site {site}', deep: {list: ['{company}', 1]}}"
    request = stream(text, company=7).request(Window(), None)
    assert sent(request) == {"company": 7, "at": "site NORTH", "deep": {"list": [7, 1]}}
    assert request.headers["Content-Type"] == "application/json"
    assert sent(stream(text).request(Window(), None)) == {"at": "site NORTH", "deep": {"list": [1]}}


def test_what_all_requests_carry_lies_under_what_the_stream_says() -> None:
    text = f"request: {{body: {{a: 1, b: 2}}}}\nstreams:\n  parts: {{path: /parts, {LIST}, method: POST, body: {{b: 3}}}}\n"
    assert sent(source(text).stream("parts").request(Window(), None)) == {"a": 1, "b": 3}


def test_paging_and_changes_go_into_the_body_at_paths_whose_numbers_are_places_of_lists() -> None:
    parts = stream(
        "body: {params: [x, {}]}, paging: {offset: {in: body, param: params.1.skip, limit_param: params.2, size: 2, stable: true}},"
        "incremental: {in: body, field: at, format: epoch_s, param: params.1.since}"
    )
    body = sent(parts.request(Window(since=SINCE), None))
    assert body == {"params": ["x", {"since": int(SINCE.timestamp()), "skip": 0}, 2]}
    position = second(parts, [{"id": 1}, {"id": 2}])
    assert sent(parts.request(Window(), position))["params"][1] == {"skip": 2}


def test_conditions_in_text_are_joined_and_what_comes_from_elsewhere_is_quoted() -> None:
    odata = stream(
        "conditions: {param: $filter, join: ' and '}, where: [\"site eq '{site}'\"], filters: {name: \"name eq '{value}'\"},"
        "incremental: {field: at, since: 'at ge {value}', until: 'at le {value}', format: iso8601_ms}",
        site="O'Neil",
    )
    assert odata.traits.bounded
    both = Window(since=SINCE, until=SINCE)
    assert dict(odata.request(both, None).params)["$filter"] == (
        "site eq 'O''Neil' and at ge 2026-01-31T08:00:00.000Z and at le 2026-01-31T08:00:00.000Z"
    )
    asked = odata.filtered({"name": "x' or '1' eq '1"}).request(Window(), None)
    assert dict(asked.params)["$filter"].endswith("(name eq 'x'' or ''1'' eq ''1')")


def test_a_condition_whose_setting_isnt_given_is_left_out() -> None:
    parts = stream("conditions: {param: q, join: ' AND '}, where: ['company={company}']")
    assert "q" not in dict(parts.request(Window(), None).params)


def test_conditions_of_json_are_a_list_in_a_parameter() -> None:
    frappe = stream(
        "conditions: {param: filters, json: true}, where: [[docstatus, '<', 2]],"
        "incremental: {field: modified, format: datetime, since: [modified, '>=', '{value}']}"
    )
    filters = json.loads(dict(frappe.request(Window(since=SINCE), None).params)["filters"])
    assert filters == [["docstatus", "<", 2], ["modified", ">=", "2026-01-31 08:00:00"]]


def test_a_domain_and_a_keyset_ask_for_what_lies_behind_the_last_record() -> None:
    odoo = stream(
        "body: {order: 'write_date, id'}, conditions: {in: body, param: domain, splice: true},"
        "incremental: {field: write_date, format: datetime, since: [[write_date, '>=', '{value}']]},"
        "paging: {keyset: {in: body, order: [write_date, id], size: 2, size_param: limit,"
        " behind: ['|', [write_date, '>', '{0}'], '&', [write_date, '=', '{0}'], [id, '>', '{1}']]}}"
    )
    window = Window(since=SINCE)
    first = sent(odoo.request(window, None))
    assert first == {
        "order": "write_date, id",
        "limit": 2,
        "domain": [["write_date", ">=", "2026-01-31 08:00:00"]],
    }
    page = [{"id": 9, "write_date": "2026-02-01 00:00:00"}, {"id": 4, "write_date": "2026-02-01 00:00:01"}]
    position = second(odoo, page, window)
    assert sent(odoo.request(window, position))["domain"][1:] == [
        "|", ["write_date", ">", "2026-02-01 00:00:01"],
        "&", ["write_date", "=", "2026-02-01 00:00:01"], ["id", ">", 4],
    ]  # fmt: skip
    assert second(odoo, page[:1], window) is None
    with pytest.raises(Transient, match="again and again"):
        odoo.read(answer(page), window, position)
    with pytest.raises(Transient, match="doesn't say its place"):
        second(odoo, [{"id": 1, "write_date": "2026-02-01 00:00:00"}, {"id": 2, "write_date": None}])


def test_a_keyset_of_one_field_can_be_a_parameter() -> None:
    parts = stream("paging: {keyset: {order: id, param: starting_after, size: 2, size_param: limit}}")
    position = second(parts, [{"id": "a"}, {"id": "b"}])
    assert dict(parts.request(Window(), position).params) == {"limit": "2", "starting_after": "b"}


def test_conditions_stand_inside_a_query_of_sql() -> None:
    suiteql = stream(
        "method: POST, conditions: {in: body, param: q, join: ' AND ', none: 1=1,"
        " template: 'SELECT id FROM item WHERE {conditions} ORDER BY id'},"
        "incremental: {field: at, since: \"at >= TO_TIMESTAMP('{value}')\"}"
    )
    assert sent(suiteql.request(Window(), None))["q"] == "SELECT id FROM item WHERE 1=1 ORDER BY id"
    asked = sent(suiteql.request(Window(since=SINCE), None))["q"]
    assert asked == "SELECT id FROM item WHERE at >= TO_TIMESTAMP('2026-01-31T08:00:00.000000Z') ORDER BY id"


def test_settings_stand_in_conditions_and_in_the_text_around_them() -> None:
    parts = stream(
        "method: POST, conditions: {in: body, param: q, join: ' AND ', none: 1=1,"
        " template: \"SELECT id FROM item WHERE site = '{site}' AND {conditions}\"},"
        "incremental: {field: at, format: datetime, since: \"at >= ZONED('{value}', '{site}')\"}",
        site="O'Neil",
    )
    asked = sent(parts.request(Window(since=SINCE), None))["q"]
    assert (
        asked
        == "SELECT id FROM item WHERE site = 'O''Neil' AND at >= ZONED('2026-01-31 08:00:00', 'O''Neil')"
    )


def test_values_of_a_condition_can_stand_apart_from_its_text() -> None:
    fiix = stream(
        "body: {filters: [{}]}, conditions: {in: body, param: filters.0.ql, join: ' AND ', values: filters.0.parameters},"
        "incremental: {field: at, format: epoch_ms, since: {text: 'at >= ?', values: ['{value}']}}"
    )
    asked = sent(fiix.request(Window(since=SINCE), None))
    assert asked["filters"] == [{"ql": "at >= ?", "parameters": [int(SINCE.timestamp() * 1000)]}]


def test_parameters_with_several_values_are_written_as_the_system_wants_them() -> None:
    for arrays, wanted in (
        ("repeat", [("e", "a"), ("e", "b")]),
        ("comma", [("e", "a,b")]),
        ("brackets", [("e[]", "a"), ("e[]", "b")]),
    ):
        request = stream(f"params: {{e: [a, b]}}, arrays: {arrays}").request(Window(), None)
        assert list(request.params) == wanted


def test_a_status_can_be_the_end_of_a_list_unless_a_web_page_comes_with_it() -> None:
    parts = stream("paging: {offset: {param: offset, limit_param: limit, size: 2, ends: [404]}}")
    request = parts.request(Window(), {"offset": 2})
    assert request.absent == {404}
    page = parts.read(answer({"message": "none"}, 404), Window(), {"offset": 2})
    assert (page.records, page.next) == ([], None)
    with pytest.raises(Transient, match="web page"):
        parts.read(answer("x", 404, content_type="text/html"), Window(), {"offset": 2})


def test_whether_there_is_more_is_what_the_answer_says() -> None:
    text = "streams:\n  parts: {{path: /parts, records: items, key: id, paging: {{{}}}}}\n"
    offset = source(
        text.format("offset: {param: o, limit_param: l, size: 2, stable: true, more: hasMore}")
    ).stream("parts")
    one, two = [{"id": 1}], [{"id": 1}, {"id": 2}]
    assert second(offset, {"items": one, "hasMore": True}) == {"offset": 1}
    assert second(offset, {"items": two, "hasMore": False}) is None
    cursor = source(text.format("cursor: {param: c, path: p.end, more: p.hasNextPage}")).stream("parts")
    assert second(cursor, {"items": two, "p": {"end": "x", "hasNextPage": False}}) is None
    assert second(cursor, {"items": two, "p": {"end": "x", "hasNextPage": True}}) is not None
    pages = source(text.format("page: {param: p, size: 2, pages: n}")).stream("parts")
    assert second(pages, {"items": one, "n": 2}) is not None
    assert second(pages, {"items": two, "n": 1}) is None


def test_a_cursor_a_total_and_a_size_can_stand_in_headers() -> None:
    cursor = stream("paging: {cursor: {param: c, header: X-Next}}, total: {header: X-Total-Count}")
    page = cursor.read(answer([{"id": 1}], x_next="n1", x_total_count="12"), Window(), None)
    assert page.total == 12
    assert dict(cursor.request(Window(), page.next).params) == {"c": "n1"}
    linked = stream(
        "paging: {next_link: {header: true, size_header: Prefer, size_template: 'odata.maxpagesize={size}', size: 300}}"
    )
    assert linked.request(Window(), None).headers["Prefer"] == "odata.maxpagesize=300"
    smaller = linked.resized(3, None)
    assert smaller is not None
    assert smaller[0].request(Window(), None).headers["Prefer"] == "odata.maxpagesize=100"


def test_a_header_of_its_own_name_can_hold_the_link() -> None:
    parts = stream("paging: {next_link: {header: Next-Page, size_param: _limit, size: 1}}")
    position = second(parts, [{"id": 1}], next_page="https://h.example.com/parts?_token=a")
    assert parts.request(Window(), position).url == "https://h.example.com/parts?_token=a"
    assert second(parts, [{"id": 1}]) is None


def test_a_page_in_another_order_than_its_keyset_is_told() -> None:
    parts = stream("paging: {keyset: {order: id, param: after, size: 2, size_param: limit}}")
    with pytest.raises(NeedsOperator, match="don't come in the order of id"):
        second(parts, [{"id": 9}, {"id": 4}])


def test_a_link_can_be_an_object_around_the_url() -> None:
    parts = source(
        "streams:\n  parts: {path: /parts, records: items, key: id, paging: {next_link: {path: info.nextPage}}}\n"
    )
    for link in ({"href": "https://h.example.com/parts?page=2"}, "/parts?page=2"):
        position = second(parts.stream("parts"), {"items": [{"id": 1}], "info": {"nextPage": link}})
        assert parts.stream("parts").request(Window(), position).url == "https://h.example.com/parts?page=2"


def test_where_the_newest_come_first_reading_ends_at_what_was_read_before() -> None:
    parts = stream(
        "paging: {page: {param: p, size: 2, until_empty: true}}, incremental: {field: at, format: epoch_s, descending: true}"
    )
    at = int(SINCE.timestamp())
    newer, older = (
        [{"id": 2, "at": at + 9}, {"id": 1, "at": at}],
        [{"id": 4, "at": at + 1}, {"id": 3, "at": at - 1}],
    )
    assert second(parts, newer, Window(since=SINCE)) is not None
    assert second(parts, older, Window(since=SINCE)) is None
    assert second(parts, older) is not None


def test_one_record_is_asked_for_in_a_body() -> None:
    parts = stream("body: {fields: [name]}, single: {body: {ids: ['{key}']}, number: true, record: '0'}")
    request = parts.single("12")
    assert request is not None
    assert request.url == "https://h.example.com/parts"
    assert sent(request) == {"ids": [12]}
    with pytest.raises(BadRecord):
        parts.single("12; drop")


def test_one_record_is_asked_for_by_a_condition_of_the_list() -> None:
    parts = stream(
        "conditions: {param: $filter, join: ' and '}, where: [active eq true], single: {by: \"id eq '{key}'\"}"
    )
    request = parts.single("it's")
    assert request is not None
    assert dict(request.params)["$filter"] == "active eq true and id eq 'it''s'"
    found = parts.read_single(answer([{"id": "it's", "n": 1}]), "it's")
    assert [record.key for record in found.records] == ["it's"]
    assert [gone.key for gone in parts.read_single(answer([]), "it's").gone] == ["it's"]
    other = parts.read_single(answer([{"id": "x"}, {"id": "y"}]), "it's")
    assert [bad.code for bad in other.rejected] == ["other_record"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("where: ['a=1']", "where is a condition: say under `conditions` where conditions go"),
        ("incremental: {field: at, since: 'a {value}'}", "incremental.since is a condition"),
        ("single: {by: 'id={key}'}", "single.by is a condition"),
        ("conditions: {join: ' and '}, where: ['a=1']", "conditions say by `param` where they go"),
        (
            "conditions: {param: q, join: x}, incremental: {field: at, since: 'a {value} {company}'}",
            "must be required or have a default",
        ),
        ("method: GET, body: {a: 1}", "GET has no body"),
        ("body: {a: '{compny}'}", "There is no setting 'compny'"),
        ("incremental: {field: at}", "needs the param or the condition (since)"),
        ("paging: {keyset: {order: id, size: 2}}", "The key 'behind' is missing"),
    ],
)
def test_what_doesnt_fit_together_is_told(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        stream(text)
    assert said in caught.value.message
    assert caught.value.place == "shop/manifest.yaml:10"


PAGED = "paging: {offset: {param: o, limit_param: l, size: 100, stable: true}}, single: {}"


@pytest.mark.parametrize(
    ("said", "pages", "smaller", "alone"),
    [
        ("", 1, 1, 1),
        (", cost: 7", 7, 7, 7),
        (", cost: {record: 1}", 101, 26, 2),
        (", cost: {request: 0, record: 2}", 200, 50, 2),
    ],
)
def test_a_request_takes_as_much_of_the_limits_as_the_manifest_says(
    said: str, pages: int, smaller: int, alone: int
) -> None:
    parts = stream(PAGED + said)
    resized, single = parts.resized(4, None), parts.single("7")
    assert resized is not None
    assert single is not None
    asked = parts.request(Window(), None), resized[0].request(Window(), None), single
    assert tuple(request.cost for request in asked) == (pages, smaller, alone)


def test_parameters_that_are_filters_stand_beside_conditions() -> None:
    conditions = 'conditions: {param: q, join: " and "}, where: ["a eq 1"]'
    parts = stream(conditions + ", filters: [site]").filtered({"site": "N'1"})
    assert dict(parts.request(Window(), None).params) == {"site": "N'1", "q": "a eq 1"}
