"""What happened on the wire during one sending of a request?

The wire tells of the moments that matter: whether a kept-alive connection was used, whether any of the answer came, and
how long connecting took; and the last moment before the request leaves is when a grant of the budget that has grown old
meanwhile (a slow TLS handshake, a full pool) is asked for again, so that what the system sees keeps the limit too.
"""

from collections.abc import Callable
from time import perf_counter

from worker.telemetry.steps import Steps


class Attempt:
    """One sending. `before_sending` runs once the connection stands; what it raises ends the attempt unsent."""

    __slots__ = ("_before_sending", "_start", "_steps", "comes", "connected", "has_answer")

    def __init__(
        self, steps: Steps, before_sending: Callable[[], None], comes: Callable[[int], None] = lambda _: None
    ) -> None:
        self._steps = steps
        self._before_sending = before_sending
        self.comes = comes
        """Told how large the body is, or is by now."""
        self._start: float | None = None
        self.connected = False
        self.has_answer = False

    @property
    def lost_on_an_old_connection(self) -> bool:
        """The system had closed a connection that we kept: nothing says that it saw the request."""
        return not self.connected and not self.has_answer

    def connecting(self) -> None:
        """No connection was kept: one is opened."""
        self.connected = True
        self._start = perf_counter()

    def before_sending(self) -> None:
        """The connection stands."""
        if self._start is not None:
            self._steps.add("connect", perf_counter() - self._start)
            self._start = None
        self._before_sending()

    def answered(self) -> None:
        """The head of the answer is here."""
        self.has_answer = True
