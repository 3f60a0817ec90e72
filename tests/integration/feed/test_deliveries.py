"""Outbound events to a real receiver: at least once, in order per record, each signed, none that was not asked for."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from servers.receiver import SECRET, Receiver, receiving
from servers.rows.feed import Copy
from servers.waiting import wait_until

from worker.db.database import Database
from worker.errors import InvalidInput, NotFound
from worker.feed.epoch import raise_floor
from worker.feed.position import parse_position
from worker.feed.reading import look
from worker.outbound.deliver import HANDFUL, deliver
from worker.outbound.post import Courier
from worker.outbound.retry import DAYS
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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def courier() -> Iterator[Courier]:
    courier = Courier(loopback=True)
    yield courier
    courier.close()


class Hooks:
    """One subscription, and what a worker does for it."""

    def __init__(self, copy: Copy, courier: Courier, receiver: Receiver, folder: Path) -> None:
        self.copy = copy
        self.courier = courier
        self.receiver = receiver
        self.database = copy.database
        self.secret = folder / "secret"
        self.secret.write_text(SECRET + "\n")

    def add(self, name: str = "hooks", **more: Any) -> None:
        add_subscription(self.database, name, self.receiver.url, f"file://{self.secret}", **more)

    def row(self, name: str = "hooks") -> dict[str, Any]:
        return find_subscription(self.database, name)

    def deliver(self, name: str = "hooks") -> int:
        """As soon as nobody holds the feed back: Postgres itself writes now and then, such as statistics."""
        free = "SELECT NOT EXISTS (SELECT FROM records WHERE change_xid >= pg_snapshot_xmin(pg_current_snapshot())) AS free"
        with suppress(AssertionError):
            wait_until(lambda: (self.database.one(free) or {}).get("free"), 2, what="a feed that is free")
        return deliver(self.database, self.courier, self.row(name)["id"], dice=lambda: 0.0)

    def later(self, seconds: float = 100_000.0) -> None:
        """Let time pass: what waits is due, what was given a time is older."""
        self.database.run(
            "UPDATE subscriptions SET next_at = next_at - make_interval(secs => %(s)s),"
            " failing_since = failing_since - make_interval(secs => %(s)s)",
            {"s": seconds},
        )
        self.database.run(
            "UPDATE pending_deliveries SET next_at = next_at - make_interval(secs => %(s)s),"
            " failed_at = failed_at - make_interval(secs => %(s)s)",
            {"s": seconds},
        )


@pytest.fixture
def hooks(copy: Copy, courier: Courier, receiver: Receiver, tmp_path: Path) -> Hooks:
    return Hooks(copy, courier, receiver, tmp_path)


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


def test_a_record_that_is_refused_waits_by_itself_and_only_its_latest_state_is_sent(hooks: Hooks) -> None:
    hooks.add()
    hooks.receiver.answer = lambda event: 500 if event["data"]["key"] == "poison" else 204
    hooks.copy.write("poison", 1)
    hooks.copy.write("a", 1)
    assert hooks.deliver() == 1
    assert (hooks.row()["pending"], hooks.row()["next_at"]) == (1, None)
    hooks.copy.write("poison", 2)
    hooks.copy.write("a", 2)
    assert hooks.deliver() == 1
    assert hooks.receiver.taken() == {"poison": [1], "a": [1, 2]}  # not sent while it waits
    hooks.receiver.answer = lambda _: 204
    hooks.later(6)
    assert hooks.deliver() == 1
    assert hooks.receiver.taken()["poison"] == [1, 2]
    assert hooks.row()["pending"] == 0


def test_no_place_that_the_feed_has_not_come_to_is_told_of_a_record_that_waited(hooks: Hooks) -> None:
    hooks.add()
    hooks.receiver.answer = lambda event: 500 if event["data"]["key"] == "poison" else 204
    hooks.copy.write("poison", 1)
    hooks.copy.write("a", 1)
    assert hooks.deliver() == 1
    late = hooks.copy.begin()
    hooks.copy.write("b", tx=late)
    hooks.copy.write("poison", 2)
    hooks.receiver.answer = lambda _: 204
    hooks.later(6)
    assert hooks.deliver() == 0
    late.execute("COMMIT")
    hooks.deliver()
    assert {key: sorted({*values}) for key, values in hooks.receiver.taken().items()} == {
        "poison": [1, 2],
        "a": [1],
        "b": [1],
    }


def test_what_is_refused_again_and_again_is_given_up_until_it_changes(hooks: Hooks) -> None:
    hooks.add()
    hooks.receiver.answer = lambda event: 422 if event["data"]["key"] == "poison" else 204
    hooks.copy.write("poison", 1)
    assert hooks.deliver() == 0
    hooks.later(DAYS)
    assert hooks.deliver() == 0
    row = hooks.row()
    assert (row["state"], row["pending"], row["given_up"]) == ("active", 0, 1)
    assert "422" in row["pending_error"]
    hooks.receiver.answer = lambda _: 204
    hooks.copy.write("other")
    assert hooks.deliver() == 1
    assert hooks.row()["given_up"] == 1
    hooks.copy.write("poison", 2)
    assert hooks.deliver() == 1
    assert (hooks.receiver.taken()["poison"][-1], hooks.row()["given_up"]) == (2, 0)


def test_where_nothing_is_taken_the_endpoint_rests_and_nothing_is_lost(hooks: Hooks) -> None:
    hooks.add()
    hooks.receiver.answer = lambda _: 500
    for n in range(HANDFUL * 2):
        hooks.copy.write(f"k{n:02}")
    assert hooks.deliver() == 0
    assert len(hooks.receiver.events) == HANDFUL
    row = hooks.row()
    assert (row["attempt"], row["pending"], row["failing_since"] is not None) == (1, 0, True)
    assert hooks.deliver() == 0  # it rests
    assert len(hooks.receiver.events) == HANDFUL
    hooks.later(6)
    hooks.receiver.answer = lambda _: 204
    assert hooks.deliver() == HANDFUL * 2
    row = hooks.row()
    assert (row["attempt"], row["failing_since"], row["delivered"]) == (0, None, HANDFUL * 2)
    assert set(hooks.receiver.keys()) == {f"k{n:02}" for n in range(HANDFUL * 2)}
    assert len(set(hooks.receiver.ids)) == HANDFUL * 2  # a repeat has the id of the first attempt


def test_all_that_a_receiver_refuses_does_not_stop_what_follows_for_ever(hooks: Hooks) -> None:
    hooks.add()
    hooks.receiver.answer = lambda event: 500 if event["type"] == "record.deleted" else 204
    for n in range(HANDFUL):
        hooks.copy.write(f"gone{n}", reason="flag")
    hooks.copy.write("a")
    for _ in range(5):
        hooks.deliver()
        hooks.later(8 * 3600)
    assert "a" in set(hooks.receiver.keys())
    assert hooks.row()["pending"] == HANDFUL


def test_a_receiver_that_asks_for_patience_gets_it(hooks: Hooks) -> None:
    hooks.add()
    hooks.receiver.answer = lambda _: (429, {"Retry-After": "1000"})
    hooks.copy.write("a")
    assert hooks.deliver() == 0
    wait = hooks.database.one("SELECT extract(epoch FROM next_at - now())::float8 AS s FROM subscriptions")
    assert wait is not None
    assert 990 < wait["s"] <= 1000
    assert hooks.row()["pending"] == 0


def test_who_is_gone_is_asked_no_more(hooks: Hooks) -> None:
    hooks.add()
    hooks.receiver.answer = lambda _: 410
    hooks.copy.write("a")
    with structlog.testing.capture_logs() as logs:
        assert hooks.deliver() == 0
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["subscription_disabled"]
    row = hooks.row()
    assert row["state"] == "disabled"
    assert "410" in row["reason"]
    hooks.later()
    assert hooks.deliver() == 0
    assert len(hooks.receiver.events) == 1
    hooks.receiver.answer = lambda _: 204
    resume_subscription(hooks.database, "hooks")
    assert hooks.deliver() == 1


def test_after_days_without_a_delivery_it_is_disabled_and_goes_on_where_it_was(hooks: Hooks) -> None:
    hooks.add()
    hooks.receiver.answer = lambda _: 503
    hooks.copy.write("a")
    assert hooks.deliver() == 0
    hooks.later(DAYS - 60)
    assert hooks.deliver() == 0
    assert hooks.row()["state"] == "active"
    hooks.later(8 * 3600)
    assert hooks.deliver() == 0
    row = hooks.row()
    assert (row["state"], "503" in row["reason"]) == ("disabled", True)
    hooks.receiver.answer = lambda _: 204
    resume_subscription(hooks.database, "hooks")
    assert hooks.deliver() == 1


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


def test_a_redirect_is_not_followed(hooks: Hooks) -> None:
    hooks.add()
    with receiving() as elsewhere:
        hooks.receiver.answer = lambda _: (307, {"Location": elsewhere.url})
        hooks.copy.write("a")
        assert hooks.deliver() == 0
        assert elsewhere.events == []
    assert "redirects are not followed" in hooks.row()["last_error"]


def test_loopback_is_refused_unless_it_is_allowed(hooks: Hooks) -> None:
    hooks.add()
    hooks.copy.write("a")
    strict = Courier(loopback=False)
    assert deliver(hooks.database, strict, hooks.row()["id"]) == 0
    strict.close()
    assert hooks.receiver.events == []
    assert "loopback" in hooks.row()["last_error"]


def test_a_name_that_leads_elsewhere_a_moment_later_leads_nowhere(hooks: Hooks) -> None:
    hooks.receiver.url = hooks.receiver.url.replace("127.0.0.1", "hooks.example")
    hooks.add()
    hooks.copy.write("a")
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    rebinding = Courier(loopback=True, resolve=lambda *_: next(answers))
    assert deliver(hooks.database, rebinding, hooks.row()["id"]) == 1
    rebinding.close()
    hooks.copy.write("b")
    again = Courier(loopback=True, resolve=lambda *_: next(answers))
    assert deliver(hooks.database, again, hooks.row()["id"]) == 0
    again.close()
    assert "metadata" in hooks.row()["last_error"]


def test_an_answer_without_end_keeps_nobody(hooks: Hooks) -> None:
    """A long answer is cut off; that the message was taken counts."""
    hooks.add()
    for length in ("99999999", "10"):
        hooks.receiver.answer = lambda _, length=length: (200, {"Content-Length": length})
        hooks.copy.write("a", length)
        assert hooks.deliver() == 1


def test_a_secret_that_cannot_be_opened_stops_deliveries_and_loses_nothing(hooks: Hooks) -> None:
    hooks.add()
    hooks.copy.write("a")
    hooks.secret.unlink()
    assert hooks.deliver() == 0
    row = hooks.row()
    assert (row["state"], row["attempt"], "secret" in row["last_error"]) == ("active", 1, True)
    hooks.secret.write_text(SECRET)
    hooks.later(60)
    assert hooks.deliver() == 1


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
