"""The protocol rest: requests described, answers read, no socket."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Response, Source, Window
from worker.connectors.manifest.model import load_manifest
from worker.errors import InvalidInput, NeedsOperator, NotFound, Transient

MANIFEST = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: "{base_url}"
settings:
  base_url: {required: true, description: Where it lives.}
  company: {type: integer, description: The company.}
  area: {default: a b, description: The area.}
request:
  headers: {X-Company: "{company}"}
  params: {company: "{company}", deleted: "true"}
errors: {words: reason.text, status: {"409": transient, "200": operator}}
defaults: {records: items, key: id}
streams:
  parts:
    path: /{area}/parts
    params: {expand: lines}
    paging: {next_link: {path: next, size_param: limit, size: 2}}
    incremental: {field: at, param: since, until_param: until, format: iso8601_ms}
  sites:
    path: /sites
    paging: {offset: {param: offset, limit_param: limit, size: 2, stable: true}}
"""
SINCE = datetime(2026, 1, 31, 8, 0, 0, 1, tzinfo=UTC)


@pytest.fixture
def connector(tmp_path: Path) -> ManifestConnector:
    path = tmp_path / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(MANIFEST)
    return ManifestConnector(load_manifest(path))


@pytest.fixture
def source(connector: ManifestConnector) -> Source:
    return connector.bind({"base_url": "https://h.example.com/api/", "company": 7})


def answer(body: object, status: int = 200) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {}, content, "https://h.example.com/api/a%20b/parts?limit=2")


def test_the_first_request_says_the_window_and_the_page(source: Source) -> None:
    request = source.stream("parts").request(Window(SINCE, SINCE), None)
    assert request.method == "GET"
    assert request.url == "https://h.example.com/api/a%20b/parts"
    assert list(request.params) == [
        ("company", "7"), ("deleted", "true"), ("expand", "lines"), ("since", "2026-01-31T08:00:00.000Z"),
        ("until", "2026-01-31T08:00:00.001Z"), ("limit", "2"),
    ]  # fmt: skip
    assert request.headers == {"Accept": "application/json", "X-Company": "7"}


def test_no_window_asks_for_everything(source: Source) -> None:
    names = [name for name, _ in source.stream("parts").request(Window(), None).params]
    assert names == ["company", "deleted", "expand", "limit"]


def test_a_template_says_the_bound_in_the_words_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(MANIFEST.replace("param: since,", 'param: $filter, template: "at ge {value}",'))
    stream = ManifestConnector(load_manifest(path)).bind({"base_url": "https://h"}).stream("parts")
    assert dict(stream.request(Window(SINCE), None).params)["$filter"] == "at ge 2026-01-31T08:00:00.000Z"
    assert "$filter" not in dict(stream.request(Window(), None).params)


def test_a_template_without_a_place_for_the_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(MANIFEST.replace("param: since,", 'param: $filter, template: "at ge {since}",'))
    with pytest.raises(InvalidInput, match="template"):
        load_manifest(path)


def test_what_an_optional_setting_would_fill_is_left_out_without_it(connector: ManifestConnector) -> None:
    request = connector.bind({"base_url": "https://h"}).stream("sites").request(Window(), None)
    assert "company" not in dict(request.params)
    assert "X-Company" not in request.headers


def test_pages_follow_each_other_to_the_end(source: Source) -> None:
    stream, window = source.stream("sites"), Window()
    first = stream.read(answer({"items": [{"id": 1}, {"id": 2}]}), window, None)
    assert [record.key for record in first.records] == ["1", "2"]
    assert dict(stream.request(window, first.next).params)["offset"] == "2"
    assert stream.read(answer({"items": [{"id": 3}]}), window, first.next).next is None


