"""What a worker's turn at a subscription heeds while it lasts, and who is sent for: pauses, ends, rests, other beats."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from servers.rows.hooks import Hooks
from servers.waiting import wait_until

from worker.db.database import Database
from worker.feed.epoch import raise_floor
from worker.feed.position import Feed
from worker.feed.reading import look
from worker.outbound import deliver as delivering
from worker.outbound import post, waking
from worker.outbound.deliver import HANDFUL, deliver
from worker.outbound.subscriptions import pause_subscription, resume_subscription
from worker.outbound.waking import wake_deliveries

pytestmark = pytest.mark.integration


@contextmanager
def meanwhile(hooks: Hooks, busy: int) -> Iterator[None]:
    """What is done while so many messages are on their way; they are answered after it."""
    hooks.receiver.gate.clear()
    turn = threading.Thread(target=hooks.deliver)
    turn.start()
    try:
        wait_until(lambda: hooks.receiver.busy == busy, 20, what="messages on their way")
        yield
    finally:
        hooks.receiver.gate.set()
        turn.join(20)


def test_a_pause_amid_a_turn_holds_after_its_handful(hooks: Hooks) -> None:
    hooks.add()
    for n in range(HANDFUL + 1):
        hooks.copy.write(f"k{n:02}")
    with meanwhile(hooks, HANDFUL):
        pause_subscription(hooks.database, "hooks")
    assert len(hooks.receiver.events) == HANDFUL
    resume_subscription(hooks.database, "hooks")
    assert hooks.deliver() == 1


def test_who_is_paused_meanwhile_is_not_disabled_instead(hooks: Hooks) -> None:
    hooks.add()
    hooks.copy.write("a")
    hooks.receiver.answer = lambda _: 410
    with meanwhile(hooks, 1):
        pause_subscription(hooks.database, "hooks")
    assert (hooks.row()["state"], hooks.row()["reason"]) == ("paused", None)


def test_a_turn_ends_after_its_time_and_leaves_the_rest_to_the_next(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "TURN", -1.0)
    hooks.add()
    for n in range(HANDFUL + 1):
        hooks.copy.write(f"k{n:02}")
    assert hooks.deliver() == HANDFUL
    assert hooks.deliver() == 1


def test_a_worker_that_shall_stop_ends_with_its_handful(hooks: Hooks) -> None:
    hooks.add()
    for n in range(HANDFUL + 1):
        hooks.copy.write(f"k{n:02}")
    hooks.wait_for_the_feed()
    assert deliver(hooks.database, hooks.courier, hooks.row()["id"], stopping=lambda: True) == HANDFUL


def test_who_comes_late_does_not_end_the_lease_of_the_next(hooks: Hooks) -> None:
    hooks.add()
    hooks.copy.write("a")
    with meanwhile(hooks, 1):
        hooks.database.run(
            "UPDATE subscriptions SET claim_no = claim_no + 1, lease_until = now() + interval '1 hour'"
        )
    assert hooks.row()["lease_until"] is not None


def test_what_is_removed_while_it_is_refused_is_waited_for_no_more(hooks: Hooks) -> None:
    hooks.add()
    hooks.receiver.answer = lambda event: 500 if event["data"]["key"] == "poison" else 204
    hooks.copy.write("poison", stream="parts")
    hooks.copy.write("a")
    with meanwhile(hooks, 2):
        hooks.database.run("DELETE FROM streams WHERE name = 'parts'")
    assert (hooks.row()["delivered"], hooks.row()["pending"]) == (1, 0)


class Drip:
    """A receiver that answers byte by byte: each comes in time, and all of them together don't."""

    def __init__(self, head: bytes, drops: int, tail: bytes = b"") -> None:
        self.url = ""
        self.ended: list[str] = []
        """How each answer ended: whole, or cut because nobody heard it any more."""
        self._pause = threading.Event()
        self._said = [head, *[b"."] * drops, tail]

    def answer(self, heard: socketserver.StreamRequestHandler) -> None:
        heard.rfile.readline()
        try:
            for part in self._said:
                heard.wfile.write(part)
                self._pause.wait(0.05)
        except OSError:
            self.ended.append("cut")
        else:
            self.ended.append("whole")

    @contextmanager
    def running(self) -> Iterator[None]:
        drip = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                drip.answer(self)

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}/"
            serving = threading.Thread(target=server.serve_forever, args=(0.05,))
            serving.start()
            try:
                yield
            finally:
                self._pause.set()
                server.shutdown()
                serving.join()


