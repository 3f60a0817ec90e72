"""What a manifest says of a cursor: its kind, its precision, and what doesn't go together."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import TOKEN_EXPIRED, Request, Response, Stream, Window
from worker.connectors.cursors import PRECISION_OF
from worker.connectors.manifest.model import Manifest, load_manifest
from worker.connectors.paging.counted import ByNumber, ByNumberAndSize, ByOffset
from worker.errors import InvalidInput, NeedsOperator, Transient

BASE = "https://shop.example.com/api"
AROUND = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: "https://shop.example.com/api"
defaults: {records: data, key: id, path: /parts}
streams:
  parts: {%s}
"""


def load(folder: Path, stream: str) -> Manifest:
    path = folder / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(AROUND % stream)
    return load_manifest(path)


def stream_of(folder: Path, stream: str) -> Stream:
    return ManifestConnector(load(folder, stream)).bind({}).stream("parts")


def answer(body: bytes, status: int = 200) -> Response:
    return Response(status, {}, body, BASE + "/parts")


@pytest.mark.parametrize("form", sorted(PRECISION_OF))
def test_every_form_of_time_looks_back_by_a_unit_of_its_precision_at_least(tmp_path: Path, form: str) -> None:
    traits = stream_of(
        tmp_path, f"incremental: {{field: at, param: since, format: {form}, overlap: 0s}}"
    ).traits
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "d": 86400.0}
    assert traits.overlap == pytest.approx(units[PRECISION_OF[form]])
    assert traits.timestamps


@pytest.mark.parametrize(
    ("said", "overlap"),
    [
        ("field: at, param: since, precision: s, overlap: 0s", 1.0),
        ("field: at, param: since, precision: m, overlap: 5s", 60.0),
        ("field: day, clock: hour, param: since, format: date, overlap: 0s", 86400.0),
        ("field: n, param: since, kind: number", 1.0),
        ("field: n, param: since, kind: number, overlap: 50", 50.0),
    ],
)
def test_the_precision_and_the_kind_say_how_far_at_least(tmp_path: Path, said: str, overlap: float) -> None:
    assert stream_of(tmp_path, f"incremental: {{{said}}}").traits.overlap == overlap


