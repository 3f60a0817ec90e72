"""The miss meter: which changes a poll found of which no webhook had told, and what follows from it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from servers.rows.events import Events
from servers.systems.mill import Works

from scheduler.beat import meter as judging
from worker.engine.events import meter
from worker.engine.tracks import window

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


def judged(works: Works) -> tuple[int, int]:
    """Changes told of and missed, once all had their time."""
    works.services.database.run("UPDATE untold_changes SET found_at = found_at - interval '1 hour'")
    judging.judge_misses(works.services)
    row = works.services.database.one(
        "SELECT coalesce(sum(told), 0)::int AS told, coalesce(sum(missed), 0)::int AS missed FROM webhook_counts"
    )
    assert row is not None
    return row["told"], row["missed"]


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
