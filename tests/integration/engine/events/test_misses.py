"""The miss meter: which changes a poll found of which no webhook had told, and what follows from it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from servers.rows.events import Events
from servers.systems.mill import Works

from scheduler.beat import meter as judging
from worker.db.queries import sql
from worker.engine.events import meter
from worker.engine.tracks import window
from worker.runs.alive import Alive

pytestmark = pytest.mark.integration


class Webhooks:
    """As the mill's manifest would have them."""

    secret_names: Sequence[str] = ()
    streams = frozenset({"orders"})


@pytest.fixture(autouse=True)
def sends_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Source:
        webhooks = Webhooks()

    def meter_of(database: Any, run: Any, source: Any) -> Any:
        del source
        return meter.meter_of(database, run, Source())  # type: ignore[arg-type]

    monkeypatch.setattr(window, "meter_of", meter_of)


@pytest.fixture(autouse=True)
def listened(works: Works) -> None:
    """For a day there was an API, and the connection is as it was then."""
    listener(works, "-1 day", "0 s")
    works.services.database.run("UPDATE connections SET updated_at = now() - interval '1 day'")


def listener(works: Works, opened: str, seen: str, closed: str | None = None) -> None:
    """An API that was there from the one time to the other; without `closed` it lives, or was killed."""
    works.services.database.run(
        "INSERT INTO webhook_listeners (id, opened_at, seen_at, closed_at) VALUES (gen_random_uuid(),"
        " now() + %(opened)s::interval, now() + %(seen)s::interval, now() + %(closed)s::interval)",
        {"opened": opened, "seen": seen, "closed": closed},
    )


def counted(works: Works) -> tuple[int, int, int]:
    """Changes told of, missed and unheard, once all had their time."""
    database = works.services.database
    database.run(
        "UPDATE untold_changes SET found_at = found_at - interval '1 hour', changed_at = changed_at - interval '1 hour'"
    )
    judging.judge_misses(works.services)
    row = database.one(
        "SELECT coalesce(sum(told), 0)::int AS told, coalesce(sum(missed), 0)::int AS missed,"
        " coalesce(sum(unheard), 0)::int AS unheard FROM webhook_counts"
    )
    assert row is not None
    return row["told"], row["missed"], row["unheard"]


def judged(works: Works) -> tuple[int, int]:
    """Changes told of and missed; none is unheard."""
    told, missed, unheard = counted(works)
    assert unheard == 0
    return told, missed


def test_a_change_that_the_poll_finds_untold_is_a_miss(works: Works, stream: int) -> None:
    works.mill.put("r0003", works.now(), note="new")
    works.live(stream)
    assert judged(works) == (0, 1)
    works.live(stream)
    assert judged(works) == (0, 1), "what is unchanged is missed by nobody"


def test_a_change_that_a_webhook_brought_is_none(works: Works, stream: int, events: Events) -> None:
    works.mill.put("r0003", works.now(), note="new")
    events.tell("r0003")
    works.follow(stream)
    works.live(stream)
    assert judged(works) == (1, 0)


