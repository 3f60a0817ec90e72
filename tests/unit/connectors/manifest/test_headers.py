"""What headers of an answer say of pages and changes, as a manifest names them."""

import json
from pathlib import Path

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Response, Stream, Window
from worker.connectors.manifest.model import load_manifest
from worker.connectors.registry.fitting import fits
from worker.errors import InvalidInput, Transient

URL = "https://shop.example.com/api/parts"
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
BY_ETAG = "incremental: {kind: token, token: {header: ETag}, header: If-None-Match}"
BY_PARAM = "incremental: {kind: token, token: {header: ETag}, param: s}"
PAGED = "paging: {cursor: {param: c, path: next}}"
BY_TIME = "incremental: {kind: token, token: {header: Last-Modified}, header: If-Modified-Since}"


def written(folder: Path, stream: str, name: str = "shop") -> Path:
    path = folder / name / "shop" / "manifest.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(AROUND % stream)
    return path


def stream_of(folder: Path, stream: str) -> Stream:
    return ManifestConnector(load_manifest(written(folder, stream))).bind({}).stream("parts")


def answer(count: int = 0, status: int = 200, body: bytes | None = None, **headers: str) -> Response:
    rows = b",".join(b'{"id":%d}' % n for n in range(count))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, b'{"data":[' + rows + b"]}" if body is None else body, URL)


class TestPages:
    @pytest.mark.parametrize(("said", "goes_on"), [("2", True), ("1", False)])
    def test_their_number_may_stand_in_a_header(self, tmp_path: Path, said: str, goes_on: bool) -> None:
        stream = stream_of(tmp_path, "paging: {page: {param: p, size: 5, pages: {header: X-Total-Pages}}}")
        page = stream.read(answer(5, x_total_pages=said), Window(), None)
        assert (page.next is not None) is goes_on

    @pytest.mark.parametrize(
        ("said", "goes_on"), [("true", True), ("Yes", True), ("0", False), ("", False), ("false", False)]
    )
    def test_a_header_may_say_whether_there_is_more(self, tmp_path: Path, said: str, goes_on: bool) -> None:
        stream = stream_of(
            tmp_path, "paging: {cursor: {param: c, header: X-Next, more: {header: X-Has-More}}}"
        )
        page = stream.read(answer(1, x_next="abc", x_has_more=said), Window(), None)
        assert (page.next is not None) is goes_on

    @pytest.mark.parametrize(("rel", "goes_on"), [("next", True), ("prev", False)])
    def test_a_short_page_of_a_keyset_goes_on_where_a_link_header_says_next(
        self, tmp_path: Path, rel: str, goes_on: bool
    ) -> None:
        keyset = "keyset: {order: id, param: after, size: 10, link: {header: Link}}"
        stream = stream_of(tmp_path, f"paging: {{{keyset}}}")
        page = stream.read(answer(2, link=f'<{URL}?after=1>; rel="{rel}"'), Window(), None)
        assert (page.next is not None) is goes_on

    def test_the_total_may_stand_in_a_header(self, tmp_path: Path) -> None:
        stream = stream_of(tmp_path, "total: {header: X-Total-Count}")
        assert stream.read(answer(2, x_total_count="17"), Window(), None).total == 17

    def test_a_list_of_values_of_a_sweep_is_written_as_the_system_wants_it(self, tmp_path: Path) -> None:
        said = "deletes: {sweep: {params: {fields: [id, version]}}}, arrays: comma"
        sweep = stream_of(tmp_path, said).sweep()
        assert sweep is not None
        assert dict(sweep.request(Window(), None).params) == {"fields": "id,version"}


