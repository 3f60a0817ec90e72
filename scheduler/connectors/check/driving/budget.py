"""A budget that grants at once and remembers who was told to wait: the checks ask afterwards for how long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from worker.limits.budget import NO_CALL, Permit
from worker.limits.policy import Call, Limits


@dataclass
class Lenient:
    """Its clock is the double's, or the wall's."""

    clock: Callable[[], datetime]
    held: list[tuple[float, str]] = field(default_factory=list)
    """Seconds and reason of every hold."""
    granted: int = 0

    @contextmanager
    def permit(
        self, account: str, limits: Limits, *, cost: int = 1, lane: int = 3, call: Call = NO_CALL
    ) -> Iterator[Permit]:
        del account, limits, cost, lane, call
        self.granted += 1
        yield Permit(0.0, 0)

    def hold(self, account: str, seconds: float, reason: str, *, grows: bool = False) -> datetime:
        del account, grows
        self.held.append((seconds, reason))
        return self.clock() + timedelta(seconds=seconds)

    def slow_down(self, account: str, remaining: int, seconds: float) -> None:
        """Noted nowhere: nothing waits here."""
