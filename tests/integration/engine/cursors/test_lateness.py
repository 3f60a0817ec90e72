"""News that comes late is counted by how late it was, and the next run looks so far back."""

from datetime import UTC, datetime, timedelta

import pytest
from servers.systems.scripted import Said

from scheduler.beat.upkeep.sweeps import SWEEPS

from .office import Bench  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


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

    def test_nothing_is_late_in_a_window_that_was_interrupted(self, bench: Bench) -> None:
        """It was asked for when it was begun, and what came since then may lie anywhere in it."""
        stream, office, at = bench.stream("timed_pages"), bench.office, datetime.now(UTC) - timedelta(hours=1)
        office.put(0, at)
        for _ in range(2):
            bench.sync(stream)
        for key in range(1, 30):
            office.put(key, at + timedelta(seconds=key))
        office.refuses = lambda query: None if query["offset"] == "0" else Said(b"{}", 500)
        run = bench.sync(stream)
        office.refuses = lambda _query: None
        office.put(99, at - timedelta(seconds=100))
        bench.carry_out(run["id"])
        assert bench.keys(stream) == {*range(30), 99}
        assert bench.state("timed_pages").came_late == 0

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
