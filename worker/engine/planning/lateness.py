"""How far behind its cursor does a stream's news come in, and how far must a run look back for it? Pure.

A record that is written though its cursor lies behind a watermark that had passed already came late: it was committed
late at the source, by a clock that is behind, or changed without its cursor. What a run sees of that depends on how far it
looks back, so lateness near that edge stands for lateness beyond it, and widens the look-back at once.

    widest lateness but one in a thousand, half as much again      at least the manifest's overlap, at most what is allowed
    lateness in the last fifth of the look-back                    twice that look-back

Distances are in seconds for times, and in units for numbers. They are counted in classes, four to a doubling.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worker.connectors.contract import CursorValue, Record, StreamTraits

CLASSES_PER_DOUBLING = 4
SHARE = 0.999
MARGIN = 1.5
EDGE = 0.8
KEPT_DAYS = 30
"""What came late longer ago says nothing about now."""
MOST_SECONDS = 86_400.0
MOST_UNITS = 100_000.0
"""How far a look-back widens by itself where the connections file doesn't say."""


@dataclass(frozen=True, slots=True)
class Late:
    """So many records came late by about as much."""

    grade: int
    records: int
    within: float
    """The narrowest look-back by which they were seen."""


def grade_of(distance: float) -> int:
    """The class of a distance: those from 1 up are positive."""
    return math.floor(math.log2(max(distance, 1e-6)) * CLASSES_PER_DOUBLING)


def edge_of(grade: int) -> float:
    """The distance at which a class ends."""
    return float(2.0 ** ((grade + 1) / CLASSES_PER_DOUBLING))


def bounds_of(traits: StreamTraits, options: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the most that a run looks back."""
    asked = options.get("look_back") or {}
    if asked.get("of") != ("time" if traits.timestamps else "number"):
        asked = {}
    least = max(traits.overlap, float(asked.get("least") or 0.0))
    most = float(asked.get("most") or (MOST_SECONDS if traits.timestamps else MOST_UNITS))
    return least, max(least, most)


def look_back_of(traits: StreamTraits, learned: float | None, options: Mapping[str, Any]) -> float:
    """How far the next run looks back behind its cursor."""
    least, most = bounds_of(traits, options)
    return min(most, max(least, learned or 0.0))


def lateness_of(records: Iterable[Record], watermark: CursorValue, written: Sequence[str]) -> list[float]:
    """How late each of these came that was written, and whose cursor lies behind the watermark."""
    behind = {
        record.key: _distance(watermark, record.cursor)
        for record in records
        if record.cursor is not None and record.cursor < watermark  # type: ignore[operator]
    }
    return [behind[key] for key in written if key in behind] if behind else []


def wanted_look_back(seen: Sequence[Late]) -> float:
    """The look-back that what was seen asks for, without bounds; 0 where nothing was late."""
    beyond = [2 * late.within for late in seen if edge_of(late.grade) >= EDGE * late.within]
    return max([MARGIN * quantile(seen, SHARE), *beyond])


def quantile(seen: Sequence[Late], share: float) -> float:
    """The distance within which that share of the late records came."""
    total, passed = sum(late.records for late in seen), 0
    for late in sorted(seen, key=lambda late: late.grade):
        passed += late.records
        if passed >= share * total:
            return edge_of(late.grade)
    return 0.0


def _distance(watermark: CursorValue, cursor: CursorValue) -> float:
    if isinstance(watermark, datetime) and isinstance(cursor, datetime):
        return (watermark - cursor).total_seconds()
    return float(watermark - cursor)  # type: ignore[operator, arg-type]
