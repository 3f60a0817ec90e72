"""Does memory stay flat and the ledger bounded, hour after hour? Real beat, two workers, Postgres, Valkey and a source that
changes a little, at a steady rate of runs.

    python -m tests.bench.soak --minutes 20 --rate 100 --report soak.md

Samples every ten seconds: memory and file handles of each process, runs a second, lag, sizes of tables and indexes, dead
rows, Valkey's memory, errors. Writes every sample to a CSV beside the report. Ends with 1 where a bound is passed. All
that it started is ended by its pid, also when it is interrupted.
"""

import argparse
import csv
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from tests.bench.parts.machine import words_of_machine
from tests.bench.parts.servers import Source, own_postgres, own_valkey, source
from tests.bench.parts.soaking import HEADINGS, Sample, Sampler, report, verdict
from tests.bench.parts.throughput import BUDGET
from tests.bench.parts.world import World, world

EVERY = 10.0
INTERVAL = 60.0
"""Seconds between two runs of a stream: the rate times this is the number of streams."""
SYNCED = 4
"""Connections of ten streams whose records change; all others find nothing new."""
CHANGED = 20
_pause = threading.Event()


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print the table, and judge it; the exit code."""
    asked = _arguments(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    samples: list[Sample] = []
    try:
        for sample in soak(asked.minutes, asked.rate):
            samples.append(sample)
            print(sample.line(), flush=True)
    except KeyboardInterrupt:
        print("interrupted; what was measured until then:")
    findings = verdict(samples)
    text = report(samples, findings, rate=asked.rate, machine=words_of_machine())
    print(text)
    if asked.report is not None:
        asked.report.write_text(text, encoding="utf-8")
        _write_csv(asked.report.with_suffix(".csv"), samples)
    return 0 if samples and all(finding.kept for finding in findings) else 1


def soak(minutes: float, rate: float) -> Iterator[Sample]:
    """One sample every ten seconds."""
    with ExitStack() as opened:
        postgres, valkey = opened.enter_context(own_postgres()), opened.enter_context(own_valkey())
        changing = opened.enter_context(source(records=5_000))
        own = opened.enter_context(world(postgres, valkey))
        _fill(own, changing, streams=int(rate * INTERVAL))
        own.start_worker("worker-1", "--processes", "1", "--bulk-processes", "1")
        own.start_worker("worker-2", "--processes", "1", "--bulk-processes", "1")
        own.start_beat()
        sampler = Sampler(own)
        ends = time.monotonic() + minutes * 60
        while time.monotonic() < ends:
            _pause.wait(min(EVERY, max(0.1, ends - time.monotonic())))
            changing.mutate(CHANGED)
            yield sampler.sample()


def _fill(own: World, changing: Source, *, streams: int) -> None:
    """Most streams have nothing new, as most have at any time; some follow records that change."""
    own.add_system("bench", limits=BUDGET)
    own.add_connections(changing.url, count=max(1, streams // 10), every=INTERVAL, first_due=5.0)
    own.add_connections(
        changing.url, count=SYNCED, streams=["work_orders"], every=INTERVAL, first_due=5.0, done=False
    )


def _write_csv(path: Path, samples: Sequence[Sample]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*HEADINGS])
        writer.writerows(sample.row() for sample in samples)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (default: 20)")
    parser.add_argument("--rate", type=float, default=100.0, help="runs a second (default: 100)")
    parser.add_argument(
        "--report", type=Path, help="write the report there, and the samples beside it as CSV"
    )
    return parser.parse_args(arguments)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
