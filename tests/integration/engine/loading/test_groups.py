"""Pages that are committed together: a slice, and whoever cancels, ends a run between two groups of them."""

import itertools
from typing import Any
from uuid import UUID

import pytest
from servers.systems.bench import Bench
from servers.systems.demo import Demo

from worker.engine.loading.load import Loader
from worker.engine.perform import carry_out
from worker.engine.tracks import history as history_track
from worker.runs.cancel import cancel_run

pytestmark = pytest.mark.integration


def in_groups_of(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are committed together in threes, say, however fast the system answers."""
    real, asked = history_track.grouped, itertools.count(1)

    def grouped(pages: Any, _: Any) -> Any:
        return real(pages, lambda: next(asked) % count != 0, clock=lambda: 0.0)

    monkeypatch.setattr(history_track, "grouped", grouped)


def history_of_many_pages(bench: Bench, demo: Demo) -> tuple[int, UUID]:
    demo.control("POST", "bulk?entity=parts&count=4000&days=10")
    stream = bench.stream("parts")
    carry_out(bench.services, bench.request(stream))
    row = bench.services.database.one("SELECT id FROM runs WHERE track = 'history'")
    assert row is not None
    return stream, row["id"]


def test_a_slice_ends_between_groups_and_no_page_of_a_group_is_read_again(
    bench: Bench, demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, history = history_of_many_pages(bench, demo)
    in_groups_of(3, monkeypatch)
    object.__setattr__(bench.services.settings, "slice", 0.0)
    carry_out(bench.services, history)
    waiting = bench.outcome(history)
    assert (waiting["state"], waiting["wait_reason"], waiting["pages"]) == ("queued", "slice", 3)
    object.__setattr__(bench.services.settings, "slice", 60.0)
    bench.carry_out_ready()
    live, gone = demo.truth("parts")
    assert bench.copy(stream) == live
    assert bench.outcome(history)["records_read"] == len(live) + len(gone)


@pytest.mark.parametrize(("renewed", "pages"), [(True, 3), (False, 6)])
def test_a_cancelled_run_stops_between_groups_or_with_the_one_under_way(
    bench: Bench, demo: Demo, monkeypatch: pytest.MonkeyPatch, renewed: bool, pages: int
) -> None:
    """As soon as its lease is renewed it knows; else the commit of the next group tells."""
    stream, history = history_of_many_pages(bench, demo)
    in_groups_of(3, monkeypatch)
    real = Loader.load_pages

    def cancelled_after(loader: Loader, *arguments: Any) -> Any:
        loaded = real(loader, *arguments)
        cancel_run(bench.services.database, history)
        if renewed:
            bench.services.leases.renew()
        return loaded

    monkeypatch.setattr(Loader, "load_pages", cancelled_after)
    carry_out(bench.services, history)
    ended = bench.outcome(history)
    assert (ended["state"], ended["error_code"], ended["pages"]) == ("cancelled", "cancelled", pages)
    kept = bench.services.database.one(
        "SELECT count(*) AS n FROM records WHERE stream_id = %(s)s AND cause_id = %(run)s",
        {"s": stream, "run": history},
    )
    assert kept == {"n": ended["records_created"]}
    assert ended["records_created"] == ended["records_read"] == pages * 500
