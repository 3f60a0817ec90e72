"""How often was an address wrong, at all processes of the API together? Counted in Valkey, one atomic call for each wrong token.

Asked after a token was found wrong, so whoever shows a valid one never waits for it. Raises nothing: while Valkey is away
each process counts for itself, and asks again every few seconds. Emits: guesses_counted_alone once per outage.
"""

from importlib.resources import files
from time import monotonic

import structlog

from worker.limits.policy import SECOND
from worker.limits.valkey.wire import UNREACHABLE, carried_out, connect

PREFIX = "headrace:guesses:"
AGAIN = 5.0
"""Seconds for which nobody asks a Valkey that didn't answer."""
MOST_OWED = 3600.0

log = structlog.get_logger()


class SharedGuesses:
    """The wrong tokens of all processes. Opens no connection before the first; shared by threads."""

    def __init__(self, redis_url: str) -> None:
        self._redis = connect(redis_url)
        script = files("worker.limits.valkey").joinpath("scripts/guess.lua").read_text()
        self._guess = self._redis.register_script(script)
        self._away, self._next_try = False, 0.0

    def add(self, whose: str, each: float) -> float | None:
        """One more wrong one of this address: seconds until all its tries are back, at one per `each`; None: nobody knows."""
        if monotonic() < self._next_try:
            return None
        try:
            found = carried_out(self._guess, [PREFIX + whose], [int(each * SECOND), int(MOST_OWED * SECOND)])
        except UNREACHABLE as exc:
            self._next_try = monotonic() + AGAIN
            if not self._away:
                log.warning("guesses_counted_alone", error=type(exc).__name__)
            self._away = True
            return None
        self._away = False
        return int(found) / SECOND

    def close(self) -> None:
        """Drop the idle connections."""
        self._redis.close()
