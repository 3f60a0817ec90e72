"""A worker process for the test of big pages: carries runs out side by side, small ones over and over, and says what it took.

big_pages_child.py <database> <broker> <connectors> <ids of big runs, separated by commas> <id of a small stream>
"""

import json
import sys
import threading
from pathlib import Path
from time import monotonic
from uuid import UUID

from pydantic import SecretStr

from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.services import Services

LEASE = 8.0


def main(database: str, broker: str, connectors: str, big: str, small: str) -> None:
    settings = load_settings(
        database_url=SecretStr(database),
        broker_url=SecretStr(broker),
        connectors=(Path(connectors),),
        lease=LEASE,
    )
    services = Services.open(settings, name="test", threads=8)
    _small_run(services, int(small))  # all that is made once is made
    before = _memory("VmRSS")
    runs = [threading.Thread(target=carry_out, args=(services, UUID(run))) for run in big.split(",") if run]
    for run in runs:
        run.start()
    beside: list[float] = []
    while any(run.is_alive() for run in runs):
        begun = monotonic()
        _small_run(services, int(small))
        beside.append(monotonic() - begun)
    sys.stdout.write(json.dumps({"before": before, "peak": _memory("VmHWM"), "beside": beside}) + "\n")
    services.close()


def _small_run(services: Services, stream: int) -> None:
    with services.database.transaction() as connection:
        run = request_run(
            connection,
            stream_id=stream,
            system="big",
            lane=Lane.ON_DEMAND,
            cause="cli",
            request_id="small",
        )
    carry_out(services, run.id)


def _memory(name: str) -> float:
    """In megabytes, as the kernel counts."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


main(*sys.argv[1:])
