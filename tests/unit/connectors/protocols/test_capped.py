"""A list of which the system shows no more than so many records of one question."""

import json
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Position, Request, Response, Stream, Window
from worker.connectors.manifest.model import load_manifest
from worker.engine.planning.plan import Plan, advance, is_neighbour
from worker.errors import InvalidInput, NeedsOperator

AROUND = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: "https://shop.example.com"
streams:
  parts: {path: /parts, records: data, key: id, total: count, %s}
"""
BEGIN = datetime(2026, 1, 31, 8, tzinfo=UTC)
CAP = 40
CHANGES = "incremental: {field: at, param: since, ordered: true, precision: s}"
OFFSET = f"paging: {{offset: {{param: o, limit_param: l, size: 10, cap: {CAP}, %s}}}}"
PAGE = f"paging: {{page: {{param: p, size_param: l, size: %d, cap: {CAP}}}}}"


def stream_of(folder: Path, stream: str) -> Stream:
    path = folder / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(AROUND % stream)
    return ManifestConnector(load_manifest(path)).bind({}).stream("parts")


class System:
    """Three records a second, sorted by time. Beyond the cap it refuses."""

    def __init__(self, count: int, *, a_second: int = 3) -> None:
        self.rows = [
            {"id": n, "at": (BEGIN + timedelta(seconds=n // a_second)).isoformat()} for n in range(count)
        ]
        self.asked = 0

    def __call__(self, request: Request) -> Response:
        self.asked += 1
        asked: dict[str, Any] = dict(request.params)
        since = datetime.fromisoformat(asked["since"]) if "since" in asked else BEGIN
        found = [row for row in self.rows if datetime.fromisoformat(str(row["at"])) >= since]
        size = int(asked["l"])
        begin = int(asked["o"]) if "o" in asked else (int(asked["p"]) - 1) * size
        assert begin + size <= CAP, "beyond the cap"
        body = {"data": found[begin : begin + size], "count": len(found)}
        return Response(200, {}, json.dumps(body).encode(), request.url)


@pytest.mark.parametrize(
    "paging", [OFFSET % "stable: true", OFFSET % "stable: false", PAGE % 10, PAGE % 20], ids=str
)
@pytest.mark.parametrize("count", [0, 10, CAP - 1, CAP, CAP + 1, 333])
def test_all_of_it_comes_though_the_system_shows_only_a_part(tmp_path: Path, paging: str, count: int) -> None:
    stream, system = stream_of(tmp_path, f"{paging}, {CHANGES}"), System(count)
    plan, keys, done = Plan(Window(None, BEGIN + timedelta(days=1))), set[str](), False
    while not done:
        assert system.asked <= count
        place: Position | None = json.loads(json.dumps(plan.position))
        page = stream.read(system(stream.request(plan.window, place)), plan.window, place)
        assert is_neighbour(plan, page, stream.traits)
        keys |= {record.key for record in page.records}
        for ahead in stream.onward(place, page, 9):
            system(stream.request(plan.window, ahead))
            system.asked -= 1
        plan, done = advance(plan, page, stream.traits)
    assert keys == {str(row["id"]) for row in system.rows}


def test_smaller_pages_go_on_in_the_same_question(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, f"{OFFSET % 'stable: true'}, {CHANGES}")
    place = {"offset": 20, "from": "2026-01-31T08:00:11.000000Z"}
    changed = stream.resized(2, place)
    assert changed is not None
    assert changed[1] == place
    asked = dict(changed[0].request(Window(), place).params)
    assert asked == {"since": "2026-01-31T08:00:11Z", "o": "20", "l": "5"}


def test_more_records_of_one_moment_than_the_system_shows_are_told(tmp_path: Path) -> None:
    stream, system = stream_of(tmp_path, f"{OFFSET % 'stable: true'}, {CHANGES}"), System(99, a_second=99)
    place: Position | None = None
    for _ in range(7):
        place = stream.read(system(stream.request(Window(), place)), Window(), place).next
    answer = system(stream.request(Window(), place))
    with pytest.raises(NeedsOperator) as caught:
        stream.read(answer, Window(), place)
    assert caught.value.code == "row_cap"


def test_so_are_more_records_than_that_in_the_unit_by_which_they_are_asked_for(tmp_path: Path) -> None:
    """Their cursors differ, and yet each question shows the same ones."""
    stream, system = stream_of(tmp_path, f"{OFFSET % 'stable: true'}, {CHANGES}"), System(99)
    for n, row in enumerate(system.rows):
        row["at"] = (BEGIN + timedelta(milliseconds=n)).isoformat()

    def read_on(place: Position | None) -> Position | None:
        return stream.read(system(stream.request(Window(), place)), Window(), place).next

    with pytest.raises(NeedsOperator, match="so many bear one cursor as it is asked for"):
        reduce(lambda place, _: read_on(place), range(20), None)


@pytest.mark.parametrize("begin", ["2026-01-31T08:00:11.000000Z", None])
def test_where_a_page_has_a_number_the_window_begins_anew_in_another_size(
    tmp_path: Path, begin: str | None
) -> None:
    stream = stream_of(tmp_path, f"{PAGE % 10}, {CHANGES}")
    question = {} if begin is None else {"from": begin}
    numbered = {"page": 2, "so_far": 10, "size": 10, **question}
    found = [stream.resized(2, place) for place in (numbered, question or None)]
    assert [changed and changed[1] for changed in found] == [None, question or None]


def test_a_sweep_goes_beyond_the_cap_in_the_same_way(tmp_path: Path) -> None:
    swept, system = stream_of(tmp_path, f"{OFFSET % 'stable: true'}, {CHANGES}").sweep(), System(99)
    assert swept is not None
    place: Position | None = None
    keys = set[str]()
    while place is not None or not keys:
        page = swept.read(system(swept.request(Window(), place)), Window(), place)
        keys |= {record.key for record in page.records}
        place = page.next
    assert len(keys) == 99


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (OFFSET % "stable: true", "needs incremental with ordered: true"),
        (
            f"{OFFSET % 'stable: true'}, incremental: {{field: at, param: s}}",
            "needs incremental with ordered",
        ),
        (PAGE % 30 + ", " + CHANGES, "two pages of 30 have to fit"),
        (
            f"{OFFSET % 'stable: true'}, {CHANGES}, deletes: {{tombstones: {{path: /gone}}}}",
            "paging of its own, without a cap",
        ),
    ],
)
def test_a_cap_that_nothing_leads_beyond_is_told_with_its_line(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        stream_of(tmp_path, said)
    assert str(caught.value.place).startswith(f"{tmp_path}/shop/manifest.yaml:7")
