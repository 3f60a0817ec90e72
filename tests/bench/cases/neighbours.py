"""What does a system that is far behind cost its neighbour?

One system may be asked 10 times a second, and 500 of its runs wait, on one account, more than a worker has slots. Beside
it, on the same worker, another system without a limit: its runs are asked for a few at a time, as by hand. The time from
request to end, in the 95th of a hundred, beside the other and alone, by turns in the same run.
"""

from collections.abc import Iterator

from tests.bench.parts.line import Line, compared
from tests.bench.parts.response import p95, response_times
from tests.bench.parts.servers import Source, own_postgres, own_valkey, source
from tests.bench.parts.world import IDLE_STREAMS, World, world

FULL_ONLY = True

ILL, WELL = "behind", "bench"
WAITING, ACCOUNTS = 500, 50
ROUNDS, SHORT_ROUNDS = 5, 2
REQUESTS = 40
"""Times that some streams are asked for in each half of a round."""
AT_ONCE = 3
ALLOWED = 1.2


def run(full: bool) -> Iterator[Line]:
    alone, beside = [], []
    with (
        own_postgres() as postgres,
        own_valkey() as valkey,
        source(1000) as data,
        world(postgres, valkey) as own,
    ):
        _prepare(own, data)
        own.start_worker()
        own.start_beat()
        _measure(own)  # everything warm
        for _ in range(ROUNDS if full else SHORT_ROUNDS):
            _calm(own)
            alone.append(_measure(own))
            _fall_behind(own)
            beside.append(_measure(own))
            if _waiting(own) < WAITING / 2:
                raise RuntimeError("The other system was not behind while its neighbour was measured.")
    yield compared(
        f"p95 of a run beside a system with {WAITING} waiting runs at 10/s",
        [1000 * value for value in beside],
        [1000 * value for value in alone],
        "ms",
        target=f"<= {ALLOWED} x",
        holds=lambda ratio: ratio <= ALLOWED,
        note="the same runs alone",
    )


def _prepare(own: World, data: Source) -> None:
    own.add_system(ILL, limits={"requests": 10, "per": "1s"})
    own.add_connections(data.url, system=WELL, count=1, streams=IDLE_STREAMS[:AT_ONCE], first_due=None)
    own.add_connections(
        data.url,
        system=ILL,
        count=ACCOUNTS,
        streams=IDLE_STREAMS[: WAITING // ACCOUNTS],
        every=86_400.0,
        first_due=None,
    )
    own.database.run("UPDATE connections SET budget = 'shared' WHERE system = %(s)s", {"s": ILL})
    own.publisher()


def _measure(own: World) -> float:
    """The 95th percentile of the well system's runs, in seconds from request to end."""
    return p95(response_times(own, WELL, REQUESTS))


def _fall_behind(own: World) -> None:
    """All of the ill system is due; its first runs have met the limit."""
    own.database.run(
        "UPDATE streams s SET next_run_at = now() FROM connections c"
        " WHERE c.id = s.connection_id AND c.system = %(s)s",
        {"s": ILL},
    )
    own.wait(
        lambda: own.one("SELECT EXISTS (SELECT FROM runs WHERE wait_reason = 'limit') AS met")["met"],
        30,
        what="a run that waits for the limit",
    )


def _waiting(own: World) -> int:
    return int(own.one("SELECT count(*) AS n FROM runs WHERE state = 'queued'")["n"])


def _calm(own: World) -> None:
    """Nobody waits: what is left of the ill system is taken away."""
    own.database.run(
        "UPDATE streams s SET next_run_at = NULL FROM connections c"
        " WHERE c.id = s.connection_id AND c.system = %(s)s",
        {"s": ILL},
    )
    own.database.run("DELETE FROM runs WHERE state = 'queued'")
    own.wait_idle()


if __name__ == "__main__":
    import sys

    for line in run("--full" in sys.argv):
        print(line)