def test_a_webhook_that_waits_while_the_poll_is_faster_told_of_it(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.put("r0003", works.now(), note="new")
    events.tell("r0003")
    works.live(stream)
    assert judged(works) == (1, 0)


def test_a_webhook_that_comes_after_the_poll_in_time_told_of_it(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.put("r0003", works.now(), note="new")
    works.live(stream)
    events.tell("r0003")
    assert judged(works) == (1, 0)


def test_an_old_word_of_a_record_tells_of_no_later_change(works: Works, stream: int, events: Events) -> None:
    events.tell("r0003", received_at=works.now() - timedelta(hours=2))
    works.mill.put("r0003", works.now(), note="new")
    works.live(stream)
    assert judged(works) == (0, 1)


def test_a_word_of_the_whole_stream_told_of_all_of_it(works: Works, stream: int, events: Events) -> None:
    works.mill.put("r0003", works.now(), note="new")
    events.tell(None, "stream")
    works.live(stream)
    assert judged(works) == (1, 0)


def test_a_first_sync_misses_nothing(works: Works) -> None:
    works.mill.put("r0003", works.now())
    works.live(works.stream())
    assert judged(works) == (0, 0)


def test_a_stream_without_webhooks_is_asked_nothing(works: Works) -> None:
    stream = works.stream("lots")
    works.mill.put("r0001", works.now())
    works.live(stream)
    works.mill.put("r0001", works.now(), note="new")
    works.live(stream)
    assert judged(works) == (0, 0)


def test_a_change_is_missed_only_if_somebody_listened_until_its_webhook_was_due(
    works: Works, stream: int
) -> None:
    database = works.services.database

    def found_beside(*listeners: tuple[str, str, str | None]) -> str:
        """What becomes of a change of an hour ago, by who listened when."""
        database.run("DELETE FROM webhook_listeners")
        database.run("DELETE FROM webhook_counts")
        for each in listeners:
            listener(works, *each)
        works.mill.put("r0003", works.now(), note=str(listeners))
        works.live(stream)
        return {(0, 1, 0): "missed", (0, 0, 1): "unheard"}[counted(works)]

    lives = "0 s"
    assert found_beside() == "unheard", "an API was never up"
    assert found_beside(("-1 day", lives, None)) == "missed"
    assert found_beside(("-1 day", "-40 min", "-40 min"), ("-39 min", lives, None)) == "missed", "away later"
    assert found_beside(("-1 day", "-62 min", "-62 min"), ("-3630 s", lives, None)) == "unheard", "before"
    assert found_beside(("-1 day", "-59 min", "-59 min"), ("-40 min", lives, None)) == "unheard", "after"
    assert found_beside(("-1 day", "-59 min", None), ("-40 min", lives, None)) == "unheard", "killed"
    assert found_beside(("-1 day", "-59 min", "-59 min"), ("-61 min", lives, None)) == "missed", (
        "one follows another"
    )


def test_nothing_is_missed_of_a_connection_before_it_is_as_it_is(works: Works, stream: int) -> None:
    works.services.database.run("UPDATE connections SET updated_at = now() - interval '59 minutes'")
    works.mill.put("r0003", works.now(), note="new")
    works.live(stream)
    assert counted(works) == (0, 0, 1)


def test_a_change_whose_time_is_long_ago_is_judged_by_when_it_was_found(works: Works, stream: int) -> None:
    works.mill.put("r0003", works.now() - timedelta(days=20), note="imported with its old time")
    works.resync(stream)
    works.services.database.run(
        "INSERT INTO untold_changes (stream_id, key, changed_at) VALUES (%(s)s, 'r0003', now() - interval '20 days')",
        {"s": stream},
    )
    assert counted(works) == (0, 1, 0)


def test_an_api_says_when_it_is_there_and_when_it_leaves(works: Works) -> None:
    database = works.services.database
    database.run("DELETE FROM webhook_listeners")
    alive, other = Alive(database, "api"), Alive(database, "worker")
    for each in (alive, other):
        each.start()
    [row] = database.all("SELECT opened_at, seen_at, closed_at FROM webhook_listeners")
    assert row["closed_at"] is None
    alive.note()
    alive.stop()
    other.stop()
    [left] = database.all("SELECT opened_at, seen_at, closed_at FROM webhook_listeners")
    assert left["opened_at"] == row["opened_at"] < left["seen_at"] < left["closed_at"]
    database.run("UPDATE webhook_listeners SET seen_at = now() - interval '9 days'")
    database.run(sql.forget_dead_processes)
    assert database.all("SELECT FROM webhook_listeners") == []


def test_a_poll_that_finds_nothing_missed_comes_less_often_and_a_miss_brings_it_back(
    works: Works, stream: int
) -> None:
    database = works.services.database
    database.run('UPDATE streams SET options = \'{"poll": "adaptive"}\' WHERE id = %(s)s', {"s": stream})
    database.run(
        "INSERT INTO webhook_counts (connection_id, stream_id, told) VALUES (%(c)s, %(s)s, 500)",
        {"c": works.connection, "s": stream},
    )
    judging.judge_misses(works.services)
    assert works.row(stream)["poll_stretch"] == 1.5
    judging.judge_misses(works.services)
    assert works.row(stream)["poll_stretch"] == 1.5, "one step in ten minutes"
    database.run("UPDATE streams SET stretched_at = NULL, next_run_at = now() + interval '1 day'")
    works.mill.put("r0003", works.now(), note="new")
    works.live(stream)
    judged(works)
    row = works.row(stream)
    assert row["poll_stretch"] == 1.0
    assert row["next_run_at"] < works.now() + timedelta(minutes=2)


def test_a_change_that_nobody_could_hear_of_brings_the_poll_back_and_spoils_no_share(
    works: Works, stream: int
) -> None:
    """While we are away webhooks bring nothing, so the poll must."""
    database = works.services.database
    database.run(
        'UPDATE streams SET options = \'{"poll": "adaptive"}\', poll_stretch = 8, stretched_at = now() WHERE id = %(s)s',
        {"s": stream},
    )
    database.run("DELETE FROM webhook_listeners")
    works.mill.put("r0003", works.now(), note="new")
    works.live(stream)
    assert counted(works) == (0, 0, 1)
    assert works.row(stream)["poll_stretch"] == 4.0
