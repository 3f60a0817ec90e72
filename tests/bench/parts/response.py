"""How long does a run take that somebody asks for, from request to end? A few at a time, as by hand, again and again."""

from statistics import quantiles

from tests.bench.parts.world import World
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.runs.wakeups.publish import publish


def response_times(own: World, system: str, times: int) -> list[float]:
    """Seconds, by Postgres' clock, of all runs: every stream of the system, asked for together so many times."""
    streams = [
        row["id"]
        for row in own.database.all(
            "SELECT s.id FROM streams s JOIN connections c ON c.id = s.connection_id WHERE c.system = %(s)s",
            {"s": system},
        )
    ]
    took: list[float] = []
    for _ in range(times):
        took += _ended(own, ask_for(own, system, streams))
    return took


def ask_for(own: World, system: str, streams: list[int]) -> list[object]:
    """Ask for a run of each, as `headrace sync` does; their ids."""
    with own.database.transaction() as connection:
        asked = [
            request_run(
                connection,
                stream_id=stream,
                system=system,
                lane=Lane.ON_DEMAND,
                cause="cli",
                request_id="bench",
            )
            for stream in streams
        ]
    publish([(each.id, each.queue) for each in asked])
    return [each.id for each in asked]


def p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]


def _ended(own: World, runs: list[object]) -> list[float]:
    """How long each took, once all have ended."""
    statement = (
        "SELECT extract(epoch FROM finished_at - created_at)::float8 AS took FROM run_history"
        " WHERE id = ANY (%(runs)s) AND state = 'succeeded'"
    )
    own.wait(
        lambda: len(own.database.all(statement, {"runs": runs})) == len(runs), 60, what="the end of runs"
    )
    return [row["took"] for row in own.database.all(statement, {"runs": runs})]
