"""Outbound events to a real receiver: at least once, in order per record, each signed, none that was not asked for."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from servers.receiver import SECRET
from servers.rows.hooks import Hooks
from servers.waiting import wait_until

from worker.db.database import Database
from worker.errors import InvalidInput, NotFound
from worker.feed.epoch import raise_floor
from worker.feed.position import parse_position
from worker.feed.reading import look
from worker.outbound.deliver import HANDFUL
from worker.outbound.subscriptions import (
    add_subscription,
    find_subscription,
    pause_subscription,
    remove_subscription,
    replay_subscription,
    resume_subscription,
    subscriptions,
)
from worker.outbound.waking import wake_deliveries

pytestmark = pytest.mark.integration


def test_what_changes_is_told_once_and_signed(hooks: Hooks) -> None:
    hooks.copy.write("before")
    hooks.add()
    hooks.copy.write("a", 1)
    hooks.copy.write("b", 2, stream="parts")
    hooks.copy.write("a", reason="flag")
    assert hooks.deliver() == 2
    assert hooks.deliver() == 0
    assert {(e["type"], e["data"]["key"]) for e in hooks.receiver.events} == {
        ("record.created", "b"),
        ("record.deleted", "a"),
    }
    assert hooks.receiver.forged == 0
    (request_id,) = {*hooks.receiver.request_ids}
    assert request_id.startswith("deliver-")
    row = hooks.row()
    assert (row["delivered"], row["pending"], row["lease_until"]) == (2, 0, None)
    assert parse_position(row["position"]).place == look(hooks.database).end


def test_only_what_was_asked_for_is_told(hooks: Hooks) -> None:
    connection = hooks.database.one("SELECT id FROM connections")
    assert connection is not None
    hooks.add("orders", connection_id=connection["id"], stream="orders")
    hooks.add("deleted", kinds=["deleted"])
    hooks.copy.write("a")
    hooks.copy.write("b", stream="parts", reason="flag")
    assert hooks.deliver("orders") == 1
    assert hooks.deliver("deleted") == 1
    assert hooks.receiver.keys() == ["a", "b"]


def test_one_that_is_paused_is_told_later_what_it_missed(hooks: Hooks) -> None:
    hooks.add()
    pause_subscription(hooks.database, "hooks")
    hooks.copy.write("a", 1)
    hooks.copy.write("a", 2)
    assert hooks.deliver() == 0
    resume_subscription(hooks.database, "hooks")
    assert hooks.deliver() == 1
    assert hooks.receiver.taken() == {"a": [2]}


def test_a_replay_tells_what_changed_since_and_what_was_never_told(hooks: Hooks) -> None:
    hooks.add()
    hooks.copy.write("old")
    hooks.copy.write("new")
    hooks.database.run("UPDATE records SET observed_at = now() - interval '3 hours' WHERE key = 'old'")
    assert hooks.deliver() == 2
    hooks.copy.write("untold")
    hooks.database.run("UPDATE records SET observed_at = now() - interval '2 hours' WHERE key = 'untold'")
    replay_subscription(hooks.database, "hooks", datetime.now(UTC) - timedelta(hours=1))
    assert hooks.deliver() == 2
    assert sorted(hooks.receiver.keys()[2:]) == ["new", "untold"]
    assert hooks.row()["replay_until"] is None
    replay_subscription(hooks.database, "hooks", None)
    assert hooks.deliver() == 3
    for nowhen in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z"):
        with pytest.raises(InvalidInput):
            replay_subscription(hooks.database, "hooks", datetime.fromisoformat(nowhen))


def test_a_replay_during_a_delivery_is_not_undone_by_it(hooks: Hooks) -> None:
    hooks.add()
    for key in "ab":
        hooks.copy.write(key)
    hooks.receiver.gate.clear()
    turn = threading.Thread(target=hooks.deliver)
    turn.start()
    wait_until(lambda: hooks.receiver.busy == 2, 20, what="the first handful")
    replay_subscription(hooks.database, "hooks", None)
    hooks.receiver.gate.set()
    turn.join(20)
    assert hooks.deliver() == 0  # nobody delivers beside the lease of the one that was overtaken
    hooks.database.run("UPDATE subscriptions SET lease_until = now()")
    assert hooks.deliver() == 2
    assert hooks.receiver.taken() == {"a": [1, 1], "b": [1, 1]}


def test_two_workers_never_deliver_one_subscription_at_once(hooks: Hooks) -> None:
    hooks.add()
    hooks.copy.write("a")
    hooks.receiver.gate.clear()
    first = threading.Thread(target=hooks.deliver)
    first.start()
    wait_until(lambda: hooks.receiver.busy == 1, 20, what="the first message")
    assert hooks.deliver() == 0
    hooks.receiver.gate.set()
    first.join(20)
    assert hooks.receiver.keys() == ["a"]


def test_a_worker_that_lost_its_lease_moves_nothing(hooks: Hooks) -> None:
    """Stopped in the middle, overtaken, and woken: its commit is refused."""
    hooks.add()
    hooks.copy.write("a")
    before = hooks.row()["position"]
    hooks.receiver.gate.clear()
    stale = threading.Thread(target=hooks.deliver)
    stale.start()
    wait_until(lambda: hooks.receiver.busy == 1, 20, what="the message")
    hooks.database.run("UPDATE subscriptions SET claim_no = claim_no + 1, lease_until = now()")
    hooks.receiver.gate.set()
    stale.join(20)
    assert (hooks.row()["position"], hooks.row()["delivered"]) == (before, 0)
    assert hooks.deliver() == 1
    assert hooks.receiver.ids[0] == hooks.receiver.ids[1]


def test_a_handful_goes_side_by_side_and_no_more(hooks: Hooks) -> None:
    hooks.add()
    for n in range(HANDFUL + 5):
        hooks.copy.write(f"k{n:02}")
    hooks.receiver.gate.clear()
    turn = threading.Thread(target=hooks.deliver)
    turn.start()
    wait_until(lambda: hooks.receiver.busy == HANDFUL, 20, what="a handful")
    hooks.receiver.gate.set()
    turn.join(20)
    assert hooks.receiver.most_busy == HANDFUL
    assert len(hooks.receiver.events) == HANDFUL + 5


def test_of_an_erased_record_the_receiver_hears_only_that_it_is_gone(hooks: Hooks) -> None:
    hooks.add()
    hooks.copy.write("person", "planted words", reason="erased")
    assert hooks.deliver() == 1
    [event] = hooks.receiver.events
    assert (event["type"], event["data"]["delete_reason"], event["data"]["record"]) == (
        "record.deleted",
        "erased",
        None,
    )


def test_who_has_fallen_behind_the_end_of_the_feed_is_told_so_and_may_begin_again(hooks: Hooks) -> None:
    hooks.add()
    pause_subscription(hooks.database, "hooks")
    hooks.copy.write("a", reason="flag")
    end = look(hooks.database).end
    hooks.copy.write("b")
    with hooks.database.transaction() as tx:
        tx.execute("DELETE FROM records WHERE key = 'a'")
        raise_floor(tx, end.xid, end.seq)
    with pytest.raises(InvalidInput) as refusal:
        resume_subscription(hooks.database, "hooks")
    assert refusal.value.code == "position_expired"
    hooks.database.run("UPDATE subscriptions SET state = 'active'")
    assert hooks.deliver() == 0
    assert hooks.row()["state"] == "disabled"
    replay_subscription(hooks.database, "hooks", None)
    resume_subscription(hooks.database, "hooks")
    assert hooks.deliver() == 1
    assert hooks.receiver.keys() == ["b"]


def test_nothing_of_a_message_or_a_secret_is_logged(hooks: Hooks) -> None:
    hooks.add()
    hooks.copy.write("key-of-planted", "planted words")
    hooks.receiver.answer = lambda _: 500
    with structlog.testing.capture_logs() as logs:
        hooks.deliver()
        hooks.later(6)
        hooks.receiver.answer = lambda _: 204
        hooks.deliver()
    text = repr(logs)
    assert "deliveries_sent" in text
    for word in ("planted", SECRET, "v1,"):
        assert word not in text


def test_subscriptions_are_made_listed_and_removed(hooks: Hooks) -> None:
    hooks.add()
    with pytest.raises(InvalidInput) as taken:
        hooks.add()
    assert taken.value.code == "name_taken"
    for wrong in ({"name": ""}, {"name": "x", "kinds": ["gone"]}):
        with pytest.raises(InvalidInput):
            hooks.add(**wrong)
    with pytest.raises(InvalidInput) as plain:
        add_subscription(hooks.database, "x", hooks.receiver.url, SECRET)
    assert SECRET not in str(plain.value)
    assert [row["name"] for row in subscriptions(hooks.database)] == ["hooks"]
    with pytest.raises(NotFound):
        find_subscription(hooks.database, "hoks")
    remove_subscription(hooks.database, "hooks")
    assert subscriptions(hooks.database) == []


def test_a_subscription_to_one_connection_goes_with_it(hooks: Hooks, database: Database) -> None:
    row = database.one("SELECT id FROM connections")
    assert row is not None
    hooks.add(connection_id=row["id"])
    database.run("DELETE FROM connections")
    assert subscriptions(database) == []


def test_where_no_message_can_be_sent_beat_is_not_kept_for_each(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Any] = []

    def fail(*args: Any, **named: Any) -> None:
        tried.append((args, named))
        raise OSError

    for name in ("one", "two", "three"):
        hooks.add(name)
    hooks.copy.write("a")
    monkeypatch.setattr("worker.outbound.waking.celery_app.send_task", fail)
    assert wake_deliveries(hooks.database) == 3
    assert len(tried) == 1
