"""One system is crippled: the other's runs wait for nothing of it. Its share of the processor is a benchmark's affair
(`make bench ONLY=neighbours`): here a wait is looked for, which would be tens of times as long as a run.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import pytest
from servers.installation.plant import Plant, connected
from servers.installation.stack import Stack, add_system
from servers.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

ROUNDS = 2
RUNS = 12
"""Times that three streams are asked for in each half of a round: 36 runs."""
STREAMS = ("parts", "assets", "work_orders")
A_WAIT = 0.25
"""Seconds: the processor is shared, and a run takes some twenty milliseconds of it; but nobody waits for the other's slot,
budget or connection, which would take the 0.7 s of a slow answer or the second of a refusal."""
SETTINGS = {"HEADRACE_LEASE": "10", "HEADRACE_CONCURRENCY": "16"}


def add_systems(folder: Path) -> None:
    add_system(folder, "plantb")


@dataclass
class Pair:
    """A system that is well, and another beside it that is not, each with a budget of its own."""

    well: Plant
    ill: Plant

    def measure(self) -> list[float]:
        """Seconds from request to end of each run of the system that is well."""
        ids = []
        for _ in range(RUNS):
            wanted = self.well.request(*STREAMS)
            ids += [run.id for run in wanted]
            self.well.wait_for(*(run.id for run in wanted))
        rows = self.well.stack.all(
            "SELECT extract(epoch FROM finished_at - created_at)::float8 AS seconds FROM run_history"
            " WHERE id = ANY (%(ids)s) AND state = 'succeeded'",
            ids=ids,
        )
        assert len(rows) == len(ids) == len(STREAMS) * RUNS
        return [row["seconds"] for row in rows]

    def bother(self) -> None:
        """Everything of the system that is ill is due, all the time, as after a long outage."""
        self.ill.stack.all(
            "UPDATE streams s SET next_run_at = now() FROM connections c"
            " WHERE c.id = s.connection_id AND c.system = 'plantb' RETURNING s.id"
        )


@pytest.fixture
def pair(stack: Stack, tmp_path: Path) -> Iterator[Pair]:
    with (
        connected(stack, tmp_path / "b", system="plantb") as ill,
        connected(stack, tmp_path / "a") as well,
    ):
        well.connect()
        ill.connect()
        stack.wait_until_idle()
        yield Pair(well, ill)


def test_a_system_that_answers_429_to_everything_slows_no_other(pair: Pair) -> None:
    compare(pair, lambda: refuse(pair))
    assert pair.ill.stack.all("SELECT FROM runs WHERE wait_reason = 'limit' AND queue LIKE 'sync.plantb%%'")


def test_a_system_that_answers_slowly_slows_no_other(pair: Pair) -> None:
    compare(pair, lambda: answer_slowly(pair))


@pytest.mark.parametrize("illness", ["429", "slow"])
def test_a_system_that_could_fill_every_slot_slows_no_other(pair: Pair, illness: str) -> None:
    """More of its runs are due at once than a worker has slots, each on an account of its own kind."""
    for number in range(4):
        Plant(pair.ill.stack, pair.ill.demo, f"{pair.ill.name}-{number}", "plantb").connect()
    pair.ill.stack.wait_until_idle()
    compare(pair, lambda: refuse(pair) if illness == "429" else answer_slowly(pair))


def refuse(pair: Pair) -> None:
    pair.ill.demo.forget_stats()
    pair.ill.demo.fault(storm_429=1)
    pair.bother()
    wait_until(lambda: pair.ill.demo.statuses().get("429", 0), what="a refusal")


def answer_slowly(pair: Pair) -> None:
    pair.ill.demo.fault(latency_ms=700)
    pair.bother()
    wait_until(pair.ill.demo.under_way, what="a slow answer")


def compare(pair: Pair, cripple: Callable[[], None]) -> None:
    pair.measure()  # everything warm
    alone, beside = [], []
    for _ in range(ROUNDS):
        pair.ill.demo.clear_faults()
        pair.ill.stack.wait_until_idle()
        alone.append(p95(pair.measure()))
        cripple()
        beside.append(p95(pair.measure()))
    told = f"p95 alone {milliseconds(alone)}, beside {milliseconds(beside)}"
    print(told)  # noqa: T201 - what was measured is worth reading, also when it is well
    assert median(beside) <= median(alone) + A_WAIT, told


def p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1]


def milliseconds(seconds: list[float]) -> str:
    return ", ".join(f"{1000 * value:.0f}" for value in seconds) + " ms"
