"""A subscription to a copy, a receiver that is told, and what a worker does for it."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from servers.receiver import SECRET, Receiver
from servers.rows.feed import Copy
from servers.waiting import wait_until

from worker.outbound.deliver import deliver
from worker.outbound.post import Courier
from worker.outbound.subscriptions import (
    add_subscription,
    find_subscription,
)


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
        """One turn of a worker."""
        self.wait_for_the_feed()
        return deliver(self.database, self.courier, self.row(name)["id"], dice=lambda: 0.0)

    def wait_for_the_feed(self) -> None:
        """Until nobody holds it back, or for a moment: Postgres itself writes now and then, such as statistics."""
        free = "SELECT NOT EXISTS (SELECT FROM records WHERE change_xid >= pg_snapshot_xmin(pg_current_snapshot())) AS free"
        with suppress(AssertionError):
            wait_until(lambda: (self.database.one(free) or {}).get("free"), 2, what="a feed that is free")

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
