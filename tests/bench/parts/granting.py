"""A worker process that does nothing but ask for leave: what does a grant cost, and what comes of several at once?

    python -m tests.bench.parts.granting redis://…      one JSON command a line on stdin, one answer a line on stdout

`cost` asks as fast as it can; `send` sends a request for each grant to a source, from several threads.
"""

import http.client
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event
from time import monotonic, perf_counter, process_time
from typing import Any
from urllib.parse import urlsplit

from worker.errors import RateLimited
from worker.limits.budget import Budgets
from worker.limits.policy import Limits

THREADS = 8


def cost(budgets: Budgets, asked: Mapping[str, Any]) -> dict[str, float]:
    """Seconds, and CPU seconds of this process, that so many grants took."""
    limits, account = Limits(**asked["limits"]), asked["account"]
    began, used = perf_counter(), process_time()
    for _ in range(asked["grants"]):
        with budgets.permit(account, limits):
            pass
    return {"wall": perf_counter() - began, "cpu": process_time() - used}


def send(budgets: Budgets, asked: Mapping[str, Any]) -> list[float]:
    """The times of all grants, in seconds since 1970 on Valkey's clock; each was used for a request."""
    limits, end = Limits(**asked["limits"]), monotonic() + asked["seconds"]
    with ThreadPoolExecutor(THREADS) as pool:
        threads = [
            pool.submit(_thread, budgets, asked["account"], limits, asked["source"], end)
            for _ in range(THREADS)
        ]
        return [at for thread in threads for at in thread.result()]


def _thread(budgets: Budgets, account: str, limits: Limits, url: str, end: float) -> list[float]:
    times: list[float] = []
    parts, pause = urlsplit(url), Event()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.connect()
    while monotonic() < end:
        try:
            with budgets.permit(account, limits, lane=2) as permit:
                connection.request("GET", f"{parts.path}?limit=1")
                connection.getresponse().read()
                times.append(permit.at.timestamp())
        except RateLimited as refused:
            wait = (refused.resume_at - datetime.now(UTC)).total_seconds()
            pause.wait(max(0.0, min(wait, end - monotonic())))
    connection.close()
    return times


def main(url: str) -> None:
    budgets = Budgets(url, short_wait=2.0)
    for line in sys.stdin:
        asked = json.loads(line)
        sys.stdout.write(json.dumps({"cost": cost, "send": send}[asked["do"]](budgets, asked)) + "\n")
        sys.stdout.flush()
    budgets.close()


if __name__ == "__main__":
    main(sys.argv[1])
