"""When is a stream swept? Once its history is done, at its own place in its interval, and not while it is paused or off."""

from datetime import timedelta
from typing import Any

import pytest

from scheduler.beat.deletes import Sweeping
from scheduler.beat.due import place
from worker.engine.perform import carry_out

from .conftest import Desk  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


@pytest.fixture
def stream(desk: Desk) -> int:
    """Synced, and known to beat."""
    found: int = desk.stream("parts")
    desk.do("UPDATE streams SET history_done_at = now(), place = %(p)s", p=place(found))
    return found


def look(desk: Desk, sweeping: Sweeping | None = None) -> list[dict[str, Any]]:
    sweeping = sweeping or Sweeping()
    sweeping.plan(desk.services)
    sweeping.request(desk.services)
    return desk.all("SELECT * FROM runs WHERE track = 'sweep'")


def due(desk: Desk) -> None:
    desk.do("UPDATE streams SET next_sweep_at = now()")


def test_the_first_sweep_is_within_the_interval_at_the_streams_own_place(desk: Desk, stream: int) -> None:
    assert look(desk) == []
    first = desk.row(stream)["next_sweep_at"]
    assert timedelta(0) < desk.row(stream)["sweeps_in"] <= timedelta(days=1)
    desk.do("UPDATE streams SET next_sweep_at = NULL")
    look(desk)
    assert desk.row(stream)["next_sweep_at"] == first


def test_a_due_stream_is_swept_once_in_the_bulk_lane(desk: Desk, stream: int) -> None:
    due(desk)
    for _ in range(2):
        (run,) = look(desk)
    assert (run["queue"], run["lane"], run["cause"]) == ("sync.store.bulk", 4, "schedule")
    assert desk.row(stream)["sweeps_in"] > timedelta(0)


not_swept = pytest.mark.parametrize(
    "change",
    [
        "UPDATE streams SET history_done_at = NULL",
        "UPDATE streams SET enabled = false",
        "UPDATE connections SET paused_at = now()",
        "UPDATE streams SET options = '{\"sweep\": 0}'",
    ],
    ids=["no history yet", "off", "paused", "never"],
)


@not_swept
def test_it_is_not_swept(desk: Desk, stream: int, change: str) -> None:
    due(desk)
    desk.do(change)
    assert look(desk) == []


def test_before_its_history_is_done_a_stream_has_no_time_for_a_sweep(desk: Desk, stream: int) -> None:
    desk.do("UPDATE streams SET history_done_at = NULL")
    look(desk)
    assert desk.row(stream)["next_sweep_at"] is None


@not_swept
def test_nor_where_that_changed_since_beat_last_planned(desk: Desk, stream: int, change: str) -> None:
    due(desk)
    desk.do(change)
    Sweeping().request(desk.services)
    assert desk.all("SELECT * FROM runs") == []


def test_an_interval_that_became_shorter_holds_at_once(desk: Desk, stream: int) -> None:
    desk.do("UPDATE streams SET options = '{\"sweep\": 2592000}'")
    look(desk)
    desk.do("UPDATE streams SET next_sweep_at = now() + interval '20 days', options = '{\"sweep\": 3600}'")
    look(desk)
    assert desk.row(stream)["sweeps_in"] <= timedelta(hours=1)


def test_what_cannot_be_listed_is_not_asked_for_again_until_beat_starts_anew(desk: Desk) -> None:
    stream = desk.stream("pallets")
    desk.do("UPDATE streams SET history_done_at = now()")
    sweeping = Sweeping()
    look(desk, sweeping)
    due(desk)
    (run,) = look(desk, sweeping)
    carry_out(desk.services, run["id"])
    assert desk.outcome(run["id"])["state"] == "succeeded"
    look(desk, sweeping)
    assert desk.row(stream)["sweeps_in"] > timedelta(days=1000)
    look(desk)
    assert desk.row(stream)["sweeps_in"] <= timedelta(days=1)
