"""What looks like the end of a list and may be none."""

import json
from typing import Any

import pytest

from scheduler.connectors.kit.doubts import Came, doubts, doubts_of_one
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Response, Stream, Window
from worker.connectors.manifest.model import Manifest, manifest_in
from worker.parsing.documents import read_document

MANIFEST = """
manifest: 1
system: x
title: X
protocol: rest
base_url: https://x.example.com
auth: {none: {}}
streams:
  orders: {path: /orders, records: data, key: id, total: total%s}
"""
OFFSET = "paging: {offset: {param: offset, limit_param: limit, size: 500}}"
LINK = "paging: {next_link: {path: next, size_param: limit, size: 100}}"
LINK_HEADER = "paging: {next_link: {header: true}}"


def stream_of(paging: str) -> tuple[Manifest, Stream]:
    text = MANIFEST % (f", {paging}" if paging else "")
    manifest = manifest_in(read_document(text.encode(), "manifest.yaml"))
    return manifest, ManifestConnector(manifest).bind({}).stream("orders")


def tried(paging: str, *answers: dict[str, Any], whole: bool = True) -> str:
    """The doubts about answers that came one after the other."""
    manifest, stream = stream_of(paging)
    came: list[Came] = []
    for answer in answers:
        position = came[-1].page.next if came else None
        headers = {"link": answer["link"]} if "link" in answer else {}
        response = Response(200, headers, json.dumps(answer).encode(), "https://x.example.com/orders")
        came.append(Came(stream.read(response, Window(), position), response))
    return " ".join(doubts(manifest.streams["orders"], came, whole=whole))


def rows(count: int, first: int = 0) -> list[dict[str, int]]:
    return [{"id": number} for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("paging", "answer", "words"),
    [
        ("", {"data": rows(100), "total": 100}, "exactly 100 came"),
        ("", {"data": rows(7), "total": 7, "next": "/orders?page=2"}, "{next_link: {path: next}}"),
        ("", {"data": rows(7), "total": 99}, "99 in all, and 7 came"),
        (OFFSET, {"data": rows(100)}, "until_empty: true"),
        (OFFSET, {"data": rows(501), "total": 501}, "501 came on a page, and the manifest says 500: limit isn't heeded"),
        (LINK, {"data": rows(100), "total": 100}, "was full (100) and named no next one"),
        (LINK, {"data": rows(100), "total": 100, "link": '</orders?p=2>; rel="next"'}, "{next_link: {header: true}}"),
        (LINK, {"data": rows(9)}, "total is declared at total, and no number came there"),
        (LINK_HEADER, {"data": rows(50), "total": 50}, "was full (50)"),
    ],
)  # fmt: skip
def test_a_read_that_may_be_cut_short_is_told(paging: str, answer: dict[str, Any], words: str) -> None:
    assert words in tried(paging, answer)


@pytest.mark.parametrize(
    ("paging", "answer"),
    [
        ("", {"data": rows(7), "total": 7}),
        (OFFSET, {"data": rows(7), "total": 7}),
        (OFFSET, {"data": rows(500), "total": 900}),
        (LINK, {"data": rows(99), "total": 99}),
        (LINK, {"data": [], "total": 0}),
    ],
)
def test_a_list_that_is_plainly_whole_or_goes_on_raises_no_doubt(paging: str, answer: dict[str, Any]) -> None:
    assert not tried(paging, answer)


def test_a_page_that_comes_again_is_told() -> None:
    page = {"data": rows(500), "total": 5000}
    assert "Page 2 held the same records" in tried(
        OFFSET.replace("{offset: {", "{offset: {stable: true, "), page, page
    )


def test_a_total_says_nothing_of_what_was_asked_for_in_part() -> None:
    assert not tried("", {"data": rows(7), "total": 99}, whole=False)


def one(body: Any, status: int = 200) -> str:
    """The doubts about the answer for the record of key 7."""
    manifest, stream = stream_of("single: {}")
    response = Response(
        status,
        {"content-type": "application/json"},
        json.dumps(body).encode(),
        "https://x.example.com/orders/7",
    )
    came = Came(stream.read_single(response, "7"), response)
    return " ".join(doubts_of_one(manifest.streams["orders"], came, "7"))


def test_a_record_that_is_said_to_be_gone_is_worth_a_look_at_its_path() -> None:
    assert "404" in one({}, 404)
    assert not one({"id": 7})


def test_where_an_answer_holds_its_record_elsewhere_the_place_is_named() -> None:
    assert "single: {record: data.order}" in one({"paid": True, "data": {"order": {"id": 7}}})


def test_where_all_that_are_counted_came_on_several_pages_there_is_no_doubt() -> None:
    first = {"data": rows(100), "total": 200, "next": "/orders?page=2"}
    assert not tried(LINK, first, {"data": rows(100, 100), "total": 200})
    more = "paging: {next_link: {path: next, more: more}}"
    assert "named no next one" not in tried(more, {"data": rows(100), "total": 100, "more": False})
