"""Cursors that lose nothing, over real HTTP and into Postgres: records without one, tokens, and clocks that are off."""

from datetime import UTC, datetime, timedelta

import pytest
from servers.systems.scripted import Said

from .office import Bench  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


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


class TestNumbers:
    def test_a_change_to_a_page_that_was_read_is_asked_for_though_greater_numbers_came_after_it(
        self, bench: Bench
    ) -> None:
        stream, office = bench.stream("counted"), bench.office
        for key in range(25):
            office.put(key, n=key)

        def change(_: object) -> None:
            if len(office.asked) == 2:  # its first page is away
                office.things[0]["n"], office.things[24]["n"] = 101, 102

        office.between = change
        bench.sync(stream)
        assert bench.row("SELECT max((raw ->> 'n')::int) AS n FROM records") == {"n": 102}
        assert bench.sync(stream)["records_updated"] == 1
        assert bench.row("SELECT raw ->> 'n' AS n FROM records WHERE key = '0'") == {"n": "101"}
        bench.sync(stream)
        assert office.asked[-1]["above"] == "101", "less the look-back of one"


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

    def test_nothing_new_by_an_etag_is_a_run_that_succeeds_and_keeps_it(self, bench: Bench) -> None:
        stream, office = bench.stream("tagged"), bench.office
        office.put(1)
        bench.sync(stream)
        kept = bench.row("SELECT watermark FROM cursors")
        bench.services.database.run("UPDATE streams SET runs_with_records = 99")
        quiet = bench.sync(stream)
        assert (quiet["state"], quiet["records_read"]) == ("succeeded", 0)
        assert bench.row("SELECT watermark FROM cursors") == kept
        office.put(2)
        assert bench.sync(stream)["records_read"] == 2
        assert bench.row("SELECT watermark FROM cursors") != kept

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


def test_a_stream_that_is_read_whole_and_is_empty_all_at_once_is_suspicious_once(bench: Bench) -> None:
    stream = bench.stream("by_offset")
    bench.office.put(1)
    assert bench.sync(stream)["state"] == "succeeded"
    bench.office.things = []
    assert bench.sync(stream)["state"] == "suspicious_empty"
    assert bench.keys(stream) == {1}
    assert bench.sync(stream)["state"] == "succeeded"


def test_a_copy_of_which_everything_is_deleted_may_be_of_an_empty_stream(bench: Bench) -> None:
    stream = bench.stream("by_offset")
    bench.office.put(1)
    assert bench.sync(stream)["state"] == "succeeded"
    bench.services.database.run(
        "UPDATE records SET deleted_at = now(), delete_reason = 'sweep', change_kind = 'deleted'"
    )
    bench.office.things = []
    assert bench.sync(stream)["state"] == "succeeded"
