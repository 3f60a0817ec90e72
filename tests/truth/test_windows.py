"""A plant's system is asked only while its windows are open, and what was owed meanwhile is owed once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from scheduler.beat.dispatch.pacing import Pacing
from scheduler.beat.dispatch.streams import dispatch_due
from scheduler.beat.due import AT_SPREAD
from worker.engine.ending.settle import SPREAD
from worker.runs.claim import Run
from worker.runs.states import Lane

from .mirror import Mirror  # type: ignore[import-not-found]
from .source import Ambush, Source  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration

ALMOST = timedelta(seconds=4 * SPREAD + 1)
"""Waits are spread by so much, that those who wait for one moment don't come all at once."""

PAGES = 8


@pytest.fixture
def plant(mirror: Mirror, source: Source, token_file: Path) -> Mirror:
    source.begin(seed=1, factor=0.01, epoch=round(datetime.now(UTC).timestamp() * 1000))
    mirror.connect({"token": token_file.as_uri()}, base_url=source.base_url)
    return mirror


def now() -> datetime:
    return datetime.now(UTC)


def wall(moment: datetime) -> str:
    return f"{moment:%H:%M}"


def closed(**more: Any) -> tuple[dict[str, Any], datetime]:
    """Windows that are closed for about an hour more, and when they open."""
    opening = (now() + timedelta(minutes=61)).replace(second=0, microsecond=0)
    option = {
        "timezone": "UTC",
        "allow": [],
        "deny": [{"from": wall(now() - timedelta(hours=1)), "to": wall(opening)}],
    }
    return {**option, "on_demand": True, **more}, opening


def set_windows(plant: Mirror, option: dict[str, Any]) -> None:
    plant.services.database.run(
        "UPDATE streams SET options = %(options)s WHERE id = ANY (%(ids)s)",
        {"options": Jsonb({"windows": option}), "ids": list(plant.streams.values())},
    )


def open_run(plant: Mirror, run: UUID) -> dict[str, Any]:
    row = plant.services.database.one("SELECT * FROM runs WHERE id = %(run)s", {"run": run})
    assert row is not None
    return dict(row)


def test_a_scheduled_run_asks_nothing_of_a_closed_plant_and_waits_for_its_opening(
    plant: Mirror, source: Source
) -> None:
    option, opening = closed()
    set_windows(plant, option)
    run = plant.request("work_orders", lane=Lane.SCHEDULED)
    plant.carry_out(run)
    assert source.asked == []
    waiting = open_run(plant, run)
    assert (waiting["wait_reason"], waiting["attempt"], waiting["error_code"]) == (
        "window",
        0,
        "window_closed",
    )
    assert opening <= waiting["not_before"] <= opening + ALMOST


@pytest.mark.parametrize(("on_demand", "asked"), [(True, True), (False, False)])
def test_a_person_may_ask_at_any_time_unless_the_windows_say_otherwise(
    plant: Mirror, source: Source, *, on_demand: bool, asked: bool
) -> None:
    set_windows(plant, closed(on_demand=on_demand)[0])
    plant.do("work_orders", lane=Lane.ON_DEMAND)
    assert bool(source.asked) == asked


def test_asking_by_hand_ends_the_wait_for_the_window(plant: Mirror) -> None:
    set_windows(plant, closed()[0])
    run = plant.request("work_orders", lane=Lane.SCHEDULED)
    plant.carry_out(run)
    assert plant.request("work_orders", lane=Lane.ON_DEMAND) == run
    plant.carry_out(run)
    assert [ended["state"] for ended in plant.ended("work_orders")] == ["succeeded"]


def test_asking_by_schedule_does_not_end_it(plant: Mirror) -> None:
    option, opening = closed()
    set_windows(plant, option)
    run = plant.request("work_orders", lane=Lane.SCHEDULED)
    plant.carry_out(run)
    assert plant.request("work_orders", lane=Lane.SCHEDULED) == run
    assert open_run(plant, run)["not_before"] >= opening


@pytest.mark.parametrize("track", ["history", "sweep", "records"])
def test_bulk_work_gives_back_at_a_page_when_the_window_closes_and_goes_on_there(
    plant: Mirror, source: Source, monkeypatch: pytest.MonkeyPatch, track: str
) -> None:
    closing = (now() + timedelta(minutes=30)).replace(second=0, microsecond=0)
    option = {
        "timezone": "UTC",
        "allow": [{"from": wall(now() - timedelta(hours=1)), "to": wall(closing)}],
        "deny": [],
    }
    plant.do("work_orders")
    (history,) = plant.open_runs()
    if track != "history":
        plant.carry_out(history)
    set_windows(plant, option)
    run = history if track == "history" else plant.request("work_orders", track=track, lane=Lane.BACKFILL)
    source.asked.clear()

    late = [timedelta(0)]
    clock = Run.now
    monkeypatch.setattr(Run, "now", lambda run: clock(run) + late[0])
    source.ambushes.append(Ambush(2, "after", lambda: late.__setitem__(0, timedelta(minutes=40))))
    plant.carry_out(run)
    assert 2 <= len(source.asked) < PAGES, "it went on, at most by what was under way"
    waiting = open_run(plant, run)
    assert (waiting["wait_reason"], waiting["attempt"]) == ("window", 0)

    late[0] = timedelta(0)
    plant.finish()
    assert plant.copy("work_orders") == source.truth("work_orders")
    assert source.asked.count(source.asked[0]) == 1, "it began anew"


def test_beat_moves_a_point_that_is_closed_to_the_opening_and_owes_one_run(plant: Mirror) -> None:
    option, opening = closed()
    set_windows(plant, option)
    stream = {"id": plant.streams["work_orders"]}
    for _ in range(2):  # the second time Postgres knows the stream's place, and could reckon itself
        plant.services.database.run(
            "UPDATE streams SET next_run_at = now() - interval '3 hours' WHERE id = %(id)s", stream
        )
        assert dispatch_due(plant.services.database, Pacing()) == 1
        row = plant.services.database.one("SELECT next_run_at FROM streams WHERE id = %(id)s", stream)
        assert row is not None
        assert opening <= row["next_run_at"] < opening + AT_SPREAD
    assert dispatch_due(plant.services.database, Pacing()) == 0
    assert len(plant.services.database.all("SELECT FROM runs WHERE track = 'live'")) == 1


def test_without_windows_beat_goes_by_the_interval(plant: Mirror) -> None:
    plant.services.database.run(
        "UPDATE streams SET next_run_at = now() WHERE id = %(id)s", {"id": plant.streams["work_orders"]}
    )
    dispatch_due(plant.services.database, Pacing())
    row = plant.services.database.one(
        "SELECT next_run_at - now() AS ahead FROM streams WHERE id = %(id)s",
        {"id": plant.streams["work_orders"]},
    )
    assert row is not None
    assert timedelta(0) < row["ahead"] <= timedelta(minutes=15)
