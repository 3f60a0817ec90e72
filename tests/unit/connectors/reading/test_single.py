"""One record by its key, and some records by a filter: what is asked, and what the answer says."""

import json
from pathlib import Path
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Gone, Response, Stream, Window
from worker.connectors.manifest.model import load_manifest
from worker.connectors.registry import Registry
from worker.errors import BadRecord, InvalidInput

MANIFEST = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: "{base_url}"
settings:
  base_url: {required: true, description: Where it lives.}
  area: {default: north, description: The area.}
request: {params: {deleted: "true"}}
defaults: {records: items, key: id}
streams:
  parts: {path: /parts, single: {}, filters: [site, state]}
  lots: {path: /lots, single: {path: "/{area}/lot/{key}/x", record: data.lot, absent: [410]}}
  tags: {path: /tags}
  sites: {path: /sites/, single: {}}
"""


def stream(tmp_path: Path, name: str, manifest: str = MANIFEST) -> Stream:
    path = tmp_path / "shop" / "manifest.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(manifest)
    return ManifestConnector(load_manifest(path)).bind({"base_url": "https://h/api"}).stream(name)


def answer(body: Any, status: int = 200, kind: str = "application/json") -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {"content-type": kind}, content, "https://h/api/parts/7")


def test_a_record_is_asked_for_below_the_path_of_its_stream(tmp_path: Path) -> None:
    request = stream(tmp_path, "parts").single("7")
    assert request is not None
    assert (request.method, request.url) == ("GET", "https://h/api/parts/7")
    assert list(request.params) == [("deleted", "true")]
    assert request.absent == {404, 410}


def test_where_a_list_ends_with_a_slash_a_record_does(tmp_path: Path) -> None:
    request = stream(tmp_path, "sites").single("7")
    assert request is not None
    assert request.url == "https://h/api/sites/7/"


def test_a_manifest_says_the_path_the_place_and_what_means_absent(tmp_path: Path) -> None:
    lots = stream(tmp_path, "lots")
    request = lots.single("a/b c")
    assert request is not None
    assert request.url == "https://h/api/north/lot/a%2Fb%20c/x"
    assert request.absent == {410}
    page = lots.read_single(answer({"data": {"lot": {"id": "a/b c", "n": 1.10}}}), "a/b c")
    assert [(record.key, record.raw) for record in page.records] == [("a/b c", b'{"id": "a/b c", "n": 1.1}')]


@pytest.mark.parametrize("key", [".", ".."])
def test_a_key_cant_leave_its_path(tmp_path: Path, key: str) -> None:
    with pytest.raises(BadRecord):
        stream(tmp_path, "parts").single(key)


def test_without_a_word_of_the_manifest_a_record_cant_be_asked_for(tmp_path: Path) -> None:
    assert stream(tmp_path, "tags").single("7") is None


def test_a_key_of_several_fields_is_asked_for_by_all_of_them(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="the key has 2 fields"):
        stream(tmp_path, "parts", MANIFEST.replace("key: id", "key: [id, site]"))


def test_a_record_that_comes_with_such_a_word_is_not_gone(tmp_path: Path) -> None:
    """GraphQL answers in part: the order is there, and its warehouse was "not found"."""
    said = {"errors": [{"message": "Warehouse not found"}], "data": {"lot": {"id": 7, "warehouse": None}}}
    page = stream(tmp_path, "lots").read_single(answer(said, 410), "7")
    assert (page.records, page.gone, page.rejected[0].code) == ([], [], "unclear_absence")
    said["data"] = {"lot": None}
    assert stream(tmp_path, "lots").read_single(answer(said, 410), "7").gone == [Gone("7", "not_found")]


def test_an_absent_record_is_gone(tmp_path: Path) -> None:
    page = stream(tmp_path, "parts").read_single(answer({"error": "no such part"}, 404), "7")
    assert page.gone == [Gone("7", "not_found")]


def test_a_web_page_is_no_word_about_a_record(tmp_path: Path) -> None:
    page = stream(tmp_path, "parts").read_single(answer(b"<h1>404</h1>", 404, "text/html"), "7")
    assert page.gone == []
    assert [(bad.code, bad.key) for bad in page.rejected] == [("unclear_absence", "7")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"id": 8}, "other_record"),
        ([{"id": 7}], "malformed_answer"),
        (b"<html>", "malformed_answer"),
        ({"name": "no id"}, "bad_key"),
        (b"", "malformed_answer"),
    ],
)
def test_what_is_not_the_record_is_set_aside_under_its_key(tmp_path: Path, body: Any, code: str) -> None:
    page = stream(tmp_path, "parts").read_single(answer(body), "7")
    assert (page.records, page.gone) == ([], [])
    assert [(bad.code, bad.key) for bad in page.rejected] == [(code, "7")]


def test_filters_go_along_as_parameters(tmp_path: Path) -> None:
    parts = stream(tmp_path, "parts")
    request = parts.filtered({"site": "7", "state": "open & new"}).request(Window(), None)
    assert list(request.params) == [("deleted", "true"), ("site", "7"), ("state", "open & new")]
    assert list(parts.request(Window(), None).params) == [("deleted", "true")]


def test_an_unknown_filter_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="There are: site, state") as caught:
        stream(tmp_path, "parts").filtered({"sight": "7"})
    assert "site" in (caught.value.hint or "")
    with pytest.raises(InvalidInput, match="names no filters"):
        stream(tmp_path, "tags").filtered({"site": "7"})


@pytest.fixture
def purchases() -> Stream:
    settings = {"base_url": "http://erp:8000", "database": "plant", "username": "reader"}
    return Registry.load([]).get("tryton").bind(settings).stream("purchases")


def test_tryton_is_asked_for_a_record_by_its_id(purchases: Stream) -> None:
    request = purchases.single("42")
    assert request is not None
    call = json.loads(request.body or b"")
    assert call["method"] == "model.purchase.purchase.search_read"
    assert call["params"][0] == [["id", "=", 42]]
    assert call["params"][5] == {"active_test": False}
    with pytest.raises(BadRecord):
        purchases.single("x")


def test_tryton_says_by_an_empty_list_that_a_record_is_gone(purchases: Stream) -> None:
    assert purchases.read_single(answer({"id": 1, "result": []}), "42").gone == [Gone("42", "not_found")]
    found = purchases.read_single(answer({"id": 1, "result": [{"id": 42, "state": "draft"}]}), "42")
    assert [record.key for record in found.records] == ["42"]
    assert found.gone == []


def test_filters_of_tryton_are_a_domain(purchases: Stream) -> None:
    request = purchases.filtered({"state": "draft", "party": "7", "company": '"7"'}).request(Window(), None)
    domain = json.loads(request.body or b"")["params"][0]
    assert domain == [["state", "=", "draft"], ["party", "=", 7], ["company", "=", "7"]]