def test_a_position_survives_being_stored(source: Source) -> None:
    stream, window = source.stream("parts"), Window(SINCE)
    body = {"items": [{"id": 1, "at": "2026-01-31T08:00:00Z"}], "next": "parts?page=2"}
    page = stream.read(answer(body), window, None)
    position = json.loads(json.dumps(page.next))
    request = stream.request(window, position)
    assert request.url == "https://h.example.com/api/a%20b/parts?page=2"
    assert list(request.params) == []
    assert request.headers["X-Company"] == "7"


def test_a_bad_record_counts_when_pages_are_counted(source: Source) -> None:
    page = source.stream("sites").read(answer({"items": [{"id": None}, {"id": 2}]}), Window(), None)
    assert page.next == {"offset": 2}
    assert [bad.code for bad in page.rejected] == ["bad_key"]


def test_a_link_elsewhere_is_refused(source: Source) -> None:
    with pytest.raises(NeedsOperator, match="another host"):
        source.stream("parts").read(answer({"items": [], "next": "https://evil.org/"}), Window(), None)


def test_failures_are_worded_by_the_manifest(source: Source) -> None:
    refused = source.failure(answer({"reason": {"text": "Closed on Sundays."}}, 400))
    assert isinstance(refused, NeedsOperator)
    assert "Closed on Sundays." in str(refused)
    assert isinstance(source.failure(answer({}, 409)), Transient)
    assert isinstance(source.failure(answer({}, 200)), NeedsOperator)
    assert source.failure(answer({}, 201)) is None


def test_an_unknown_stream_is_answered_with_the_nearest(source: Source) -> None:
    with pytest.raises(NotFound) as caught:
        source.stream("part")
    assert caught.value.hint == "Did you mean 'parts'?"


@pytest.mark.parametrize(
    "url",
    ["", "h.example.com", "ftp://h", "https://", "https://h:0", "https://h:x", "https://h?x=1", "https://h#x",
     "https://h/a b", "https://[::1", "https://h\\@evil.org", "https://ü.example.com"],
)  # fmt: skip
def test_a_base_url_that_is_none_is_refused(connector: ManifestConnector, url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        connector.bind({"base_url": url})
    assert caught.value.place == "settings.base_url"


def test_a_password_in_the_base_url_is_refused_and_not_shown(connector: ManifestConnector) -> None:
    with pytest.raises(InvalidInput) as caught:
        connector.bind({"base_url": "https://me:hunter2@h.example.com"})
    assert caught.value.code == "plain_secret"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("area", "path"), [("a/b", "/a/b/parts"), ("x?y#z", "/x%3Fy%23z/parts"), ("%2e%2e", "/%252e%252e/parts")]
)
def test_a_setting_cannot_break_out_of_its_path(connector: ManifestConnector, area: str, path: str) -> None:
    source = connector.bind({"base_url": "https://h", "area": area})
    assert source.stream("parts").request(Window(), None).url == "https://h" + path


def test_a_setting_cannot_climb_out_of_its_path(connector: ManifestConnector) -> None:
    with pytest.raises(InvalidInput):
        connector.bind({"base_url": "https://h", "area": "../admin"})


def test_pages_by_offset_are_named_before_they_are_read(source: Source) -> None:
    sites = source.stream("sites")
    page = sites.read(answer({"items": [{"id": 1}, {"id": 2}]}), Window(), None)
    named = sites.onward(None, page, 2)
    assert list(named) == [{"offset": 4}, {"offset": 6}]
    last = sites.read(answer({"items": []}), Window(), {"offset": 6})
    assert list(sites.onward({"offset": 6}, last, 2)) == []


def test_a_stream_is_asked_for_smaller_pages_and_stays_as_it_was(source: Source) -> None:
    sites = source.stream("sites")
    smaller, place = sites.resized(2, {"offset": 6}) or pytest.fail("not resized")
    assert dict(smaller.request(Window(), place).params)["limit"] == "1"
    assert dict(sites.request(Window(), place).params)["limit"] == "2"
    assert sites.resized(4, {"offset": 6}) is None
