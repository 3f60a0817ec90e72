"""What a manifest says of deletes: lists of what is there and of what went, and marks inside a list."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Gone, Response, Source, Stream, Window
from worker.connectors.manifest.model import load_manifest
from worker.connectors.registry import Registry
from worker.errors import InvalidInput

MANIFEST = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: https://h.example.com
settings:
  told: {type: boolean, default: false, description: Whether it tells.}
  site: {default: north, description: The site.}
request: {params: {all: "true"}}
defaults:
  records: items
  key: id
  total: total
  incremental: {field: at, param: since}
  paging: {offset: {param: offset, limit_param: limit, size: 50}}
streams:
  orders:
    path: /orders
    params: {expand: lines}
    version: v
    deletes:
      sweep: {path: /ids, params: {fields: id}, size: 1000, records: ids}
      tombstones: {path: "/{site}/gone", key: order.id, incremental: {field: when, param: from}}
  parts:
    path: /parts
    deletes:
      removed: {field: "@removed", key: uid}
      tombstones: {path: /gone, setting: told}
  sites: {path: /sites, deletes: {sweep: false}}
  lots: {path: /lots}
"""


def write(folder: Path, text: str = MANIFEST) -> Path:
    path = folder / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return ManifestConnector(load_manifest(write(tmp_path))).bind({})


def answer(body: object) -> Response:
    return Response(200, {}, json.dumps(body).encode(), "https://h.example.com/x")


def test_a_sweep_asks_for_what_the_manifest_says_and_without_bounds(source: Source) -> None:
    stream = source.stream("orders").sweep()
    assert stream is not None
    now = datetime.now(UTC)
    request = stream.request(Window(now, now), None)
    assert request.url == "https://h.example.com/ids"
    assert dict(request.params) == {
        "all": "true", "expand": "lines", "fields": "id", "offset": "0", "limit": "1000",
    }  # fmt: skip
    page = stream.read(answer({"ids": [{"id": 1}, {"id": 2}], "total": 2}), Window(), None)
    assert ([record.key for record in page.records], page.total) == (["1", "2"], 2)
    assert not stream.traits.incremental


def test_a_sweep_needs_nothing_but_the_key(source: Source) -> None:
    """An ids-only list has neither versions nor times."""
    stream = source.stream("orders").sweep()
    assert stream is not None
    page = stream.read(answer({"ids": [{"id": 1}, {"other": 2}]}), Window(), None)
    assert [record.key for record in page.records] == ["1"]
    assert [bad.key for bad in page.rejected] == [None]


def test_where_the_manifest_says_nothing_the_stream_itself_is_listed(source: Source) -> None:
    stream = source.stream("lots").sweep()
    assert stream is not None
    assert dict(stream.request(Window(), None).params) == {"all": "true", "offset": "0", "limit": "50"}


def test_what_differs_in_each_answer_makes_no_two_records_of_one_in_a_sweep_whose_pages_overlap(
    tmp_path: Path,
) -> None:
    told = MANIFEST.replace("lots: {path: /lots}", "lots: {path: /lots, volatile: [link]}")
    swept = ManifestConnector(load_manifest(write(tmp_path, told))).bind({}).stream("lots").sweep()
    assert swept is not None

    def digest(link: str) -> bytes:
        body = json.dumps({"items": [{"id": 1, "link": link}], "total": 1}).encode()
        return swept.read(Response(200, {}, body, ""), Window(), None).records[0].digest

    assert digest("a") == digest("b")


def test_what_cannot_be_listed_is_not_swept(source: Source) -> None:
    assert source.stream("sites").sweep() is None


def test_a_list_of_tombstones_names_who_went_and_when(source: Source) -> None:
    stream = source.stream("orders").tombstones()
    assert stream is not None
    since = datetime(2026, 1, 31, tzinfo=UTC)
    request = stream.request(Window(since), None)
    assert request.url == "https://h.example.com/north/gone"
    assert dict(request.params)["from"].startswith("2026-01-31T00:00:00")
    assert "expand" not in dict(request.params)
    body = {"items": [{"order": {"id": 7}, "when": "2026-01-31T08:00:00Z"}]}
    page = stream.read(answer(body), Window(), None)
    assert page.gone == [Gone("7", "tombstone", datetime(2026, 1, 31, 8, tzinfo=UTC))]


