"""A budget that grants at once, unless somebody was told to wait, and remembers that: the checks ask for how long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from worker.errors import RateLimited
from worker.limits.budget import NO_CALL, Permit
from worker.limits.policy import Call, Limits

NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass
class Lenient:
    """Its clock is the double's, or the wall's."""

    clock: Callable[[], datetime]
    held: list[tuple[float, str]] = field(default_factory=list)
    """Seconds and reason of every hold."""
    granted: int = 0
    _until: datetime = NEVER

    @contextmanager
    def permit(
        self, account: str, limits: Limits, *, cost: int = 1, lane: int = 3, call: Call = NO_CALL
    ) -> Iterator[Permit]:
        del account, limits, cost, lane, call
        if self.clock() < self._until:
            raise RateLimited("held", "The account waits.", resume_at=self._until)
        self.granted += 1
        yield Permit(0.0, 0)

    def hold(self, account: str, seconds: float, reason: str, *, grows: bool = False) -> datetime:
        del account, grows
        self.held.append((seconds, reason))
        self._until = max(self._until, self.clock() + timedelta(seconds=seconds))
        return self._until

    def slow_down(self, account: str, remaining: int, seconds: float) -> None:
        """Noted nowhere: nothing waits here."""
