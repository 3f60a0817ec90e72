"""Webhooks are committed together, and none is the worse for it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from servers.systems.knocking import Door
from servers.waiting import wait_until

from scheduler.webhooks import collecting
from scheduler.webhooks.collecting import Collector
from scheduler.webhooks.storing import Event
from worker.connectors.contract import Hint
from worker.errors import Transient

pytestmark = pytest.mark.integration


class Desk:
    """One collector, whose first commit holds all that was given by then."""

    def __init__(self, door: Door) -> None:
        self.door, self.name = door, door.connect()
        self.collector = Collector(door.database)
        row = door.database.one(
            "SELECT id FROM streams WHERE connection_id = %(id)s AND name = 'parts'",
            {"id": door.ids[self.name]},
        )
        assert row
        self.stream = row["id"]

    def event(self, key: str, **more: Any) -> Event:
        hint = Hint(**{"stream": "parts", "kind": "record", "event_key": key, "key": key} | more)
        return Event(self.door.ids[self.name], self.stream, hint, "r")

    def together(self, *given: list[Event]) -> list[Any]:
        """What became of each, all of them in one commit."""
        collector, start = self.collector, self.collector._start

        async def added() -> list[Any]:
            collector._start = lambda: None  # type: ignore[method-assign]
            tasks = [asyncio.create_task(collector.add(events)) for events in given]
            await asyncio.sleep(0)
            start()
            return await asyncio.gather(*tasks, return_exceptions=True)

        return asyncio.run(added())

    def keys(self) -> list[str]:
        return sorted(row["key"] for row in self.door.events(self.name))

    def counted(self, **expected: int) -> None:
        """In the end, and no more than that."""

        def found() -> bool:
            row = self.door.database.one(
                "SELECT sum(received)::int AS received, sum(repeated)::int AS repeated, sum(refused)::int AS refused"
                " FROM webhook_counts WHERE connection_id = %(id)s",
                {"id": self.door.ids[self.name]},
            )
            return row == {"received": 0, "repeated": 0, "refused": 0} | expected

        wait_until(found, 20, what=f"{expected} to be counted")


@pytest.fixture
def desk(door: Door) -> Iterator[Desk]:
    made = Desk(door)
    yield made
    made.collector.close()


def test_one_that_can_not_be_stored_fails_alone(desk: Desk) -> None:
    poison = desk.event("poison", type="a NUL \0 that nobody looked for")
    first, second, third = desk.together([desk.event("a")], [desk.event("b"), poison], [desk.event("c")])
    assert (first, third) == (1, 1)
    assert isinstance(second, Transient), "nothing of a webhook is stored, or all of it: it comes again"
    assert desk.keys() == ["a", "c"]
    desk.counted(received=2)


def test_while_postgres_is_away_all_hear_of_it_and_what_comes_again_is_stored(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise Transient("database_unavailable", "Postgres restarts.")

    with monkeypatch.context() as patch:
        patch.setattr(collecting, "store", away)
        outcomes = desk.together([desk.event("a")], [desk.event("b")])
    assert [type(outcome) for outcome in outcomes] == [Transient] * 2
    assert desk.together([desk.event("a")], [desk.event("b")]) == [1, 1]
    assert desk.keys() == ["a", "b"]


def test_one_that_comes_twice_in_a_commit_is_new_once(desk: Desk) -> None:
    assert desk.together([desk.event("a")], [desk.event("a")], [desk.event("a")]) == [1, 0, 0]
    assert desk.together([desk.event("a")]) == [0]
    assert desk.keys() == ["a"]
    desk.counted(received=1, repeated=3)


def test_large_ones_share_no_commit_that_is_too_large(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MOST_BYTES", 1500)
    sizes: list[int] = []
    store = collecting.store

    def noted(hasty: Any, patient: Any, events: list[Event]) -> Any:
        sizes.append(len(events))
        return store(hasty, patient, events)

    monkeypatch.setattr(collecting, "store", noted)
    given = [[desk.event(str(number), kind="full", record=b"x" * 1000)] for number in range(5)]
    assert desk.together(*given) == [1] * 5
    assert sizes == [2, 2, 1]


def test_there_is_room_for_so_many_and_who_finds_none_hears_so_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "MOST_WAITING", 2)
    outcomes = desk.together(*([desk.event(str(number))] for number in range(4)))
    assert outcomes[:2] == [1, 1]
    assert [type(outcome) for outcome in outcomes[2:]] == [Transient] * 2
    assert desk.keys() == ["0", "1"]


def test_counts_that_could_not_be_written_are_written_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, failed = desk.collector._database, []

    def fails(*_: Any) -> int:
        failed.append(1)
        monkeypatch.undo()
        raise Transient("database_unavailable", "Postgres restarts.")

    monkeypatch.setattr(database, "run", fails)
    desk.collector.refused(desk.door.ids[desk.name], 3)
    wait_until(lambda: failed, 20, what="a count that fails")
    desk.counted(refused=3)


def test_at_a_clean_stop_what_was_given_is_stored_woken_and_counted(desk: Desk) -> None:
    assert desk.together([desk.event("a")]) == [1]
    desk.collector.refused(desk.door.ids[desk.name])
    desk.collector.close()
    desk.counted(received=1, refused=1)
    outcome = desk.together([desk.event("b")])[0]
    assert isinstance(outcome, Transient)
    assert desk.keys() == ["a"]


def test_events_of_a_stream_that_went_meanwhile_harm_nobody(desk: Desk) -> None:
    gone = Event(desk.door.ids[desk.name], 2**40, desk.event("x").hint, "r")
    assert desk.together([gone], [desk.event("a")]) == [0, 1]
    assert desk.keys() == ["a"]


def test_where_somebody_holds_the_runs_place_webhooks_are_stored_without_it_and_it_is_asked_for_later(
    desk: Desk,
) -> None:
    with desk.door.database.connection() as other, other.transaction(force_rollback=True):
        other.execute(
            "INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id)"
            " VALUES (%(stream)s, %(id)s, 'sync.x.live', 'a', 'events', 1, 'webhook', 'r')",
            {"stream": desk.stream, "id": desk.door.ids[desk.name]},
        )
        assert desk.together([desk.event("a")]) == [1]
        assert desk.keys() == ["a"]
    of_stream = "SELECT id FROM runs WHERE stream_id = %(stream)s AND state = 'queued'"
    wait_until(
        lambda: desk.door.database.one(of_stream, {"stream": desk.stream}), 20, what="a run to be asked for"
    )