@pytest.mark.parametrize("told", [False, True])
def test_a_list_may_depend_on_a_setting(tmp_path: Path, told: bool) -> None:
    bound = ManifestConnector(load_manifest(write(tmp_path))).bind({"told": told})
    assert (bound.stream("parts").tombstones() is not None) is told


@pytest.mark.parametrize(
    ("entry", "gone"),
    [
        ({"@removed": {"reason": "deleted"}, "uid": "9"}, ["9"]),
        ({"@removed": True, "uid": "9", "id": "8", "at": "2026-01-31T08:00:00Z"}, ["9"]),
        ({"@removed": None, "uid": "9", "id": "8", "at": "2026-01-31T08:00:00Z"}, []),
        ({"@removed": False, "uid": "9", "id": "8", "at": "2026-01-31T08:00:00Z"}, []),
        ({"note": "@removed", "uid": "9", "id": "8", "at": "2026-01-31T08:00:00Z"}, []),
    ],
)
def test_a_mark_where_a_record_was_is_a_delete(
    source: Source, entry: dict[str, Any], gone: list[str]
) -> None:
    other = {"id": 1, "at": "2026-01-31T08:00:00Z"}
    page = source.stream("parts").read(answer({"items": [other, entry]}), Window(), None)
    assert page.gone == [Gone(key, "delta") for key in gone]
    assert [record.key for record in page.records] == (["1"] if gone else ["1", "8"])
    assert page.rejected == []


def test_a_mark_without_a_key_is_set_aside(source: Source) -> None:
    page = source.stream("parts").read(answer({"items": [{"@removed": True}]}), Window(), None)
    assert (page.gone, len(page.rejected)) == ([], 1)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("setting: told}", "setting: tells}", "tells"),
        ('"/{site}/gone"', '"/{place}/gone"', "place"),
        ("param: from}", "param: from, zone: Nowhere/At}", "Nowhere/At"),
        ("size: 1000,", "size: 0,", "size"),
        ("{path: /gone, ", "{at: /gone, ", "at"),
    ],
)
def test_what_is_wrong_with_it_is_told(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert old in MANIFEST
    with pytest.raises(InvalidInput, match=line):
        load_manifest(write(tmp_path, MANIFEST.replace(old, new)))


SETTINGS = {"base_url": "https://erp.example.com", "database": "demo", "username": "sync"}


def test_a_tryton_is_swept_for_ids_alone_in_larger_pages() -> None:
    stream = Registry.load().get("tryton").bind(SETTINGS).stream("parties").sweep()
    assert stream is not None
    params = json.loads(stream.request(Window(), None).body or b"")["params"]
    assert (params[0], params[2], params[4]) == ([], 5000, ["id"])
    page = stream.read(answer({"id": 1, "result": [{"id": 3}, {"id": 5}]}), Window(), None)
    assert [record.key for record in page.records] == ["3", "5"]


def test_deletes_and_keys_may_be_asked_for_by_queries_of_their_own(tmp_path: Path) -> None:
    """As of NetSuite, where every list is a query in the same place of the body."""
    text = """
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: https://h.example.com
streams:
  orders:
    path: /query
    method: POST
    records: items
    key: id
    conditions: {in: body, param: q, join: " AND ", none: 1 = 1, template: "SELECT id, note FROM orders WHERE {conditions}"}
    where: [kind = 'order']
    deletes:
      sweep: {conditions: {template: "SELECT id FROM orders WHERE {conditions}"}}
      tombstones:
        conditions: {template: "SELECT record FROM gone WHERE {conditions}"}
        where: [type = 'order']
        key: record
"""
    stream = ManifestConnector(load_manifest(write(tmp_path, text))).bind({}).stream("orders")

    def asked(of: Stream | None) -> Any:
        assert of is not None
        return json.loads(of.request(Window(), None).body or b"")

    assert asked(stream) == {"q": "SELECT id, note FROM orders WHERE kind = 'order'"}
    assert asked(stream.sweep()) == {"q": "SELECT id FROM orders WHERE kind = 'order'"}
    assert asked(stream.tombstones()) == {"q": "SELECT record FROM gone WHERE type = 'order'"}
