"""Lines as a stream of their own: asked for as their orders are, and what a manifest may say of them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Family, Response, Stream, Window
from worker.connectors.manifest.model import load_manifest
from worker.errors import InvalidInput

MANIFEST = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: https://h.example.com
settings:
  told: {type: boolean, default: false, description: Whether it tells.}
defaults: {records: items, total: total}
streams:
  orders:
    path: /orders
    params: {expand: lines}
    key: id
    version: v
    single: {}
    incremental: {field: at, param: since}
    paging: {offset: {param: offset, limit_param: limit, size: 50}}
    deletes: {removed: "@removed", tombstones: {path: /gone, records: gone}}
  lines:
    explode: {of: orders, path: lines, parent: {order: id, changed: at}, by: order}
    key: [order, "no"]
"""
SINCE = datetime(2026, 1, 31, 8, tzinfo=UTC)


def stream(folder: Path, text: str = MANIFEST) -> Stream:
    path = folder / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return ManifestConnector(load_manifest(path)).bind({}).stream("lines")


def answer(body: Any) -> Response:
    return Response(200, {}, json.dumps(body).encode(), "https://h.example.com/orders")


def test_lines_are_asked_for_as_their_orders_are(tmp_path: Path) -> None:
    lines = stream(tmp_path)
    request = lines.request(Window(SINCE), None)
    assert request.url == "https://h.example.com/orders"
    assert dict(request.params)["since"] == "2026-01-31T08:00:00.000000Z"
    assert dict(request.params)["expand"] == "lines"
    assert lines.traits.incremental
    assert lines.single("1") is None
    page = lines.read(
        answer({"items": [{"id": 7, "at": "2026-02-01T00:00:00Z", "lines": [{"no": 1}]}], "total": 1}),
        Window(),
        None,
    )
    (record,) = page.records
    assert (record.key, record.cursor, record.version) == ("[7,1]", datetime(2026, 2, 1, tzinfo=UTC), None)
    assert (page.total, page.in_all) == (1, None)


def test_pages_end_by_the_number_of_orders(tmp_path: Path) -> None:
    page = stream(tmp_path).read(
        answer({"items": [{"id": n, "lines": []} for n in range(50)]}), Window(), None
    )
    assert page.records == []
    assert page.next == {"offset": 50}


def test_a_sweep_lists_the_lines_of_all_orders(tmp_path: Path) -> None:
    swept = stream(tmp_path).sweep()
    assert swept is not None
    page = swept.read(
        answer({"items": [{"id": 7, "lines": [{"no": 1}, {"no": 2}]}], "total": 1}), Window(), None
    )
    assert page.keys == ["[7,1]", "[7,2]"]
    assert page.in_all is None


@pytest.mark.parametrize("by_default", [False, True])
def test_an_order_that_went_takes_its_lines_along(tmp_path: Path, by_default: bool) -> None:
    text = MANIFEST.replace("    key: id\n", "").replace("{records: items,", "{key: id, records: items,")
    lines = stream(tmp_path, text if by_default else MANIFEST)
    page = lines.read(answer({"items": [{"id": 7, "@removed": {}}]}), Window(), None)
    assert page.listed is not None
    assert page.listed.families == (Family("[7,", told=True),)
    told = lines.tombstones()
    assert told is not None
    page = told.read(answer({"gone": [{"id": 7}, {"id": "PO-7"}]}), Window(), None)
    assert page.listed is not None
    assert [family.stem for family in page.listed.families] == ['["7",', "[7,", '["PO-7",']
    assert {family.reason for family in page.listed.families} == {"tombstone"}
    assert page.gone == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("of: orders", "of: order", "there is no stream 'order'"),
        (", changed: at}", "}", "the cursor stands in 'at', which has to come along"),
        ("by: order", "by: changed", "by names the first fields of the key"),
        ('key: [order, "no"]', "key: order", "tell the children of one parent apart"),
        (", by: order}", "}", "takes its children with it only where `by` names it"),
        ('key: [order, "no"]', 'key: [order, "no"]\n    single: {}', "these come with their parents"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert before in MANIFEST
    with pytest.raises(InvalidInput, match=words) as caught:
        stream(tmp_path, MANIFEST.replace(before, after))
    assert caught.value.place is not None
    assert "manifest.yaml:" in caught.value.place
