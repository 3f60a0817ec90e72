"""What does one grant cost, how much of the allowed rate do four worker processes use, and is any window above it?

Each side asks from a process of its own, one grant after the other, turn by turn on the same Valkey. CPU is that of the
asking process and of Valkey together. The peers' exact strategy is compared (`limits` with a moving window; pyrate-limiter
keeps a log), and for information the cheapest one, which lets twice the limit through at the edge of a window.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import mean
from typing import Any
from uuid import uuid4

import redis

from tests.bench import peers
from tests.bench.parts.line import Line, compared
from tests.bench.parts.servers import ROOT, own_valkey, source
from worker.limits.valkey.question import Patience
from worker.limits.valkey.shared import SharedBudget

PROGRAM = Path(__file__).parents[1] / "peers" / "programs" / "limiters.py"
PLENTY = {"requests": 1_000_000, "per": 60.0}
OURS = {
    "rate": PLENTY,
    "rate with a burst": {**PLENTY, "burst": 1_000_000},
    "rate and slot, given back": {**PLENTY, "concurrency": 1000},
}
THEIRS = {
    "limits-moving": "limits, moving window",
    "limits-fixed": "limits, fixed window",
    "pyrate": "pyrate-limiter",
    "counter": "INCR + PEXPIRE, pipelined",
}
CHEAPER = {"limits-moving", "pyrate"}
PROCESSES = 4
PACES = (
    {"requests": 10, "per": 1.0},
    {"requests": 100, "per": 1.0, "burst": 20},
    {"requests": 200, "per": 2.0, "burst": 200},
    {"requests": 300, "per": 1.0},
)
TOLERANCE = 0.02
"""Of the window: what the source may see closer together than it was granted."""


def run(full: bool) -> Iterator[Line]:
    with own_valkey() as valkey:
        # It is ours and new: else all that it might have forgotten would be waited for.
        shared = SharedBudget(valkey, patience=Patience(short_wait=0, lease=0, stored=False))
        shared.remembers()
        shared.close()
        yield from _costs(valkey, rounds=7 if full else 3, grants=2_000 if full else 800)
        for pace in PACES if full else PACES[:2]:
            yield from _four_processes(valkey, pace, seconds=12.0 if full else 6.0)


class Child:
    """A process that is told a line and answers with one."""

    def __init__(self, program: Sequence[str | Path]) -> None:
        self.process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def tell(self, said: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@contextmanager
def child(*program: str | Path) -> Iterator[Child]:
    started = Child(program)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


def _granting(valkey: str) -> list[str | Path]:
    return [sys.executable, "-m", "tests.bench.parts.granting", valkey]


def _costs(valkey: str, *, rounds: int, grants: int) -> Iterator[Line]:
    wall: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    with ExitStack() as stack:
        server = stack.enter_context(redis.Redis.from_url(valkey))
        ours = stack.enter_context(child(*_granting(valkey)))
        python = peers.python("limiters")
        others = {name: stack.enter_context(child(python, PROGRAM, name, valkey)) for name in THEIRS}
        for turn in range(rounds + 1):
            asked: list[tuple[str, Child, object]] = [
                (
                    name,
                    ours,
                    {"do": "cost", "account": f"{name}-{uuid4()}", "limits": limits, "grants": grants},
                )
                for name, limits in OURS.items()
            ]
            for name, process, said in [*asked, *((name, one, grants) for name, one in others.items())]:
                before = _server_cpu(server)
                process.tell(said)
                took = process.hear()
                if turn:  # the first one warms up
                    wall.setdefault(name, []).append(took["wall"] / grants * 1e6)
                    used = took["cpu"] + _server_cpu(server) - before
                    cpu.setdefault(name, []).append(used / grants * 1e6)
    for unit, found in (("µs", wall), ("µs CPU", cpu)):
        for theirs, words in THEIRS.items():
            cheaper = theirs in CHEAPER
            yield compared(
                f"limiter: one grant, {unit}, beside {words}",
                found["rate"],
                found[theirs],
                unit,
                target="< 1" if cheaper else "",
                holds=(lambda ratio: ratio < 1) if cheaper else None,
            )
        for name in [*OURS][1:]:
            yield compared(
                f"limiter: one grant, {unit}, {name}", found[name], found["rate"], unit, note="our rate alone"
            )


def _server_cpu(server: Any) -> float:
    found: Mapping[str, float] = server.info("cpu")
    return found["used_cpu_user"] + found["used_cpu_sys"]


def _four_processes(valkey: str, pace: Mapping[str, float], *, seconds: float) -> Iterator[Line]:
    limits, account = dict(pace), f"four-{uuid4()}"
    per, requests = float(limits["per"]), int(limits["requests"])
    with source(records=10) as system, ExitStack() as stack:
        workers = [stack.enter_context(child(*_granting(valkey))) for _ in range(PROCESSES)]
        url = system.at("limiter") + "/work_orders"
        for worker in workers:
            worker.tell(
                {"do": "send", "account": account, "limits": limits, "seconds": seconds, "source": url}
            )
        granted = sorted(at for worker in workers for at in worker.hear())
        arrived = sorted(arrival.at for arrival in system.arrivals())
    words = f"{requests} in {per:g} s, burst {limits.get('burst', 1)}, 4 processes"
    share = steady_rate(granted, per) / requests
    yield Line(f"limiter: share used, {words}", share, 1.0, "", "≥ 0.97", share >= 0.97, "the allowed rate")
    fullest = fullest_window(granted, per)
    yield Line(
        f"limiter: fullest window by grant time, {words}",
        fullest,
        requests,
        "",
        "≤ 1",
        fullest <= requests,
        "the limit",
    )
    seen = fullest_window(arrived, per * (1 - TOLERANCE))
    note = f"the limit; windows 2 % shorter, whole ones held {fullest_window(arrived, per)}; {len(arrived)} requests"
    yield Line(
        f"limiter: fullest window at the source, {words}", seen, requests, "", "≤ 1", seen <= requests, note
    )


def steady_rate(times: Sequence[float], per: float) -> float:
    """How many there are in `per` seconds once the first burst is over: the mean over spans that begin at any moment."""
    spans, starts = int((times[-1] - times[0]) / per) - 2, 50
    begins = [times[0] + per * (1 + number / starts) for number in range(starts)]
    return mean(sum(begin <= at < begin + spans * per for at in times) for begin in begins) / spans


def fullest_window(times: Sequence[float], seconds: float) -> int:
    """The most that any closed window of that length holds."""
    most = oldest = 0
    for number, at in enumerate(times):
        while times[oldest] < at - seconds:
            oldest += 1
        most = max(most, number - oldest + 1)
    return most