def test_bounds_are_said_to_the_precision(tmp_path: Path) -> None:
    said = "incremental: {field: at, param: since, until_param: until, format: datetime, precision: s}"
    at = datetime(2026, 7, 1, 8, 0, 0, 500_000, tzinfo=UTC)
    asked = dict(stream_of(tmp_path, said).request(Window(at, at), None).params)
    assert asked == {"since": "2026-07-01 08:00:00", "until": "2026-07-01 08:00:01"}


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ("incremental: {param: since}", "needs the field"),
        ("incremental: {kind: token, param: delta}", "needs the token"),
        ("incremental: {kind: token, token: next, field: at}", "says nothing of a token"),
        ("incremental: {kind: token, token: next, overlap: 5m}", "says nothing of a token"),
        ("incremental: {kind: token, token: data.next}", "inside the list"),
        ("incremental: {field: at, param: since, token: next}", "belongs to the kind token"),
        ("incremental: {field: at, param: since, expired: {status: [410]}}", "belongs to the kind token"),
        ("incremental: {field: at, param: since, format: token}", "doesn't fit the kind timestamp"),
        (
            "incremental: {field: at, param: since, kind: number, format: iso8601}",
            "doesn't fit the kind number",
        ),
        (
            "incremental: {field: at, param: since, format: epoch_s, precision: ms}",
            "can't say times that precisely",
        ),
        ("incremental: {field: [a, b], clock: c, param: since, format: date}", "make a moment together"),
        ("incremental: {field: a, clock: c, param: since, format: epoch_s}", "make a moment together"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, stream: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        load(tmp_path, stream)


@pytest.mark.parametrize(
    ("said", "expected", "seam"),
    [
        ("offset: {param: o, limit_param: l, size: 50}", ByOffset("o", "l", 50), "record"),
        (
            "offset: {param: o, limit_param: l, size: 50, stable: true}",
            ByOffset("o", "l", 50, stable=True),
            "none",
        ),
        ("page: {param: p, size_param: l, size: 50}", ByNumberAndSize("p", "l", 50), "record"),
        (
            "page: {param: p, size_param: l, size: 50, stable: true}",
            ByNumber("p", "l", 50, stable=True),
            "none",
        ),
        ("page: {param: p, size_param: l, size: 10}", ByNumber("p", "l", 10), "total"),
        ("page: {param: p, size: 50}", ByNumber("p", None, 50), "total"),
    ],
)
def test_pages_overlap_wherever_they_can_unless_their_order_is_stable(
    tmp_path: Path, said: str, expected: Any, seam: str
) -> None:
    manifest = load(tmp_path, f"paging: {{{said}}}")
    assert manifest.streams["parts"].paging == expected
    assert manifest.streams["parts"].traits.seam == seam


class TestToken:
    BY_PARAM = "incremental: {kind: token, token: delta, param: since, expired: {status: [400, 410], words: [Expired]}}"
    BY_LINK = 'incremental: {kind: token, token: ["@odata.deltaLink"]}'

    def test_it_is_read_from_the_body_and_sent_by_its_parameter(self, tmp_path: Path) -> None:
        stream = stream_of(tmp_path, self.BY_PARAM)
        assert (stream.traits.token, stream.traits.timestamps, stream.traits.overlap) == (True, False, 0.0)
        assert dict(stream.request(Window(), None).params) == {}
        page = stream.read(answer(b'{"data":[{"id":1}],"delta":"a b"}'), Window(), None)
        assert page.token == "a b"
        asked = stream.request(Window(token="a b"), None)
        assert dict(asked.params) == {"since": "a b"}
        assert asked.absent == {400, 410}

    def test_a_link_is_followed_as_it_is(self, tmp_path: Path) -> None:
        stream = stream_of(tmp_path, self.BY_LINK)
        link = BASE + "/parts/delta?token=x%2Fy"
        page = stream.read(answer(b'{"data":[],"@odata.deltaLink":"%s"}' % link.encode()), Window(), None)
        assert page.token == link
        asked: Request = stream.request(Window(token=link), None)
        assert (asked.url, list(asked.params)) == (link, [])

    def test_a_link_to_another_host_is_refused(self, tmp_path: Path) -> None:
        stream = stream_of(tmp_path, self.BY_LINK)
        with pytest.raises(NeedsOperator) as caught:
            stream.request(Window(token="https://evil.example.com/x"), None)
        assert caught.value.code == "next_link_elsewhere"

    def test_one_that_the_system_no_longer_knows_is_told_apart_from_other_refusals(
        self, tmp_path: Path
    ) -> None:
        stream, window = stream_of(tmp_path, self.BY_PARAM), Window(token="old")
        for status, body, code in (
            (410, b'{"error":"The token has EXPIRED."}', TOKEN_EXPIRED),
            (400, b'{"error":"token expired"}', TOKEN_EXPIRED),
            (400, b'{"error":"no such field"}', "request_refused"),
        ):
            with pytest.raises(NeedsOperator) as caught:
                stream.read(answer(body, status), window, None)
            assert caught.value.code == code

    def test_one_of_another_kind_is_a_malformed_page(self, tmp_path: Path) -> None:
        with pytest.raises(Transient):
            stream_of(tmp_path, self.BY_PARAM).read(answer(b'{"data":[],"delta":{}}'), Window(), None)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("lag: 30s", "say by overlap how many"),
        ("overlap: 5m", "overlap must be a number"),
        ("precision: s", "numbers are whole"),
        ("until_param: to", "a number says nothing about now"),
    ],
)
def test_what_is_said_of_times_says_nothing_of_numbers(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        load(tmp_path, f"incremental: {{field: n, kind: number, param: since, {said}}}")
    assert caught.value.place == f"{tmp_path}/shop/manifest.yaml:8"
