"""Cursors that lose nothing, over real HTTP and into Postgres: late records, doubtful ones, tokens, pages that shift."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.postgres import PostgresServer
from servers.systems.demo import Demo
from servers.systems.scripted import Asked, Said, Scripted, scripted_source

from scheduler.beat.upkeep.sweeps import SWEEPS
from scheduler.embedded.valkey import EmbeddedValkey
from scheduler.runs.cursors import CursorState, cursors_of
from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.services import Services

pytestmark = pytest.mark.integration

MANIFEST = """\
manifest: 1
system: office
title: Office
protocol: rest
base_url: "{base_url}"
settings: {base_url: {required: true, description: Where it lives.}}
limits: {concurrency: 4}
defaults: {records: items, key: id, path: /things, total: total}
streams:
  timed: {incremental: {field: at, param: since, overlap: 5m}}
  strict: {incremental: {field: at, param: since, nulls: reject}}
  synced: {incremental: {kind: token, token: delta, param: delta}}
  by_offset: {paging: {offset: {param: offset, limit_param: limit, size: 10}}}
  one_by_one: {paging: {offset: {param: offset, limit_param: limit, size: 10, side_by_side: false}}}
  by_page: {paging: {page: {param: page, size_param: limit, size: 20}}}
"""
DEMO = """\
manifest: 1
system: demo_by_place
title: Demo by its places
protocol: rest
base_url: "{base_url}"
settings: {base_url: {required: true, description: Where it lives.}}
secrets: {token: {description: Its token.}}
auth: {bearer: {secret: token}}
request: {params: {include_deleted: "true"}}
limits: {concurrency: 4}
defaults: {records: data, key: id, path: /api/v1/work_orders, total: total, version: updated_at, deleted: deleted_at}
streams:
  by_offset: {paging: {offset: {param: offset, limit_param: limit, size: 50}}}
  by_page: {paging: {page: {param: page, size_param: per_page, size: 50}}}
