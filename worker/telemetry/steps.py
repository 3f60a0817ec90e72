"""Where did the time of a run go?

Promises: adding a step costs about a microsecond, and what is kept is small however long the run is: the first steps
stand one by one in their order, later ones are summed up by name. A run that was given back goes on where it left off
(`merge`). Two threads may add at once, since the next page is fetched while this one is loaded.

An entry is `{"name": "request", "ms": 81.3, "n": 1, "status": 200, "bytes": 5120}`; a sum also has `max_ms`.
"""

import json
from collections.abc import Mapping, Sequence
from threading import Lock
from time import perf_counter
from types import TracebackType
from typing import Any, Self

ONE_BY_ONE = 40
MOST_NAMES = 16
MOST_BYTES = 8_000
SURELY_SMALL = 20
"""So few entries are never more bytes than that, whatever they hold."""
MOST_COUNTS = 6
LONGEST_NAME = 24
REST = "other"
LATEST = frozenset({"status", "divisor"})
"""Counts of which a sum makes no sense: the latest stands."""

_Entry = tuple[str, float, Mapping[str, float]]


class Steps:
    """The steps of one run, in the order in which they ended."""

    __slots__ = ("_first", "_lock", "_sums")

    def __init__(self) -> None:
        self._lock = Lock()
        self._first: list[_Entry] = []
        self._sums: dict[str, dict[str, float]] = {}

    def step(self, name: str, **counts: float) -> "Step":
        """`with steps.step("request") as step: …; step.counts["bytes"] = len(body)`"""
        return Step(self, name, counts)

    def add(self, name: str, seconds: float, **counts: float) -> None:
        """Note a step that took `seconds`; counts are numbers, added up when steps are."""
        self._add(name, seconds, counts)

    def _add(self, name: str, seconds: float, counts: Mapping[str, float]) -> None:
        with self._lock:
            if len(self._first) < ONE_BY_ONE and not self._sums:
                self._first.append((name, seconds, counts))
            else:
                _sum_up(self._sums, name, seconds, counts)

    def as_json(self) -> list[dict[str, Any]]:
        """At most 64 entries and 8 kB, times in milliseconds."""
        with self._lock:
            first = list(self._first)
            sums = {name: dict(total) for name, total in self._sums.items()}
        while True:
            entries = [_as_entry(name, _alone(seconds, counts)) for name, seconds, counts in first]
            entries += [_as_entry(name, total) for name, total in sums.items()]
            if not first or len(entries) <= SURELY_SMALL or len(json.dumps(entries)) <= MOST_BYTES:
                return entries
            half = len(first) // 2
            for name, seconds, counts in first[half:]:
                _sum_up(sums, name, seconds, counts)
            del first[half:]

    def merge(self, previous: Sequence[Mapping[str, Any]] | None) -> Self:
        """Go on after the steps that `as_json` gave earlier. What can't be read is left out."""
        for name, total in filter(None, map(_read, previous or ())):
            with self._lock:
                if total["n"] == 1 and len(self._first) < ONE_BY_ONE and not self._sums:
                    counts = {key: value for key, value in total.items() if key not in _OWN}
                    self._first.append((name, total["seconds"], counts))
                else:
                    _join(self._sums, name, total)
        return self


class Step:
    """A step under way. It is noted when it ends, whether well or by an exception."""

    __slots__ = ("_name", "_start", "_steps", "counts")

    def __init__(self, steps: Steps, name: str, counts: dict[str, float]) -> None:
        self._steps = steps
        self._name = name
        self.counts = counts

    def __enter__(self) -> Self:
        self._start = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._steps._add(self._name, perf_counter() - self._start, self.counts)  # noqa: SLF001


_OWN = frozenset({"n", "seconds", "longest"})


def _alone(seconds: float, counts: Mapping[str, float]) -> dict[str, float]:
    return {"n": 1, "seconds": seconds, "longest": seconds, **counts}


def _sum_up(
    sums: dict[str, dict[str, float]], name: str, seconds: float, counts: Mapping[str, float]
) -> None:
    _join(sums, name, _alone(seconds, counts))


def _join(sums: dict[str, dict[str, float]], name: str, more: Mapping[str, float]) -> None:
    if name not in sums and len(sums) >= MOST_NAMES - 1:
        name = REST
    total = sums.setdefault(name, {"n": 0, "seconds": 0.0, "longest": 0.0})
    for key, value in more.items():
        if key == "longest":
            total[key] = max(total[key], value)
        elif key in LATEST:
            total[key] = value
        elif key in total or len(total) < MOST_COUNTS + len(_OWN):
            total[key] = total.get(key, 0) + value


def _as_entry(name: str, total: Mapping[str, float]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": name[:LONGEST_NAME],
        "ms": _milliseconds(total["seconds"]),
        "n": total["n"],
    }
    if total["n"] > 1:
        entry["max_ms"] = _milliseconds(total["longest"])
    counts = [(key, value) for key, value in total.items() if key not in _OWN]
    for key, value in counts[:MOST_COUNTS]:
        entry[key[:LONGEST_NAME]] = value if isinstance(value, int) else round(value, 3)
    return entry


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _read(entry: object) -> tuple[str, dict[str, float]] | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        return None
    numbers = {
        key: value
        for key, value in entry.items()
        if isinstance(key, str) and isinstance(value, int | float) and not isinstance(value, bool)
    }
    seconds = numbers.pop("ms", 0) / 1000
    longest = numbers.pop("max_ms", seconds * 1000) / 1000
    count = max(1, int(numbers.pop("n", 1)))
    return entry["name"], {"n": count, "seconds": seconds, "longest": longest, **numbers}