def test_an_answer_whose_head_drips_is_not_waited_for(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "WHOLE", 0.5)
    drip = Drip(b"HTTP/1.1 204 No Content\r\nX-Slow: ", 40, b"\r\n\r\n")
    with drip.running():
        hooks.receiver.url = drip.url
        hooks.add()
        hooks.copy.write("a")
        assert hooks.deliver() == 0
    assert "in time" in hooks.row()["last_error"]
    assert hooks.row()["attempt"] == 1


def test_an_answer_whose_body_drips_is_cut_off_and_counts(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "READ", 0.2)
    drip = Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 100)
    with drip.running():
        hooks.receiver.url = drip.url
        hooks.add()
        hooks.copy.write("a")
        assert hooks.deliver() == 1
        wait_until(lambda: drip.ended, 20, what="the end of the answer")
    assert drip.ended == ["cut"]


def test_who_has_fallen_behind_is_disabled_with_a_word(hooks: Hooks) -> None:
    hooks.add()
    hooks.copy.write("a", reason="flag")
    end = look(hooks.database).end
    with hooks.database.transaction() as tx:
        tx.execute("DELETE FROM records")
        raise_floor(tx, end.xid, end.seq)
    with structlog.testing.capture_logs() as logs:
        assert hooks.deliver() == 0
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["subscription_disabled"]
    assert "no longer goes back" in hooks.row()["reason"]


class TestWaking:
    """Beat's look, each second: whom is a worker sent for?"""

    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The subscriptions that messages were sent for."""
        found: list[int] = []
        monkeypatch.setattr(
            "worker.outbound.waking.celery_app.send_task", lambda _, args, **__: found.extend(args)
        )
        return found

    def test_all_that_lag_behind_are_sent_for_once_in_half_a_minute(
        self, hooks: Hooks, sent: list[int]
    ) -> None:
        for name in ("one", "two"):
            hooks.add(name)
        assert wake_deliveries(hooks.database) == 0
        hooks.copy.write("a")
        hooks.wait_for_the_feed()
        assert [wake_deliveries(hooks.database) for _ in range(3)] == [2, 0, 0]
        assert sorted(sent) == sorted(hooks.row(name)["id"] for name in ("one", "two"))
        hooks.database.run("UPDATE subscriptions SET woken_at = woken_at - interval '31 seconds'")
        assert wake_deliveries(hooks.database) == 2

    def test_two_beats_that_look_at_once_send_one_message(
        self, hooks: Hooks, sent: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hooks.add()
        hooks.copy.write("a")
        hooks.wait_for_the_feed()

        def look_after_another(database: Database) -> Feed:
            monkeypatch.setattr(waking, "look", look)
            wake_deliveries(database)
            return look(database)

        monkeypatch.setattr(waking, "look", look_after_another)
        assert wake_deliveries(hooks.database) == 0
        assert len(sent) == 1

    def test_who_rests_or_is_paused_is_not_sent_for(self, hooks: Hooks, sent: list[int]) -> None:
        hooks.add("rests")
        hooks.add("paused")
        hooks.copy.write("a")
        hooks.receiver.answer = lambda _: 503
        assert hooks.deliver("rests") == 0
        pause_subscription(hooks.database, "paused")
        hooks.wait_for_the_feed()
        assert wake_deliveries(hooks.database) == 0
        hooks.later(6)
        hooks.wait_for_the_feed()
        assert wake_deliveries(hooks.database) == 1
        assert sent == [hooks.row("rests")["id"]]

    def test_a_record_whose_time_has_come_is_sent_for_though_nothing_is_new(
        self, hooks: Hooks, sent: list[int]
    ) -> None:
        hooks.add()
        hooks.receiver.answer = lambda event: 500 if event["data"]["key"] == "poison" else 204
        hooks.copy.write("poison")
        hooks.copy.write("a")
        assert hooks.deliver() == 1
        assert wake_deliveries(hooks.database) == 0
        hooks.later(6)
        assert wake_deliveries(hooks.database) == 1