"""


def said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@dataclass
class Office:
    """A list of things, in the order in which they lie there; `between` may change it before a request is answered."""

    things: list[dict[str, Any]] = field(default_factory=list)
    between: Callable[["Office"], None] = lambda _office: None
    refuses: Callable[[dict[str, str]], Said | None] = lambda _query: None
    ahead: float | None = None
    """By how much its clock is ahead, as its Date header says."""
    tokens: list[str] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    def put(self, key: int, at: datetime | None = None, **more: Any) -> None:
        self.things = [thing for thing in self.things if thing["id"] != key]
        self.things.append({"id": key, "at": None if at is None else said(at), **more})

    def delete(self, key: int) -> None:
        self.things = [thing for thing in self.things if thing["id"] != key]

    def __call__(self, asked: Asked) -> Said:
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}
        self.asked.append(query)
        if (refusal := self.refuses(query)) is not None:
            return refusal
        self.between(self)
        found = self.things
        if "since" in query:
            found = [thing for thing in found if thing["at"] is None or thing["at"] >= query["since"]]
        if "limit" in query:
            size = int(query["limit"])
            begin = int(query["offset"]) if "offset" in query else (int(query["page"]) - 1) * size
            found = found[begin : begin + size]
        body = {"items": found, "total": len(self.things), "delta": self.tokens[-1] if self.tokens else None}
        headers = {"Content-Type": "application/json"}
        if self.ahead is not None:
            shown = datetime.now(UTC) + timedelta(seconds=self.ahead)
            headers["Date"] = format_datetime(shown.replace(microsecond=0), usegmt=True)
        return Said(json.dumps(body).encode(), headers=headers)


@dataclass
class Bench:
    """One connection to the office, whose runs are carried out here."""

    services: Services
    source: Scripted
    office: Office
    connection: int

    def stream(self, name: str, **options: Any) -> int:
        row = self.services.database.one(
            "INSERT INTO streams (connection_id, name, bucket, schedule, history_done_at, options)"
            " VALUES (%(c)s, %(name)s, 3, '{\"every\": 60}', now(), %(options)s) RETURNING id",
            {"c": self.connection, "name": name, "options": Jsonb(options)},
        )
        assert row is not None
        return int(row["id"])

    def sync(self, stream: int) -> dict[str, Any]:
        with self.services.database.transaction() as tx:
            run = request_run(
                tx, stream_id=stream, system="office", lane=Lane.ON_DEMAND, cause="cli", request_id="r"
            ).id
        return self.carry_out(run)

    def carry_out(self, run: UUID) -> dict[str, Any]:
        self.services.database.run("UPDATE runs SET not_before = now() WHERE id = %(run)s", {"run": run})
        carry_out(self.services, run)
        for table in ("run_history", "runs"):
            row = self.services.database.one(f"SELECT * FROM {table} WHERE id = %(run)s", {"run": run})
            if row is not None:
                return dict(row)
        raise AssertionError("the run is nowhere")

    def row(self, statement: str, **params: Any) -> dict[str, Any]:
        row = self.services.database.one(statement, params)
        assert row is not None
        return dict(row)

    def keys(self, stream: int) -> set[int]:
        rows = self.services.database.all(
            "SELECT key FROM records WHERE stream_id = %(s)s AND deleted_at IS NULL", {"s": stream}
        )
        return {int(row["key"]) for row in rows}

    def state(self, name: str) -> CursorState:
        connection = {"id": self.connection, "name": "o"}
        (state,) = cursors_of(self.services.database, self.services.registry, connection, name)
        return state


@pytest.fixture(scope="module")
def services(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    """Of all tests here: each has a connection of its own, and nothing else is there."""
    folder = tmp_path_factory.mktemp("connectors")
    for system, text in (("office", MANIFEST), ("demo_by_place", DEMO)):
        (folder / system).mkdir()
        (folder / system / "manifest.yaml").write_text(text)
    with postgres_server.fresh_database() as url:
        opened = Services.open(
            load_settings(
                database_url=SecretStr(url), broker_url=SecretStr(valkey_server.url), connectors=(folder,)
            ),
            name="test",
        )
        yield opened
        opened.close()


@pytest.fixture
def bench(services: Services) -> Iterator[Bench]:
    for table in ("connections", "runs", "run_history", "records"):
        services.database.run(f"DELETE FROM {table}")
    office = Office()
    with scripted_source(office) as source:
        row = services.database.one(
            "INSERT INTO connections (name, system, settings) VALUES ('o', 'office', %(s)s) RETURNING id",
            {"s": Jsonb({"base_url": source.base_url})},
        )
        assert row is not None
        yield Bench(services, source, office, row["id"])


@pytest.fixture
def watermark(bench: Bench) -> tuple[int, datetime]:
    """A stream that was read up to a time, twice: what comes behind it now is late."""
    stream, at = bench.stream("timed"), datetime.now(UTC) - timedelta(hours=1)
    bench.office.put(1, at)
    for _ in range(2):
        assert bench.sync(stream)["state"] == "succeeded"
    return stream, at


class TestLateness:
    def test_a_record_behind_the_watermark_is_counted_by_how_late_it_came(
        self, bench: Bench, watermark: tuple[int, datetime]
    ) -> None:
        stream, at = watermark
        bench.office.put(2, at - timedelta(seconds=100))
        bench.office.put(3, at + timedelta(seconds=1))
        assert bench.sync(stream)["records_created"] == 2
        state = bench.state("timed")
        assert state.came_late == 1
        assert 100 <= state.as_json()["p999"] <= 119
        assert state.look_back == 300, "well within the overlap"
        bench.sync(stream)
        assert bench.state("timed").came_late == 1, "what was read again came late once"

    def test_what_comes_near_the_edge_widens_the_next_look(
        self, bench: Bench, watermark: tuple[int, datetime]
    ) -> None:
        stream, at = watermark
        bench.office.put(2, at - timedelta(seconds=290))
        bench.sync(stream)
        assert bench.state("timed").look_back == 600
        bench.office.put(3, at - timedelta(seconds=550))
        assert bench.sync(stream)["records_created"] == 1, "it would never have been read"
        assert bench.office.asked[-1]["since"] == (at - timedelta(seconds=600)).strftime(
            "%Y-%m-%dT%H:%M:%S.%fZ"
        )
        assert bench.state("timed").look_back == 1200

    def test_it_never_widens_beyond_what_is_allowed_and_says_so(self, bench: Bench) -> None:
        stream = bench.stream("timed", look_back={"of": "time", "most": 400.0})
        at = datetime.now(UTC) - timedelta(hours=1)
        bench.office.put(1, at)
        bench.sync(stream)
        bench.office.put(2, at - timedelta(seconds=290))
        bench.sync(stream)
        state = bench.state("timed")
        assert state.look_back == 400
        assert any("raise `look_back" in words for words in state.warnings())

    def test_nothing_is_late_in_the_very_first_run_nor_while_the_history_comes_in(self, bench: Bench) -> None:
        stream = bench.stream("timed")
        bench.services.database.run("UPDATE streams SET history_done_at = NULL")
        now = datetime.now(UTC)
        bench.office.put(1, now - timedelta(days=1, seconds=60))
        bench.sync(stream)
        bench.office.put(2, now - timedelta(days=1, seconds=120))
        bench.sync(stream)
        assert 2 in bench.keys(stream)
        assert bench.state("timed").came_late == 0

    def test_what_came_late_long_ago_is_forgotten_and_the_look_back_with_it(
        self, bench: Bench, watermark: tuple[int, datetime]
    ) -> None:
        stream, at = watermark
        bench.office.put(2, at - timedelta(seconds=290))
        bench.sync(stream)
        database = bench.services.database
        database.run("UPDATE cursor_lateness SET day = current_date - 31")
        next(sweep for sweep in SWEEPS if sweep.name == "lateness").run(bench.services)
        assert bench.row("SELECT look_back FROM streams")["look_back"] is None
        assert database.all("SELECT FROM cursor_lateness") == []


class TestNulls:
    def test_records_without_a_cursor_are_stored_counted_and_told(self, bench: Bench) -> None:
        stream = bench.stream("timed")
        for key in range(3):
            bench.office.put(key)
        assert bench.sync(stream)["state"] == "succeeded"
        assert bench.keys(stream) == {0, 1, 2}
        state = bench.state("timed")
        assert state.as_json()["without_cursor"] == 3
        assert any("without a cursor" in words for words in state.warnings())
        bench.office.put(9, datetime.now(UTC))
        assert bench.sync(stream)["records_created"] == 1
        assert bench.state("timed").as_json()["without_cursor"] == 3, "unchanged ones are counted once"

    def test_they_are_set_aside_where_the_manifest_rejects_them(self, bench: Bench) -> None:
        stream = bench.stream("strict")
        bench.office.put(1)
        bench.office.put(2, datetime.now(UTC))
        assert bench.sync(stream)["state"] == "partial"
        assert bench.keys(stream) == {2}
        assert bench.row("SELECT code, key FROM quarantine") == {"code": "no_cursor", "key": "1"}


class TestTokens:
    def test_the_last_pages_token_asks_for_what_comes_next(self, bench: Bench) -> None:
        stream, office = bench.stream("synced"), bench.office
        office.tokens.append("t 1")
        office.put(1)
        bench.sync(stream)
        office.tokens.append("t 2")
        bench.sync(stream)
        bench.sync(stream)
        assert [asked.get("delta") for asked in office.asked] == [None, "t 1", "t 2"]
        assert "t 2" not in str(bench.state("synced").as_json()), "a token may open doors"

    def test_one_that_is_refused_has_everything_read_anew(self, bench: Bench) -> None:
        stream, office = bench.stream("synced"), bench.office
        office.tokens.append("t1")
        bench.sync(stream)
        office.put(7)
        office.refuses = lambda query: (
            Said(b'{"error":"resync"}', 410) if query.get("delta") == "t1" else None
        )
        office.tokens.append("t2")
        assert bench.sync(stream)["state"] == "succeeded"
        assert [asked.get("delta") for asked in office.asked] == [None, "t1", None]
        assert bench.keys(stream) == {7}
        bench.sync(stream)
        assert office.asked[-1]["delta"] == "t2"
        assert any("refused 1 times" in words for words in bench.state("synced").warnings())

    def test_any_other_refusal_is_the_runs_failure(self, bench: Bench) -> None:
        stream, office = bench.stream("synced"), bench.office
        office.tokens.append("t1")
        bench.sync(stream)
        office.refuses = lambda query: Said(b"{}", 403) if query.get("delta") == "t1" else None
        assert bench.sync(stream)["error_code"] == "auth_refused"
        assert bench.row("SELECT watermark FROM cursors")["watermark"] == {"token": "t1"}


class TestClock:
    @pytest.mark.parametrize("ahead", [-1000.0, 1000.0])
    def test_the_cursor_goes_by_the_clock_of_the_source(self, bench: Bench, ahead: float) -> None:
        stream, office = bench.stream("timed"), bench.office
        office.ahead = ahead
        bench.sync(stream)
        assert bench.row("SELECT clock_skew FROM connections")["clock_skew"] == pytest.approx(ahead, abs=2.5)
        before = bench.row("SELECT xmin::text AS xmin FROM connections")
        theirs = datetime.now(UTC) + timedelta(seconds=ahead)
        office.put(1, theirs + timedelta(minutes=10))
        bench.sync(stream)
        reached = datetime.fromisoformat(bench.row("SELECT watermark FROM cursors")["watermark"])
        assert abs(reached - theirs) < timedelta(seconds=10)
        assert bench.keys(stream) == {1}, "what lies beyond is stored"
        assert bench.row("SELECT xmin::text AS xmin FROM connections") == before, (
            "written though it didn't move"
        )
        fresh = bench.row("SELECT last_success_at FROM streams")["last_success_at"]
        assert abs(fresh - datetime.now(UTC)) < timedelta(seconds=10)

    def test_a_change_at_a_source_whose_clock_is_days_behind_is_found(self, bench: Bench) -> None:
        stream, office = bench.stream("timed"), bench.office
        office.ahead = -3 * 86_400.0
        bench.sync(stream)
        office.put(1, datetime.now(UTC) + timedelta(seconds=office.ahead))
        bench.sync(stream)
        assert bench.keys(stream) == {1}
        assert any("more than a day off" in words for words in bench.state("timed").warnings())


SHIFTING = ["by_offset", "one_by_one", "by_page"]


class TestShiftingPages:
    @pytest.mark.parametrize("name", SHIFTING)
    def test_what_slips_into_a_page_that_was_read_is_read_all_the_same(self, bench: Bench, name: str) -> None:
        stream, office = bench.stream(name), bench.office
        for key in range(95):
            office.put(key)
        doomed = iter(range(0, 95, 7))

        def delete(changed: Office) -> None:
            if (key := next(doomed, None)) is not None and len(changed.asked) > 1:
                changed.delete(key)

        office.between = delete
        assert bench.sync(stream)["state"] == "succeeded"
        kept = {thing["id"] for thing in office.things}
        assert kept <= bench.keys(stream)
        assert any("changed places" in words for words in bench.state(name).warnings())

    @pytest.mark.parametrize("name", SHIFTING)
    def test_a_list_that_stays_is_read_without_going_back(self, bench: Bench, name: str) -> None:
        stream, office = bench.stream(name), bench.office
        for key in range(95):
            office.put(key)
        run = bench.sync(stream)
        assert bench.keys(stream) == set(range(95))
        assert (run["records_read"], run["records_created"]) == (95, 95)
        assert bench.state(name).row["doubts"] == []

    @pytest.mark.parametrize("name", SHIFTING)
    def test_an_interrupted_reading_goes_on_only_where_it_can_be_seen_to(
        self, bench: Bench, name: str
    ) -> None:
        stream, office = bench.stream(name), bench.office
        for key in range(95):
            office.put(key)

        def break_down(query: dict[str, str]) -> Said | None:
            begin = (
                int(query["offset"]) if "offset" in query else (int(query["page"]) - 1) * int(query["limit"])
            )
            return Said(b"{}", 500) if begin > 50 else None

        office.refuses = break_down
        run = bench.sync(stream)
        assert run["wait_reason"] == "retry"
        assert bench.keys(stream) > set(range(40))
        for key in range(0, 30, 2):
            office.delete(key)
        office.refuses = lambda _query: None
        assert bench.carry_out(run["id"])["state"] == "succeeded"
        assert {thing["id"] for thing in office.things} <= bench.keys(stream)

    @pytest.mark.parametrize(("age", "again"), [("2 hours", True), ("1 minute", False)])
    def test_a_place_that_is_hours_old_is_given_up(self, bench: Bench, age: str, again: bool) -> None:
        stream, office = bench.stream("one_by_one"), bench.office
        for key in range(95):
            office.put(key)
        office.refuses = lambda query: Said(b"{}", 500) if int(query["offset"]) > 50 else None
        run = bench.sync(stream)
        office.refuses = lambda _query: None
        bench.services.database.run(f"UPDATE cursors SET updated_at = now() - interval '{age}'")
        office.asked.clear()
        bench.carry_out(run["id"])
        assert (office.asked[0]["offset"] == "0") is again
        assert bench.keys(stream) == set(range(95))

    @pytest.mark.parametrize("name", SHIFTING)
    def test_a_bad_record_at_the_seam_of_two_pages_stops_neither(self, bench: Bench, name: str) -> None:
        stream, office = bench.stream(name), bench.office
        for key in range(95):
            office.put(key)
        for place in range(9, 40):
            office.things[place] = {"id": None, "name": place}
        run = bench.sync(stream)
        assert (run["state"], run["error_code"]) == ("partial", "records_set_aside")
        assert bench.row("SELECT count(*) AS n FROM quarantine")["n"] == 31
        assert bench.keys(stream) == set(range(95)) - set(range(9, 40))

    @pytest.mark.parametrize("name", SHIFTING)
    def test_one_record_that_never_rests_at_the_seam_of_two_pages_stops_neither(
        self, bench: Bench, name: str
    ) -> None:
        stream, office = bench.stream(name), bench.office
        for key in range(95):
            office.put(key)

        def count(changed: Office) -> None:
            for place in (9, 18, 27):
                changed.things[place]["hours"] = len(changed.asked)

        office.between = count
        assert bench.sync(stream)["state"] == "succeeded"
        assert bench.keys(stream) == set(range(95))

    def test_a_list_that_never_rests_ends_in_a_wait_and_not_for_ever(self, bench: Bench) -> None:
        stream, office = bench.stream("one_by_one"), bench.office

        def anew(changed: Office) -> None:
            first = len(changed.asked) * 1000
            changed.things = [{"id": first + n, "at": None} for n in range(95)]

        office.between = anew
        run = bench.sync(stream)
        assert (run["state"], run["wait_reason"], run["error_code"]) == ("queued", "retry", "pages_shift")
        run = bench.carry_out(run["id"])
        assert (run["state"], run["error_code"]) == ("failed", "pages_shift"), (
            "though each time it committed pages"
        )
        office.between = lambda _office: None
        assert bench.sync(stream)["state"] == "succeeded", "and the next one begins anew"
        assert {thing["id"] for thing in office.things} <= bench.keys(stream)


def test_bytes_that_postgres_cannot_open_stay_beside_a_copy_that_it_can(bench: Bench) -> None:
    stream = bench.stream("by_offset")
    sent = rb'{"id": 2, "text": "a\u0000b \ud800"}'
    good = [b'{"id": 1,  "text": "\xc3\xbc"}', b'{"id":3}']
    bench.source.script = lambda _asked: Said(b'{"items": [' + b", ".join([good[0], sent, good[1]]) + b"]}")
    assert bench.sync(stream)["state"] == "succeeded"
    rows = bench.services.database.all(
        "SELECT key, raw::text AS raw, raw::jsonb ->> 'text' AS text, exact FROM records ORDER BY key"
    )
    assert [row["raw"].encode() for row in rows] == [
        good[0],
        rb'{"id": 2, "text": "a\ufffdb \ufffd"}',
        good[1],
    ]
    assert [row["exact"] and bytes(row["exact"]) for row in rows] == [None, sent, None]
    assert rows[1]["text"] == "a\ufffdb \ufffd"


@pytest.mark.parametrize("name", ["by_offset", "by_page"])
def test_the_demo_system_is_copied_whole_while_it_shifts_its_pages(
    bench: Bench, tmp_path: Path, name: str
) -> None:
    demo = Demo(tmp_path / "demo", "--rate", "0", "--factor", "0.3", "--requests", "0").start()
    try:
        bench.services.database.run(
            "UPDATE connections SET system = 'demo_by_place', settings = %(s)s, secrets = %(t)s",
            {
                "s": Jsonb({"base_url": demo.base_url}),
                "t": Jsonb({"token": f"file://{demo.token_file}"}),
            },
        )
        before, _ = demo.truth("work_orders")
        shifting = {"shifting_pages": {"insert": 1, "touch": 3}, "entity": "work_orders", "count": 12}
        demo.control("POST", "faults", shifting)
        stream = bench.stream(name)
        assert bench.sync(stream)["state"] == "succeeded"
        assert {int(key) for key in before} <= bench.keys(stream), "what was there all the time was not read"
        assert [doubt["reason"] for doubt in bench.state(name).row["doubts"]] == ["pages_shifted"]
    finally:
        demo.client.close()
        demo.kill()
