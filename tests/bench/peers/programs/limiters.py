"""One grant after the other from a peer, in the peer's own environment: `limiters.py <which> redis://…`.

Each line on stdin is a number of grants; the answer is how long they took, in seconds and CPU seconds of this process. All
are asked without waiting, for a limit that isn't reached.
"""

import json
import sys
from collections.abc import Callable
from time import perf_counter, process_time

import redis
from limits import RateLimitItemPerMinute, storage, strategies
from pyrate_limiter import Duration, Limiter, Rate, RedisBucket

PER_MINUTE = 1_000_000


def _limits(strategy: str) -> Callable[[str], Callable[[], object]]:
    def made(url: str) -> Callable[[], object]:
        store = storage.storage_from_string(url)
        limiter = getattr(strategies, strategy)(store)
        item = RateLimitItemPerMinute(PER_MINUTE)
        return lambda: limiter.hit(item, strategy)

    return made


def _pyrate(url: str) -> Callable[[], object]:
    bucket = RedisBucket.init([Rate(PER_MINUTE, Duration.MINUTE)], redis.Redis.from_url(url), "pyrate")
    limiter = Limiter(bucket)
    return lambda: limiter.try_acquire("bench", blocking=False)


def _counter(url: str) -> Callable[[], object]:
    """The least that a limit could ask of a server: a counter and its end."""
    client = redis.Redis.from_url(url)

    def once() -> object:
        with client.pipeline(transaction=False) as pipe:
            pipe.incr("counter")
            pipe.pexpire("counter", 60_000)
            return pipe.execute()

    return once


PEERS: dict[str, Callable[[str], Callable[[], object]]] = {
    "limits-moving": _limits("MovingWindowRateLimiter"),
    "limits-fixed": _limits("FixedWindowRateLimiter"),
    "pyrate": _pyrate,
    "counter": _counter,
}


def main(which: str, url: str) -> None:
    once = PEERS[which](url)
    for line in sys.stdin:
        began, used = perf_counter(), process_time()
        for _ in range(int(line)):
            if once() is False:
                raise AssertionError("a peer refused what its limit allows")
        sys.stdout.write(json.dumps({"wall": perf_counter() - began, "cpu": process_time() - used}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
