"""How often did a system fail in a row, whoever asked? Counted in Valkey by all workers together.

Asked only when something failed, and once more when all is well again: its connection isn't opened before the first
failure. Raises nothing: a Valkey that is away counts nothing, and then nobody sends much anyway.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from worker.limits.policy import SECOND
from worker.limits.valkey.question import key_of
from worker.limits.valkey.wire import UNREACHABLE, carried_out, connect


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted since the last success. Times are microseconds on Valkey's clock."""

    failures: int
    everywhere: int
    """Of these, the ones that no request of any kind would have been spared."""
    who: int
    """How many different streams or paths failed."""
    open_until: int
    """0: the circuit was not opened."""
    since: int
    now: int


class Failures:
    """The failures of all accounts."""

    def __init__(self, redis_url: str) -> None:
        self._redis = connect(redis_url)
        script = files("worker.limits.valkey").joinpath("scripts/failures.lua").read_text()
        self._add = self._redis.register_script(script)

    def add(self, account: str, who: str, *, everywhere: bool, within: float) -> Tally | None:
        """One more."""
        try:
            found: list[Any] = carried_out(
                self._add,
                [_key(account)],
                [who[:200].encode(errors="replace"), int(everywhere), int(within * SECOND)],
            )
        except UNREACHABLE:
            return None
        return Tally(*(int(value) for value in found))

    def opened(self, account: str, *, since: int, until: int, within: float) -> bool:
        """The circuit is open until then. Whether nobody said so before, for this time."""
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.hget(_key(account), "until")
                pipe.hset(_key(account), mapping={"until": until, "since": since})
                pipe.pexpireat(_key(account), int(until / 1000 + within * 1000))
                before = pipe.execute()[0]
        except UNREACHABLE:
            return True
        return int(before or 0) < until

    def cleared(self, account: str) -> int | None:
        """All is well again. Since when the circuit was open, in microseconds; None: it wasn't."""
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.hget(_key(account), "since")
                pipe.delete(_key(account))
                since = pipe.execute()[0]
        except UNREACHABLE:
            return None
        return None if since is None else int(since)

    def close(self) -> None:
        """Drop the idle connections."""
        self._redis.close()


def _key(account: str) -> str:
    return f"{key_of(account)}:failures"
