"""A worker is killed while it delivers events: all of them arrive, and at most one handful of them twice."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.installation.stack import SETTINGS as STACK_SETTINGS
from servers.installation.stack import Stack
from servers.receiver import SECRET, Receiver, receiving
from servers.rows.feed import Copy
from servers.waiting import wait_until

from worker.outbound.deliver import HANDFUL
from worker.outbound.subscriptions import add_subscription, find_subscription, remove_subscription

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

SETTINGS = STACK_SETTINGS | {"HEADRACE_OUTBOUND_LOOPBACK": "true"}
MANY = HANDFUL * 4


@pytest.fixture
def receiver(stack: Stack, tmp_path: Path) -> Iterator[Receiver]:
    """Subscribed to all changes of a copy that the test writes by hand."""
    (tmp_path / "secret").write_text(SECRET)
    with receiving() as running:
        add_subscription(stack.database, "hooks", running.url, f"file://{tmp_path / 'secret'}")
        yield running
        remove_subscription(stack.database, "hooks")
        stack.database.run("DELETE FROM records; DELETE FROM connections")


def test_a_worker_that_is_killed_amid_a_handful_repeats_that_and_no_more(
    stack: Stack, receiver: Receiver
) -> None:
    copy = Copy(stack.database, stack.postgres.url)
    receiver.gate.clear()
    for n in range(MANY):
        copy.write(f"k{n:02}", n)
    wait_until(lambda: receiver.busy > 0, 30, what="the first messages")
    receiver.gate.set()
    wait_until(lambda: len(receiver.events) >= HANDFUL, 30, what="a handful")
    receiver.gate.clear()
    wait_until(lambda: receiver.busy > 0 or len(receiver.events) == MANY, 30, what="the next messages")
    stack.kill("main-1")
    receiver.gate.set()
    stack.start("main-1")
    stack.database.run(
        "UPDATE subscriptions SET lease_until = now()"
    )  # the minute that a dead worker keeps it
    wait_until(lambda: len(set(receiver.ids)) == MANY, 40, what="all messages")
    wait_until(lambda: find_subscription(stack.database, "hooks")["delivered"] >= MANY, 20, what="the commit")
    assert sorted(receiver.taken()) == [f"k{n:02}" for n in range(MANY)]
    repeated = [each for each, times in Counter(receiver.ids).items() if times > 1]
    assert len(repeated) <= HANDFUL
    assert max(Counter(receiver.ids).values()) <= 2


def test_what_changes_is_told_within_seconds_by_whoever_is_there(stack: Stack, receiver: Receiver) -> None:
    """Beat looks, a message goes to the control queue, a worker of the main lanes serves it."""
    copy = Copy(stack.database, stack.postgres.url)
    copy.write("a", 1)
    wait_until(lambda: receiver.keys() == ["a"], 20, what="the event")
    idle = "SELECT FROM subscriptions WHERE delivered > 0 AND lease_until IS NULL"
    # Before the end of its turn, its lease would be in the way for a minute.
    wait_until(lambda: stack.all(idle), 20, what="the end of the turn")
    stack.kill("main-1")
    copy.write("a", 2)
    sent = "SELECT FROM subscriptions WHERE woken_at IS NOT NULL"
    wait_until(lambda: stack.all(sent), 20, what="the message")
    stack.flush_valkey()  # and the message is lost
    stack.database.run("UPDATE subscriptions SET woken_at = woken_at - interval '31 seconds'")
    stack.start("main-1")
    wait_until(lambda: receiver.taken() == {"a": [1, 2]}, 40, what="the event whose message was lost")
    assert receiver.forged == 0
