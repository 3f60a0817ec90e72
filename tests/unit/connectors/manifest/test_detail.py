"""Lists that say only which records there are: what is asked for, and what their entries may be."""

import json
from pathlib import Path
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Response, Stream, Window
from worker.connectors.manifest.model import load_manifest
from worker.errors import InvalidInput

MANIFEST = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: https://h.example.com
streams:
  tickets:
    path: /tickets
    records: ids
    total: total
    key: id
    version: v
    detail: {key: ref.no, concurrency: 6}
    single: {record: ticket}
    incremental: {field: at, param: since, nulls: reject}
    paging: {offset: {param: offset, limit_param: limit, size: 3, stable: true}}
"""


def tickets(folder: Path, text: str = MANIFEST) -> Stream:
    path = folder / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return ManifestConnector(load_manifest(path)).bind({}).stream("tickets")


def answer(body: Any) -> Response:
    return Response(
        200, {}, body if isinstance(body, bytes) else json.dumps(body).encode(), "https://h.example.com"
    )


def test_a_list_gives_keys_and_each_record_comes_by_its_own(tmp_path: Path) -> None:
    stream = tickets(tmp_path)
    page = stream.read(
        answer({"ids": [{"ref": {"no": 7}}, {"ref": {"no": "a b"}}, {}], "total": 9}), Window(), None
    )
    assert page.listed is not None
    assert (page.records, page.listed.pending, page.in_all) == ([], ["7", "a b"], 9)
    assert [bad.code for bad in page.rejected] == ["bad_key"]
    assert page.next == {"offset": 3}
    assert stream.traits.details == 6
    request = stream.single("a b")
    assert request is not None
    assert request.url == "https://h.example.com/tickets/a%20b"
    record = b'{"id":7,"at":"2026-01-31T08:00:00Z","v":3}'
    (found,) = stream.read_single(answer(b'{"ticket": ' + record + b"}"), "7").records
    assert (found.raw, found.version) == (record, 3)


@pytest.mark.parametrize("part", ["list", "sweep"])
def test_an_entry_may_be_the_key_itself(tmp_path: Path, part: str) -> None:
    stream: Stream | None = tickets(tmp_path)
    if part == "sweep":
        stream = stream.sweep() if stream else None
    assert stream is not None
    body = b'{"ids":[ 17, "PO-7",1.5,null,true,"",{"ref":{"no":8}},[9],"\\ud800"]}'
    page = stream.read(answer(body), Window(), None)
    assert page.listed is None if part == "sweep" else page.listed is not None
    keys = page.keys if part == "sweep" else page.listed.pending  # type: ignore[union-attr]
    assert keys == ["17", "PO-7", "8"]
    assert len(page.rejected) == 6


def test_a_sweep_asks_for_no_record(tmp_path: Path) -> None:
    swept = tickets(tmp_path).sweep()
    assert swept is not None
    assert swept.traits.details == 0
    assert swept.read(answer({"ids": [{"ref": {"no": 7}}]}), Window(), None).keys == ["7"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("    single: {record: ticket}\n", "", "the stream needs `single`"),
        ("concurrency: 6", "concurrency: 0", "concurrency"),
        ("    key: id\n", "    key: [id, no]\n", "the key has 2 fields"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert before in MANIFEST
    with pytest.raises(InvalidInput, match=words):
        tickets(tmp_path, MANIFEST.replace(before, after))
