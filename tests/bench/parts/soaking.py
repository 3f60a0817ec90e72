"""What is looked at while a Headrace runs for long, and when is it well?

Slopes are measured over the second half: in the first, caches, pools and tables come to their size.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import redis

from tests.bench.parts.world import World

MEBIBYTE = 1024 * 1024
TABLES = ("runs", "run_history", "records", "cursors", "streams")
MOST_GROWTH = 0.3
"""Megabytes a minute that a process may grow by: what a thread pool and caches still settle by in an hour."""
MOST_LAG = 5.0
MOST_OPEN = 20.0
"""Open runs, in seconds of the rate: what is due is worked off, and doesn't pile up."""
HEADINGS = (
    *("seconds", "runs_per_second", "open", "lag", "failed", "retried"),
    *(
        "rss_mb",
        "largest_mb",
        "handles",
        "processes",
        "postgres_connections",
        "valkey_connections",
        "valkey_mb",
    ),
    *(f"{table}_mb" for table in TABLES),
    *(f"{table}_index_mb" for table in TABLES),
    *(f"{table}_dead" for table in TABLES),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look; `figures` are by the headings."""

    figures: dict[str, float]
    memory: dict[str, float]
    """Megabytes of each process."""

    def row(self) -> list[float]:
        return [round(self.figures[name], 3) for name in HEADINGS]

    def line(self) -> str:
        f = self.figures
        return (
            f"{f['seconds']:6.0f} s  {f['runs_per_second']:6.1f} runs/s  open {f['open']:5.0f}  lag {f['lag']:5.2f} s"
            f"  memory {f['rss_mb']:6.0f} MB in {f['processes']:.0f}  handles {f['handles']:4.0f}"
            f"  runs {f['runs_mb'] + f['runs_index_mb']:5.1f} MB  dead {f['runs_dead']:6.0f}"
            f"  valkey {f['valkey_mb']:4.1f} MB  failed {f['failed']:.0f}"
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One bound, and whether it was kept."""

    what: str
    measured: str
    bound: str
    kept: bool


class Sampler:
    """Looks at one world, again and again."""

    def __init__(self, own: World) -> None:
        self._own = own
        self._began = self._at = time.monotonic()
        self._ended = own.ended()
        self._valkey = redis.Redis.from_url(own.broker_url)

    def sample(self) -> Sample:
        now, ended = time.monotonic(), self._own.ended()
        rate = (ended - self._ended) / (now - self._at)
        self._at, self._ended = now, ended
        memory, handles = self._processes()
        told: dict[str, Any] = self._valkey.info()
        figures = {
            "seconds": now - self._began,
            "runs_per_second": rate,
            "rss_mb": sum(memory.values()),
            "largest_mb": max(memory.values()),
            "handles": float(handles),
            "processes": float(len(memory)),
            "valkey_connections": float(told["connected_clients"]),
            "valkey_mb": told["used_memory"] / MEBIBYTE,
            **self._ledger(),
            **self._tables(),
        }
        return Sample(figures, memory)

    def _processes(self) -> tuple[dict[str, float], int]:
        memory, handles = {}, 0
        for name, child in self._own.parts.items():
            for process in (child.process, *child.process.children(recursive=True)):
                try:
                    memory[f"{name}:{process.pid}"] = process.memory_info().rss / MEBIBYTE
                    handles += process.num_fds()
                except psutil.Error:
                    continue  # it has ended between the two looks
        return memory, handles

    def _ledger(self) -> dict[str, float]:
        row = self._own.one(
            """SELECT (SELECT count(*) FROM runs)::float8 AS open,
                      (SELECT coalesce(max(extract(epoch FROM now() - next_run_at)), 0) FROM streams
                        WHERE next_run_at < now())::float8 AS lag,
                      (SELECT count(*) FROM run_history WHERE state NOT IN ('succeeded', 'merged'))::float8 AS failed,
                      (SELECT count(*) FROM run_history WHERE attempt > 0)::float8 AS retried,
                      (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'headrace %%'
                          AND datname = current_database())::float8 AS postgres_connections"""
        )
        return {name: float(value) for name, value in row.items()}

    def _tables(self) -> dict[str, float]:
        """Of a partitioned table, all its partitions together."""
        rows = self._own.database.all(
            """SELECT t.name, coalesce(sum(pg_table_size(p.oid)), 0)::float8 AS size,
                      coalesce(sum(pg_indexes_size(p.oid)), 0)::float8 AS indexes,
                      coalesce(sum(s.n_dead_tup), 0)::float8 AS dead
                 FROM unnest(%(tables)s::text[]) AS t (name)
                CROSS JOIN LATERAL (SELECT relid AS oid FROM pg_partition_tree(t.name::regclass)
                                     UNION SELECT t.name::regclass) p
                 LEFT JOIN pg_stat_user_tables s ON s.relid = p.oid
                GROUP BY t.name""",
            {"tables": list(TABLES)},
        )
        found: dict[str, float] = {}
        for row in rows:
            found[f"{row['name']}_mb"] = row["size"] / MEBIBYTE
            found[f"{row['name']}_index_mb"] = row["indexes"] / MEBIBYTE
            found[f"{row['name']}_dead"] = row["dead"]
        return found


def slope(seconds: Sequence[float], values: Sequence[float]) -> float:
    """How much a minute, by least squares; none of a single sample."""
    if len(seconds) < 2:
        return 0.0
    return statistics.linear_regression(seconds, values).slope * 60


def verdict(samples: Sequence[Sample]) -> list[Finding]:
    """Each bound, over the second half."""
    half = samples[len(samples) // 2 :]
    if not half:
        return []
    seconds = [sample.figures["seconds"] for sample in half]

    def all_of(name: str) -> list[float]:
        return [sample.figures[name] for sample in half]

    def growth(what: str, name: str, *, share: float, floor: float, unit: str) -> Finding:
        values = all_of(name)
        grown, allowed = slope(seconds, values), max(floor, share * statistics.mean(values))
        return Finding(what, f"{grown:+.2f} {unit} a minute", f"at most {allowed:.2f}", grown <= allowed)

    rate = statistics.mean(all_of("runs_per_second"))
    return [
        *_memory(half, seconds),
        growth("file handles", "handles", share=0.005, floor=1.0, unit=""),
        growth("connections to Postgres", "postgres_connections", share=0.005, floor=0.5, unit=""),
        growth("open ledger, table", "runs_mb", share=0.02, floor=0.2, unit="MB"),
        growth("open ledger, indexes", "runs_index_mb", share=0.02, floor=0.2, unit="MB"),
        growth("streams, table", "streams_mb", share=0.02, floor=0.3, unit="MB"),
        growth("cursors, table", "cursors_mb", share=0.02, floor=0.3, unit="MB"),
        growth("Valkey's memory", "valkey_mb", share=0.02, floor=0.1, unit="MB"),
        _at_most("lag", max(all_of("lag")), MOST_LAG, "s"),
        _at_most("open runs", max(all_of("open")), MOST_OPEN * max(rate, 1.0), ""),
        _at_most("runs that failed", half[-1].figures["failed"], 0.0, ""),
    ]


def _memory(half: Sequence[Sample], seconds: Sequence[float]) -> list[Finding]:
    """Of each process that was there all the time."""
    names = [name for name in half[0].memory if all(name in sample.memory for sample in half)]
    found = []
    for name in names:
        values = [sample.memory[name] for sample in half]
        grown, allowed = slope(seconds, values), MOST_GROWTH
        found.append(
            Finding(
                f"memory of {name} ({values[-1]:.0f} MB)",
                f"{grown:+.2f} MB a minute",
                f"at most {allowed:.2f}",
                grown <= allowed,
            )
        )
    return found


def _at_most(what: str, value: float, bound: float, unit: str) -> Finding:
    return Finding(what, f"{value:.1f} {unit}".strip(), f"at most {bound:.0f} {unit}".strip(), value <= bound)


def report(samples: Sequence[Sample], findings: Sequence[Finding], *, rate: float, machine: str) -> str:
    """Markdown: what was measured over time, in ten rows, and the verdict."""
    if not samples:
        return "Nothing was measured.\n"
    shown = [*samples[:: max(1, len(samples) // 10)], samples[-1]]
    names: tuple[str, ...] = (
        "seconds",
        "runs_per_second",
        "open",
        "lag",
        "rss_mb",
        "largest_mb",
        "handles",
        "postgres_connections",
    )
    names += (
        "valkey_connections",
        "valkey_mb",
        "runs_mb",
        "runs_index_mb",
        "runs_dead",
        "run_history_mb",
        "records_mb",
    )
    lines = [
        f"# Soak: {samples[-1].figures['seconds'] / 60:.0f} minutes at {rate:.0f} runs a second",
        "",
        machine,
        "",
        "| " + " | ".join(names) + " |",
        "|" + "---|" * len(names),
        *("| " + " | ".join(f"{sample.figures[name]:.1f}" for name in names) + " |" for sample in shown),
        "",
        "| what | measured over the second half | bound | kept |",
        "|---|---|---|---|",
        *(f"| {f.what} | {f.measured} | {f.bound} | {'yes' if f.kept else 'NO'} |" for f in findings),
    ]
    kept = sum(finding.kept for finding in findings)
    return "\n".join([*lines, "", f"{kept} of {len(findings)} bounds kept.", ""])
