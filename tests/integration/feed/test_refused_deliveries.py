"""Events that a receiver refuses, or must not be sent to: what waits, what rests, what is given up, and what is never followed."""

import pytest
import structlog
from servers.receiver import SECRET, receiving
from servers.rows.hooks import Hooks

from worker.outbound.deliver import HANDFUL, deliver
from worker.outbound.post import Courier
from worker.outbound.retry import DAYS
from worker.outbound.subscriptions import replay_subscription, resume_subscription

pytestmark = pytest.mark.integration


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


class TestWaiting:
    """Records that were refused, and wait by themselves."""

    @pytest.fixture
    def waits(self, hooks: Hooks) -> Hooks:
        """`poison` waits; the receiver takes everything by now."""
        hooks.add(kinds=["created", "updated"])
        hooks.receiver.answer = lambda event: 500 if event["data"]["key"] == "poison" else 204
        hooks.copy.write("poison", 1)
        hooks.copy.write("a", 1)
        assert hooks.deliver() == 1
        assert hooks.row()["pending"] == 1
        hooks.receiver.answer = lambda _: 204
        hooks.receiver.events.clear()
        return hooks

    def test_one_that_became_of_no_interest_is_told_of_no_more(self, waits: Hooks) -> None:
        waits.copy.write("poison", reason="flag")
        waits.later(6)
        assert waits.deliver() == 0
        assert (waits.receiver.events, waits.row()["pending"]) == ([], 0)

    def test_one_that_is_there_no_more_has_nothing_to_say(self, waits: Hooks) -> None:
        waits.database.run("UPDATE subscriptions SET kinds = NULL")
        waits.database.run("DELETE FROM records WHERE key = 'poison'")
        waits.later(6)
        assert waits.deliver() == 0
        assert (waits.receiver.events, waits.row()["pending"]) == ([], 0)

    def test_its_days_count_from_the_first_refusal(self, waits: Hooks) -> None:
        waits.receiver.answer = lambda _: 422
        waits.later(DAYS - 3600)
        waits.deliver()
        assert (waits.row()["pending"], waits.row()["given_up"]) == (1, 0)
        waits.later(8 * 3600)
        waits.deliver()
        assert (waits.row()["pending"], waits.row()["given_up"]) == (0, 1)

    def test_what_was_given_up_is_tried_again_when_it_is_resumed(self, waits: Hooks) -> None:
        waits.receiver.answer = lambda _: 422
        waits.later(DAYS)
        waits.deliver()
        assert waits.row()["given_up"] == 1
        waits.receiver.answer = lambda _: 204
        assert waits.deliver() == 0
        resume_subscription(waits.database, "hooks")
        assert waits.deliver() == 1
        assert (waits.row()["pending"], waits.row()["given_up"]) == (0, 0)


class TestResting:
    """An endpoint that took nothing, and has been left alone since."""

    @pytest.fixture
    def rests(self, hooks: Hooks) -> Hooks:
        hooks.add()
        hooks.receiver.answer = lambda _: 503
        hooks.copy.write("a")
        assert hooks.deliver() == 0
        hooks.receiver.answer = lambda _: 204
        assert hooks.deliver() == 0
        return hooks

    def test_resuming_it_tries_at_once(self, rests: Hooks) -> None:
        resume_subscription(rests.database, "hooks")
        assert rests.deliver() == 1

    def test_a_replay_tries_at_once(self, rests: Hooks) -> None:
        replay_subscription(rests.database, "hooks", None)
        assert rests.deliver() == 1

    def test_who_was_disabled_and_resumed_has_all_its_days_again(self, rests: Hooks) -> None:
        rests.receiver.answer = lambda _: 503
        rests.later(DAYS)
        assert rests.deliver() == 0
        assert rests.row()["state"] == "disabled"
        resume_subscription(rests.database, "hooks")
        assert rests.deliver() == 0
        assert (rests.row()["state"], rests.row()["attempt"]) == ("active", 1)
