"""Times in a form that the manifest spells out."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Response, Stream, Window
from worker.connectors.cursors import format_cursor, parse_cursor
from worker.connectors.manifest.model import load_manifest
from worker.errors import BadRecord, InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")
MORNING = datetime(2026, 1, 31, 7, 5, 9, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "written", "meant"),
    [
        ("%d.%m.%Y %H:%M:%S", "31.01.2026 08:05:09", datetime(2026, 1, 31, 7, 5, 9, tzinfo=UTC)),
        ("%m/%d/%Y %I:%M %p", "01/31/2026 08:05 AM", datetime(2026, 1, 31, 7, 5, tzinfo=UTC)),
        ("%Y%m%d", "20260131", datetime(2026, 1, 30, 23, tzinfo=UTC)),
        ("%Y%m%d%H%M%S", "20260131080509", datetime(2026, 1, 31, 7, 5, 9, tzinfo=UTC)),
        ("%Y-%m-%d %H:%M:%S.%f %z", "2026-01-31 08:05:09.250000 +0100", MORNING),
    ],
)
def test_what_is_written_is_read_and_asked_for_in_the_same_way(
    form: str, written: str, meant: datetime
) -> None:
    assert parse_cursor(written, form, BERLIN) == meant
    assert format_cursor(meant, form, BERLIN) == written


def test_a_window_is_opened_earlier_and_closed_later_than_what_the_form_can_not_say() -> None:
    assert format_cursor(MORNING, "%d.%m.%Y %H:%M") == "31.01.2026 07:05"
    assert format_cursor(MORNING, "%d.%m.%Y %H:%M", round_up=True) == "31.01.2026 07:06"
    assert format_cursor(MORNING, "%Y%m%d", round_up=True) == "20260201"


def test_a_number_may_be_a_time_and_nothing_but_noughts_is_none() -> None:
    assert parse_cursor(20260131, "%Y%m%d") == datetime(2026, 1, 31, tzinfo=UTC)
    assert [parse_cursor(nothing, "%Y%m%d") for nothing in (0, "00000000", "", None)] == [None] * 4


@pytest.mark.parametrize("nonsense", ["31.02.2026", "soon", 7.5, True, ["x"], "31.01.2026 08:00"])
def test_anything_else_is_no_time(nonsense: object) -> None:
    with pytest.raises(BadRecord):
        parse_cursor(nonsense, "%d.%m.%Y")


AROUND = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: "https://shop.example.com"
streams:
  parts: {path: /parts, records: "", key: id, %s}
"""


def stream_of(folder: Path, said: str) -> Stream:
    path = folder / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(AROUND % said)
    return ManifestConnector(load_manifest(path)).bind({}).stream("parts")


def test_a_stream_is_asked_and_read_by_it(tmp_path: Path) -> None:
    said = (
        'incremental: {field: at, param: since, format: "%d.%m.%Y %H:%M", zone: Europe/Berlin}, version: at'
    )
    stream = stream_of(tmp_path, said)
    assert stream.traits.overlap == 300
    assert dict(stream.request(Window(MORNING), None).params) == {"since": "31.01.2026 08:05"}
    body = b'[{"id":1,"at":"31.01.2026 08:05"},{"id":2,"at":"00.00.0000 00:00"},{"id":3,"at":"soon"}]'
    page = stream.read(Response(200, {}, body, "https://shop.example.com/parts"), Window(), None)
    meant = datetime(2026, 1, 31, 7, 5, tzinfo=UTC)
    assert [(record.key, record.cursor) for record in page.records] == [("1", meant), ("2", None)]
    assert [bad.code for bad in page.rejected] == ["bad_cursor"]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ('incremental: {field: at, param: s, format: "%d.%m.%q"}', "%q is no sign of a time. There are %Y"),
        ('incremental: {field: at, param: s, format: "%H:%M"}', "a moment has a year, a month and a day"),
        ('incremental: {field: at, param: s, format: "%Y-%m-%d %I:%M"}', "hours to twelve"),
        (
            'incremental: {field: at, param: s, format: "%Y-%m-%d", precision: s}',
            "can't say times that precisely",
        ),
        (
            'incremental: {field: at, param: s, format: "%Y-%m-%d", kind: number}',
            "doesn't fit the kind number",
        ),
        ('updated_at: {field: at, format: "%Q"}', "%Q is no sign of a time"),
        ("updated_at: {field: at, format: iso8061}", "Did you mean 'iso8601'?"),
    ],
)
def test_a_form_that_says_no_moment_is_told_with_its_line(tmp_path: Path, said: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        stream_of(tmp_path, said)
    assert complaint in f"{caught.value} {caught.value.hint or ''}"
    assert str(caught.value.place).startswith(f"{tmp_path}/shop/manifest.yaml:7")