class TestToken:
    def test_an_etag_is_kept_and_sent_in_a_header(self, tmp_path: Path) -> None:
        stream = stream_of(tmp_path, BY_ETAG)
        first = stream.request(Window(), None)
        assert ("If-None-Match" in first.headers, first.absent) == (False, frozenset())
        assert stream.read(answer(1, etag='W/"7"'), Window(), None).token == 'W/"7"'
        asked = stream.request(Window(token='W/"7"'), None)
        assert asked.headers["If-None-Match"] == 'W/"7"'
        assert 304 in asked.absent

    def test_304_is_a_last_page_on_which_nothing_is_new(self, tmp_path: Path) -> None:
        page = stream_of(tmp_path, BY_ETAG).read(answer(status=304, body=b""), Window(token="x"), None)
        assert (page.records, page.next, page.token, page.unchanged) == ([], None, None, True)

    def test_behind_a_page_with_records_nothing_new_makes_no_sense(self, tmp_path: Path) -> None:
        said = "incremental: {kind: token, token: {header: X-Sync}, param: sync, unchanged: [204]}"
        stream = stream_of(tmp_path, said + ", paging: {cursor: {param: c, path: next}}")
        assert stream.read(answer(status=204, body=b""), Window(token="x"), None).unchanged
        with pytest.raises(Transient):
            stream.read(answer(status=204, body=b""), Window(token="x"), {"cursor": "c"})

    def test_of_several_pages_the_first_says_since_when_the_next_window_asks(self, tmp_path: Path) -> None:
        """A record of the first page may change while the second is read."""
        said = "incremental: {kind: token, token: {header: ETag}, param: _since}"
        stream = stream_of(tmp_path, said + ", paging: {next_link: {header: Next-Page}}")
        first = stream.read(answer(1, etag='"1"', next_page=URL + "?p=2"), Window(token='"0"'), None)
        place = json.loads(json.dumps(first.next))
        assert stream.request(Window(token='"0"'), place).url == URL + "?p=2"
        second = stream.read(answer(1, etag='"2"', next_page=URL + "?p=3"), Window(token='"0"'), place)
        last = stream.read(answer(1, etag='"3"'), Window(token='"0"'), second.next)
        assert (last.next, last.token) == (None, '"1"')

    def test_where_the_time_of_the_first_page_is_too_young_no_later_one_counts_either(
        self, tmp_path: Path
    ) -> None:
        """The first page may have changed again in that second, before the time that a later page says."""
        said = "incremental: {kind: token, token: {header: Last-Modified}, param: since}"
        stream = stream_of(tmp_path, said + ", paging: {next_link: {header: Next-Page}}")
        young, late = "Sat, 31 Jan 2026 08:00:00 GMT", "Sat, 31 Jan 2026 08:00:05 GMT"
        first = answer(1, last_modified=young, date=young, next_page=URL + "?p=2")
        place = stream.read(first, Window(token="x"), None).next
        last = stream.read(answer(1, last_modified=young, date=late), Window(token="x"), place)
        assert (last.next, last.token) == (None, None)

    def test_one_that_leads_from_page_to_page_is_the_last_page_s(self, tmp_path: Path) -> None:
        said = "incremental: {kind: token, token: {header: X-At}, param: at}"
        paging = "paging: {cursor: {param: at, header: X-At, more: more}}"
        stream = stream_of(tmp_path, f"{said}, {paging}")
        first = stream.read(answer(body=b'{"data":[],"more":true}', x_at="1"), Window(), None)
        last = stream.read(answer(body=b'{"data":[],"more":false}', x_at="2"), Window(), first.next)
        assert (last.next, last.token) == (None, "2")

    @pytest.mark.parametrize(
        ("modified", "date", "kept"),
        [
            ("Sat, 31 Jan 2026 08:00:00 GMT", "Sat, 31 Jan 2026 08:00:01 GMT", True),
            ("Sat, 31 Jan 2026 08:00:00 GMT", "Sat, 31 Jan 2026 08:00:00 GMT", False),
            ("Sat, 31 Jan 2026 08:00:00 GMT", "", False),
            ("yesterday", "Sat, 31 Jan 2026 08:00:00 GMT", False),
        ],
    )
    def test_a_time_of_change_counts_once_its_second_is_over(
        self, tmp_path: Path, modified: str, date: str, kept: bool
    ) -> None:
        page = stream_of(tmp_path, BY_TIME).read(answer(1, last_modified=modified, date=date), Window(), None)
        assert page.token == (modified if kept else None)

    def test_one_in_another_header_is_another_cursor(self, tmp_path: Path) -> None:
        by_etag, by_time, whole = (
            load_manifest(written(tmp_path, said, name))
            for name, said in (("a", BY_ETAG), ("b", BY_TIME), ("c", "title: All"))
        )
        assert not fits(by_etag, by_time)["parts"].cursor
        assert not fits(by_etag, whole)["parts"].cursor
        assert fits(by_etag, by_etag)["parts"].cursor

    def test_an_etag_of_another_question_is_another_cursor(self, tmp_path: Path) -> None:
        """Its answer hasn't changed, and holds other fields."""
        before, after = (
            load_manifest(written(tmp_path, f"{BY_ETAG}, params: {{fields: {said}}}", name))
            for said, name in (("id", "a"), ("all", "b"))
        )
        assert not fits(before, after)["parts"].cursor


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (
            BY_ETAG + ", paging: {cursor: {param: c, path: next}}",
            "manifest.yaml:8: In streams.parts: If-None-Match asks about one answer",
        ),
        (
            "incremental: {kind: token, token: {header: X-S}, header: X-S, param: s}",
            "by a parameter (param) or by a header",
        ),
        ("incremental: {field: at, param: s, header: X-Since}", "header belongs to the kind token."),
        ("incremental: {field: at, param: s, unchanged: [304]}", "unchanged belongs to the kind token."),
        (
            "incremental: {kind: token, token: next, template: '<{value}>'}",
            "template says what param or header",
        ),
        (
            f"{PAGED}, deletes: {{tombstones: {{path: /gone, {BY_PARAM}}}}}",
            "comes in one answer",
        ),
        ("total: {heder: X-Total}", "Did you mean 'header'?"),
        ("incremental: {kind: token, token: t, param: t, unchanged: [200]}", "must be one of 204, 304"),
    ],
)
def test_what_does_not_go_together_is_told_with_its_line(tmp_path: Path, said: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_manifest(written(tmp_path, said))
    assert complaint in f"{caught.value} {caught.value.hint or ''}"
