"""Guesses about an answer that nobody described, and what of an answer may be kept."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from scheduler.connectors.kit.guessing import guess, name_in
from scheduler.connectors.kit.recording import scrubbed

ROWS = [
    {"id": 1, "name": "a", "updated_at": "2026-01-01T00:00:00Z"},
    {"id": 2, "name": "b", "updated_at": None},
]


def stream(data: Any, **headers: str) -> dict[str, Any]:
    found = guess(json.dumps(data).encode(), headers, "/x")
    assert found is not None
    return found.stream


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (ROWS, {"records": "", "key": "id", "updated_at": "updated_at"}),
        ({"d": {"results": ROWS}}, {"records": "d.results"}),
        ({"errors": [], "data": ROWS, "total": 7}, {"records": "data", "total": "total"}),
        (
            {"value": ROWS, "@odata.nextLink": "Parts?$skip=2"},
            {"paging": {"next_link": {"path": ["@odata.nextLink"]}}},
        ),
        (
            {"results": ROWS, "next": "https://h/x?limit=50&offset=50"},
            {"paging": {"next_link": {"path": "next", "size_param": "limit", "size": 50}}},
        ),
        (
            {"data": ROWS, "meta": {"next_cursor": "abc"}},
            {"paging": {"cursor": {"param": "cursor", "path": "meta.next_cursor"}}},
        ),
    ],
)
def test_an_answer_suggests_where_things_stand(data: Any, wanted: dict[str, Any]) -> None:
    found = stream(data)
    assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"suggested_facets": [{"name": "a"}, {"name": "b"}], "rows": ROWS}, "rows"),
        ({"facets": {"items": [{"name": "a"}]}, "results": ROWS}, "results"),
        ({"orders": ROWS, "items": [{"x": 1}] * 9}, "orders"),
        ({"tags": ["a"] * 9, "found": ROWS}, "found"),
        ({"one": ROWS, "other": ROWS[:1]}, "one"),
        ({"columns": [{"name": "id"}], "rows": []}, "rows"),
    ],
)
def test_of_several_lists_the_one_of_records_is_taken(data: Any, wanted: str) -> None:
    found = guess(json.dumps(data).encode(), {}, "/v1/orders")
    assert found is not None
    assert found.stream["records"] == wanted


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        ({"columns": ["id", "updated_at"], "rows": [[1, "2026-01-01"], [2, None]]}, "columns"),
        ({"meta": {"fields": [{"name": "id"}, {"name": "updated_at"}]}, "rows": [[1, "2026-01-01"], [2, None]]}, "meta.fields.*.name"),
        ({"rows": [["id", "updated_at"], [1, "2026-01-01"], [2, None]]}, True),
    ],
)  # fmt: skip
def test_rows_that_are_lists_get_the_names_of_their_columns(data: Any, columns: Any) -> None:
    found = stream(data)
    assert found["records"] == {"rows": "rows", "columns": columns}
    assert (found["key"], found["updated_at"]) == ("id", "updated_at")


def test_rows_without_names_of_columns_are_marked() -> None:
    found = guess(b'{"rows": [[1, 2], [3, 4]]}', {}, "/x")
    assert found is not None
    assert "nothing beside them" in found.remarks["records"]


def test_other_lists_are_named_beside_the_one_that_was_taken() -> None:
    found = guess(json.dumps({"facets": [{"name": "a"}], "rows": ROWS}).encode(), {}, "/x")
    assert found is not None
    assert "facets" in found.remarks["records"]


@pytest.mark.parametrize(
    ("data", "asked", "wanted"),
    [
        ({"items": ROWS, "page": 1, "perPage": 2, "totalItems": 9}, (), {"page": {"param": "page", "size_param": "perPage", "size": 100}}),
        ({"items": ROWS}, ("_start", "_limit"), {"offset": {"param": "_start", "limit_param": "_limit", "size": 100}}),
        ({"rows": ROWS, "next": "2", "next_url": "http://h/x?_next=2&_size=2"}, (), {"next_link": {"path": "next_url", "size_param": "_size", "size": 2}}),
        ({"data": ROWS, "next": 2}, ("_page", "_per_page"), {"page": {"param": "_page", "size_param": "_per_page", "size": 100}}),
        ({"features": ROWS, "links": [{"rel": "self", "href": "/x"}, {"rel": "next", "href": "/x?offset=2&limit=2"}]}, (), {"next_link": {"path": "links", "size_param": "limit", "size": 2}}),
        ({"data": ROWS, "links": {"next": {"href": "/x?a"}}}, (), {"next_link": {"path": "links.next.href"}}),
    ],
)  # fmt: skip
def test_how_a_list_is_continued_is_seen_by_names(data: Any, asked: Sequence[str], wanted: Any) -> None:
    found = guess(json.dumps(data).encode(), {}, "/x", asked)
    assert found is not None
    assert found.stream["paging"] == wanted


def test_a_count_of_the_page_is_no_total() -> None:
    assert "total" not in stream({"count": 1, "data": ROWS})
    assert stream({"count": 2, "total": 9, "data": ROWS})["total"] == "total"
    assert stream(ROWS, **{"x-total-count": "9"})["total"] == {"header": "x-total-count"}


def test_what_looks_secret_is_no_key() -> None:
    rows = [{"password": "a", "order_no": 1}, {"password": "b", "order_no": 2}]
    assert stream(rows)["key"] == "order_no"


def test_a_time_of_change_in_an_object_of_the_record_is_seen() -> None:
    rows = [
        {"id": 1, "properties": {"updated_at": None}},
        {"id": 2, "properties": {"updated_at": "2026-01-01T00:00:00Z"}},
    ]
    assert stream(rows)["updated_at"] == "properties.updated_at"


@pytest.mark.parametrize(
    ("path", "name"),
    [("/collections/sites/items", "sites"), ("/orders.json", "orders"), ("/sites/{site}/orders/", "orders"), ("/items", "items"), ("/orders/paginated", "orders")],
)  # fmt: skip
def test_a_path_calls_its_list_by_what_it_holds(path: str, name: str) -> None:
    assert name_in(path) == name


def test_a_link_header_is_seen() -> None:
    assert stream(ROWS, link='<https://h/x?page=2>; rel="next"')["paging"] == {"next_link": {"header": True}}


def test_times_that_are_counted_and_links_in_headers_of_other_names_are_seen() -> None:
    found = stream(
        [{"id": "a", "last_modified": 1700000000000}], **{"next-page": "https://h/x?_limit=100&_token=t"}
    )
    assert found["updated_at"] == {"field": "last_modified", "format": "epoch_ms"}
    assert found["paging"] == {"next_link": {"header": "next-page", "size_param": "_limit", "size": 100}}


def test_the_key_is_unique_in_what_came() -> None:
    rows = [{"name": "a", "part_id": "x"}, {"name": "a", "part_id": "y"}]
    assert stream(rows)["key"] == "part_id"


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'"x"', b"[1, 2]", b"\xff"])
def test_nothing_is_guessed_where_no_list_of_objects_is(body: bytes) -> None:
    assert guess(body, {}, "/x") is None


def test_people_are_found_inside_of_others_and_again_in_other_texts() -> None:
    data = {
        "assignee": {"id": "u-1", "name": "Wilhelmine Oberhauser"},
        "comment": "Wilhelmine Oberhauser, +49 89 1234567, asks",
        "link": "https://h/x?a=1&token=abcdef12345",
    }
    found = scrubbed(data)
    assert "Oberhauser" not in json.dumps(found)
    assert "1234567" not in found["comment"]
    assert found["link"] == "https://h/x?a=1&token=…"
    assert found["assignee"]["id"] == "u-1"


def test_people_become_made_up_ones_the_same_each_time() -> None:
    data = {
        "email": "jo@acme.org",
        "note": "ask jo@acme.org",
        "contact": {"phone": "+49 30 1234"},
        "title": "Pump",
    }
    once, again = scrubbed(data), scrubbed(data)
    assert once == again
    assert "acme" not in json.dumps(once)
    assert once["note"] == f"ask {once['email']}"
    assert once["contact"]["phone"] != "+49 30 1234"
    assert once["title"] == "Pump"


def test_an_answer_that_is_nested_beyond_reason_suggests_nothing() -> None:
    assert guess(b"[" * 200_000, {}, "/x") is None
