"""Lists below each record of another: what is asked for, what the answers are, and what a manifest may say of them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Family, Page, Response, Stream, Window
from worker.connectors.manifest.model import load_manifest
from worker.engine.fetching.details import with_answers
from worker.errors import InvalidInput

MANIFEST = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: https://h.example.com
defaults: {records: items, total: total}
streams:
  orders:
    path: /orders
    key: id
    version: v
    single: {}
    incremental: {field: at, param: since}
    paging: {offset: {param: offset, limit_param: limit, size: 3, stable: true}}
    deletes: {removed: "@removed", tombstones: {path: /gone, records: gone, key: id}}
  lines:
    explode: {of: orders, path: lines, parent: {order: id, changed: at}, by: order}
    detail: {concurrency: 6, more: next}
    single: {path: "/orders/{key}/lines", params: {limit: "500"}}
    key: [order, "no"]
"""
WHOLE = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: https://h.example.com
streams:
  orders:
    path: /orders
    records: ids
    key: id
    detail: {concurrency: 2}
    single: {record: order}
    incremental: {field: at, param: since}
  lines:
    explode: {of: orders, path: lines, parent: {order: id, changed: at}, by: order}
    key: [order, "no"]
"""
AT = datetime(2026, 2, 1, tzinfo=UTC)


def stream(folder: Path, text: str = MANIFEST) -> Stream:
    path = folder / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return ManifestConnector(load_manifest(path)).bind({}).stream("lines")


def said(body: Any, status: int = 200, **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, headers, raw, "https://h.example.com/orders")


def listed(lines: Stream, *entries: Any, name: str = "items") -> Page:
    return lines.read(said({name: list(entries)}), Window(), None)


def below(page: Page, **answers: Any) -> Page:
    """The page with what was answered for each of its parents, as a run puts it together."""
    assert page.listed is not None and page.listed.below is not None  # noqa: PT018
    singles = page.listed.below
    found = [
        singles.read_single(each if isinstance(each, Response) else said(each), key.removeprefix("o"))
        for key, each in answers.items()
    ]
    return with_answers(page, found)


def families(page: Page) -> set[Family]:
    assert page.listed is not None
    return set(page.listed.families)


def test_each_order_is_asked_for_its_lines(tmp_path: Path) -> None:
    lines = stream(tmp_path)
    request = lines.request(Window(AT), None)
    assert (request.url, dict(request.params)["limit"]) == ("https://h.example.com/orders", "3")
    page = listed(lines, {"id": 7, "at": "2026-02-01T00:00:00Z"}, {"id": "a/b"}, {"at": 1})
    assert (page.records, page.next) == ([], {"offset": 3})
    assert page.listed is not None and page.listed.below is not None  # noqa: PT018
    assert page.listed.pending == ["7", "a/b"]
    assert [(bad.code, bad.key) for bad in page.rejected] == [("bad_key", None)]
    asked = page.listed.below.single("a/b")
    assert asked is not None
    assert (asked.url, dict(asked.params)) == ("https://h.example.com/orders/a%2Fb/lines", {"limit": "500"})
    assert (lines.traits.details, lines.traits.incremental, lines.single("[7,1]")) == (6, True, None)


def test_a_line_has_the_fields_of_its_order_behind_its_own(tmp_path: Path) -> None:
    page = listed(stream(tmp_path), {"id": 7, "at": "2026-02-01T00:00:00Z", "big": [1]}, {"id": "8"})
    page = below(page, o7=b'{"lines": [{"no": 1,  "q": 1.50}, {}], "id": 9}', o8={"lines": [{"no": 1}]})
    one, two = page.records
    assert one.raw == b'{"no": 1,  "q": 1.50,"order":7,"changed":"2026-02-01T00:00:00Z"}'
    assert (one.key, one.cursor, two.key) == ("[7,1]", AT, '["8",1]')
    assert [bad.code for bad in page.rejected] == ["bad_key"]
    assert families(page) == {Family('["8",')}  # a line of the other may be any
    assert page.in_all is None


def test_an_order_without_lines_and_one_that_is_not_there_are_families_too(tmp_path: Path) -> None:
    page = listed(stream(tmp_path), {"id": 7, "at": "2026-02-01T00:00:00Z"}, {"id": 8}, {"id": 9})
    page = below(page, o7={"lines": []}, o8=said({}, 404), o9={"lines": None})
    assert families(page) == {Family("[7,"), Family("[8,", "not_found"), Family('["8",', "not_found")}
    assert page.listed is not None
    assert (page.listed.reached, page.found, page.rejected) == (AT, True, [])


def test_what_is_no_list_of_lines_is_set_aside_without_a_word_of_the_others(tmp_path: Path) -> None:
    page = listed(stream(tmp_path), *({"id": n} for n in range(7)))
    page = below(
        page,
        o0={"rows": []},
        o1=b"<html>",
        o2={"lines": 3},
        o3={"lines": [{"no": 1}], "next": "/2"},
        o4=said(b"<html>", 404, **{"content-type": "text/html"}),
        o5={"lines": [{"no": 1}], "next": None},
        o6=said({"lines": [{"no": 1}]}, 404),
    )
    assert [(bad.code, bad.key) for bad in page.rejected] == [
        ("malformed_answer", None),
        ("malformed_answer", None),
        ("malformed_answer", None),
        ("answer_cut_off", None),
        ("unclear_absence", None),
        ("unclear_absence", None),
    ]
    assert page.rejected[0].reason.startswith("Below '0' a list of records was expected at 'lines'; ")
    assert page.rejected[0].raw == b'{"rows": []}'
    assert [record.key for record in page.records] == ["[5,1]"]
    assert families(page) == {Family("[5,")}


@pytest.mark.parametrize("path", ['""', "lines"])
def test_an_answer_may_be_the_list_itself_and_an_entry_the_key(tmp_path: Path, path: str) -> None:
    text = MANIFEST.replace("path: lines, ", f"path: {path}, ").replace(", more: next", "")
    page = listed(stream(tmp_path, text), 7, "PO-8")
    rows = [{"no": 1}]
    page = below(
        page,
        **{
            "o7": rows if path != "lines" else {"lines": rows},
            "oPO-8": [] if path != "lines" else {"lines": []},
        },
    )
    assert [record.raw for record in page.records] == [b'{"no": 1,"order":7,"changed":null}']
    assert families(page) == {Family("[7,"), Family('["PO-8",')}


def test_an_order_that_is_marked_as_removed_is_not_asked_for(tmp_path: Path) -> None:
    lines = stream(tmp_path)
    page = listed(lines, {"id": 7, "@removed": {}}, {"id": 8, "@removed": False})
    assert page.listed is not None
    assert page.listed.pending == ["8"]
    assert families(below(page, o8={"lines": []})) == {Family("[7,", told=True), Family("[8,")}
    told = lines.tombstones()
    assert told is not None
    assert families(told.read(said({"gone": [{"id": 7}]}), Window(), None)) == {
        Family('["7",', "tombstone", told=True),
        Family("[7,", "tombstone", told=True),
    }


def test_a_sweep_asks_below_each_order(tmp_path: Path) -> None:
    swept = stream(tmp_path).sweep()
    assert swept is not None
    assert swept.traits.details == 6
    page = below(listed(swept, {"id": 7}, {"id": 8}), o7={"lines": [{"no": 1}, {"no": 2}]}, o8=said({}, 404))
    assert page.keys == ["[7,1]", "[7,2]"]


def test_lines_come_with_orders_that_are_asked_for_one_by_one(tmp_path: Path) -> None:
    lines = stream(tmp_path, WHOLE)
    page = listed(lines, {"id": 7}, 8, 9, 10, name="ids")
    assert page.listed is not None and page.listed.below is not None  # noqa: PT018
    asked = page.listed.below.single("7")
    assert asked is not None
    assert (asked.url, lines.traits.details) == ("https://h.example.com/orders/7", 2)
    order = {"id": 7, "at": "2026-02-01T00:00:00Z", "lines": [{"no": 1}]}
    page = below(
        page,
        o7={"order": order},
        o8={"order": order},
        o9={},
        o10={"order": {"id": 10, "at": None, "lines": []}},
    )
    (record,) = page.records
    assert (record.key, record.cursor) == ("[7,1]", AT)
    assert [bad.code for bad in page.rejected] == ["other_record", "malformed_answer"]
    assert families(page) == {Family("[7,"), Family("[10,")}


def test_an_order_may_have_several_fields_in_its_key(tmp_path: Path) -> None:
    text = (
        MANIFEST.replace(
            "{order: id, changed: at}, by: order}", "{order: id, site: s.no, changed: at}, by: [site, order]}"
        )
        .replace("key: [order,", "key: [site, order,")
        .replace("/orders/{key}/", "/sites/{0}/orders/{1}/")
        .replace(
            '    deletes: {removed: "@removed", tombstones: {path: /gone, records: gone, key: id}}\n', ""
        )
    )
    page = listed(stream(tmp_path, text), {"id": 7, "s": {"no": "A"}})
    assert page.listed is not None and page.listed.below is not None  # noqa: PT018
    (key,) = page.listed.pending
    asked = page.listed.below.single(key)
    assert asked is not None
    assert asked.url == "https://h.example.com/sites/A/orders/7/lines"
    found = with_answers(page, [page.listed.below.read_single(said({"lines": [{"no": 1}]}), key)])
    assert [record.key for record in found.records] == ['["A",7,1]']
    assert families(found) == {Family('["A",7,')}


@pytest.mark.parametrize(
    ("text", "before", "after", "words"),
    [
        (
            MANIFEST,
            '    single: {path: "/orders/{key}/lines", params: {limit: "500"}}\n',
            "",
            "asked for by the key of the entry",
        ),
        (
            MANIFEST,
            "    detail: {concurrency: 6, more: next}\n",
            "",
            "with `detail`, it asks below each of them",
        ),
        (MANIFEST, ", by: order}", "}", "`by`"),
        (MANIFEST, '/lines", params: {limit: "500"}', '/lines", list: true', "not by `list` or `by`"),
        (MANIFEST, "/{key}/lines", "/{0}/lines", r"\{key\}"),
        (MANIFEST, "more: next}", "paging: {}}", "paging"),
        (WHOLE, "concurrency: 2", "whole: true", "this stream has none"),
        (WHOLE, "by: order}", 'by: order}\n    single: {path: "/l/{key}"}', "say `detail`, too"),
        (WHOLE, "path: lines,", 'path: "",', "in which field of a parent"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, text: str, before: str, after: str, words: str) -> None:
    assert before in text
    with pytest.raises(InvalidInput, match=words) as caught:
        stream(tmp_path, text.replace(before, after, 1))
    assert caught.value.place is not None
