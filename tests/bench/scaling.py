"""What do so many streams ask of the machines? Computed from the measured costs of a run, as it stands in docs/scaling.md.

    make bench ONLY=costs FULL=1 WRITE=costs.md
    .venv/bin/python -m tests.bench.scaling costs.md docs/scaling.md

Arithmetic and nothing else: runs a second times what a run costs. The costs hold for this kind of machine; whoever
plans for another runs both there.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.table import put

STREAMS = (10_000, 100_000, 1_000_000)
INTERVALS = (300, 900)
DAY = 86_400
KEPT_DAYS = 3
"""How long runs that found nothing stay in the history."""
BUSY = 0.7
"""The share of a core that can be planned with: the rest is for peaks."""

WHATS = ("a second without any run", "an idle run", "1,000 new records of 1 kB")

_ROW = re.compile(rf"^\| ({'|'.join(WHATS)}): ([^|]+?) \| ([^|]+?) \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one idle run: CPU in milliseconds, bytes of WAL in kB, bytes of history."""

    postgres: float
    commits: float
    wal: float
    valkey: float
    commands: float
    workers: float
    beat: float
    history: float


def read_costs(table: str) -> Costs:
    """From the table that the driver wrote."""
    found = {
        name: float(value.split()[0].replace(",", ""))
        for what, name, value in _ROW.findall(table)
        if what == "an idle run"
    }
    return Costs(
        postgres=found["Postgres"],
        commits=found["commits"],
        wal=found["WAL"],
        valkey=found["Valkey"],
        commands=found["commands to Valkey"],
        workers=found["workers"],
        beat=found["beat"],
        history=found["history"],
    )


def costs_table(table: str) -> str:
    """What was measured, a row for each part."""
    found = {(what, name): value for what, name, value in _ROW.findall(table)}
    names = list(dict.fromkeys(name for _, name in found))
    rows = [_row(["", *WHATS]), _row(["---"] * (1 + len(WHATS)))]
    rows += [_row([name, *(found.get((what, name), "-") for what in WHATS)]) for name in names]
    return "\n".join(rows)


HEAD = (
    "streams, every",
    "runs/s",
    "cores: workers",
    "Postgres",
    "Valkey",
    "beat",
    "commits/s",
    "WAL a day",
    "commands/s to Valkey",
    f"{KEPT_DAYS} days of history",
)


def scaling_table(costs: Costs) -> str:
    """What each number of streams asks for, at each interval."""
    rows = [_row(HEAD), _row(["---"] * len(HEAD))]
    for streams in STREAMS:
        for every in INTERVALS:
            rate = streams / every
            cores = (rate * cost / 1000 for cost in (costs.workers, costs.postgres, costs.valkey, costs.beat))
            rows.append(
                _row(
                    [
                        f"{streams:,}, {every // 60} min",
                        f"{rate:,.0f}",
                        *(f"{each:.2g}" if each < 10 else f"{each:.0f}" for each in cores),
                        f"{rate * costs.commits:,.0f}",
                        _bytes(rate * costs.wal * 1000 * DAY),
                        f"{rate * costs.commands:,.0f}",
                        f"{_bytes(rate * DAY * KEPT_DAYS * costs.history)}, {rate * DAY * KEPT_DAYS / 1e6:,.0f} M rows",
                    ]
                )
            )
    return "\n".join(rows)


LIMITS_HEAD = ("part", "carries", "and then")


def limits_table(costs: Costs) -> str:
    """Where each part of which there is one only meets its end."""

    def rate(cost: float) -> str:
        return f"{BUSY * 1000 / cost:,.0f} runs/s" if cost else "-"

    rows = [
        (
            "Valkey (one thread)",
            rate(costs.valkey),
            "a broker for each group of systems; the limiter goes with its accounts",
        ),
        ("beat (one process)", rate(costs.beat), "another beat: they share the work without a leader"),
        (
            "Postgres, each core",
            rate(costs.postgres),
            "more cores, then a database for each group of systems",
        ),
        ("workers, each core", rate(costs.workers), "more cores, more machines"),
    ]
    return "\n".join([_row(LIMITS_HEAD), _row(["---"] * 3), *(_row(row) for row in rows)])


def _bytes(count: float) -> str:
    return f"{count / 1e12:.1f} TB" if count >= 1e12 else f"{count / 1e9:.3g} GB"


def _row(cells: "list[str] | tuple[str, ...]") -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    table = Path(sys.argv[1]).read_text()
    costs = read_costs(table)
    parts = (
        f"Measured: {table.splitlines()[0]}",
        costs_table(table),
        "Computed from these:",
        scaling_table(costs),
        f"A part that there is one of, at {BUSY:.0%} of a core:",
        limits_table(costs),
    )
    put(Path(sys.argv[2]), "\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
