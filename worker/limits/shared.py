"""How does a question reach the budget that all workers share? The only module of `limits` that sends to Valkey.

Two keys per account, in one hash slot: a hash (tat, hold, reason, probe) and a sorted set of slots under way. Every
change is one Lua call. Raises what redis-py raises; the caller decides what to do without Valkey.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import RedisError
from redis.retry import Retry

from worker.errors import InvalidInput
from worker.limits.local import Known
from worker.limits.policy import SECOND, Answer, Limits, Verdict, held_for, rate_of

UNREACHABLE = (RedisError, OSError)
SOCKET_TIMEOUT = 2.0
LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Row:
    """What Valkey holds of one account; times are microseconds on its clock, 0 is never."""

    now: int
    tat: int
    hold: int
    reason: str
    probing: bool
    slots: int


class SharedBudget:
    """The scripts and keys. Opens no connection before the first question."""

    def __init__(self, redis_url: str, *, slot_lease: float) -> None:
        self._lease = int(slot_lease * SECOND)
        self._redis = _client(redis_url)
        self._take, self._release, self._hold = (
            _script(self._redis, name) for name in ("take", "release", "hold")
        )

    def take(
        self, account: str, limits: Limits, *, cost: int, max_wait: int, token: str, known: Known
    ) -> Answer:
        """Ask for rate and slot at once. A grant that is `leased` must be released with its token."""
        rate = rate_of(limits)
        pace = (0, 1, 1) if rate is None else (rate.interval, rate.burst, rate.requests)
        memory = (known.tat, known.hold, _text(known.reason))
        verdict, at, now, tat, hold, leased, reason = self._take(
            keys=_keys(account),
            args=[*pace, cost, max_wait, limits.concurrency or 0, self._lease, token, *memory],
        )
        return Answer(Verdict(verdict.decode()), at, now, tat, hold, bool(leased), _read(reason))

    def release(self, account: str, token: str, *, succeeded: bool) -> None:
        """Free what the token holds; harmless twice, and for a token that holds nothing."""
        self._release(keys=_keys(account), args=[token, int(succeeded)])

    def hold(self, account: str, seconds: float, reason: str) -> tuple[int, str, int]:
        """Hold the account for everybody. Returns until when it is held, why, and the time now."""
        until, why, now = self._hold(keys=_keys(account)[:1], args=[held_for(seconds), _text(reason)])
        return until, _read(why), now

    def row(self, account: str) -> Row:
        """Read without changing anything."""
        key, slots = _keys(account)
        seconds, micros = self._redis.time()
        now = seconds * SECOND + micros
        pipe = self._redis.pipeline(transaction=True)
        pipe.hmget(key, ["tat", "hold", "reason", "probe"])
        pipe.zcount(slots, now, "+inf")
        (tat, hold, reason, probe), busy = pipe.execute()
        return Row(now, int(tat or 0), int(hold or 0), _read(reason or b""), probe is not None, busy)

    def close(self) -> None:
        """Drop the idle connections."""
        self._redis.close()


def _client(redis_url: str) -> Redis:
    """A client that fails at once: its own retries would turn a time-out of 2 s into 15."""
    try:
        return Redis.from_url(
            redis_url,
            socket_timeout=SOCKET_TIMEOUT,
            socket_connect_timeout=SOCKET_TIMEOUT,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            client_name="headrace-budget",
        )
    except (ValueError, TypeError):
        # The parser's words may hold a piece of the password.
        raise InvalidInput(
            "bad_broker_url",
            "The URL of the broker can't be read.",
            place="HEADRACE_BROKER_URL",
            hint="Write redis://:password@host:6379/0, with special characters of the password percent-encoded.",
        ) from None


def _script(client: Redis, name: str) -> Script:
    """EVALSHA, and EVAL again after a restart has emptied the server's script cache: redis-py does both."""
    return client.register_script(files("worker.limits").joinpath(f"{name}.lua").read_text())


def _keys(account: str) -> Sequence[str]:
    """The account's two keys. Quoted, so that a brace in a name can't spoil the hash tag; long names are hashed."""
    name = quote(account, safe="@:/", errors="surrogatepass") or "%"
    if len(name) > 200:
        name = "%" + sha256(name.encode()).hexdigest()
    key = f"headrace:budget:{{{name}}}"
    return key, f"{key}:slots"


def _text(reason: str) -> bytes:
    return reason[:LONGEST_REASON].encode(errors="replace")


def _read(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
