"""How far has a stream been read, how late does its news come, and how far can its cursor be trusted?

The reads and the words behind the command line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import DictRow

from scheduler.connections.systems import source_of
from worker.connectors.contract import StreamTraits
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.db.queries import sql as worker_sql
from worker.engine.planning.lateness import KEPT_DAYS, Late, bounds_of, look_back_of, quantile
from worker.engine.watching.skew import FAR_OFF, TOLERANCE
from worker.errors import HeadraceError
from worker.parsing.durations import format_duration

sql = load_queries("scheduler.runs", "cursors.sql")


@dataclass(frozen=True, slots=True)
class CursorState:
    """What is known of one stream's cursor."""

    row: DictRow
    traits: StreamTraits | None
    """None: its connector is not there, or has no such stream any more."""
    late: Sequence[Late]

    @property
    def kind(self) -> str:
        traits = self.traits
        if traits is None:
            return "unknown"
        if not traits.incremental:
            return "none"
        return "token" if traits.token else "time" if traits.timestamps else "number"

    @property
    def look_back(self) -> float | None:
        """How far the next run looks back; None: there is nothing to look back from."""
        if self.traits is None or self.kind not in {"time", "number"}:
            return None
        return look_back_of(self.traits, self.row["look_back"], self.row["options"])

    @property
    def came_late(self) -> int:
        return sum(late.records for late in self.late)

    def distance(self, value: float | None) -> str | None:
        """In words of the cursor's kind."""
        if value is None:
            return None
        if self.kind == "number":
            return f"{value:,.0f}"
        return format_duration(value) if value >= 1 else f"{1000 * value:.0f}ms"

    def watermark(self) -> str | None:
        found = self.row["watermark"]
        if isinstance(found, Mapping):
            return f"token of {len(str(found.get('token')))} characters"
        return None if found is None else str(found)

    def warnings(self) -> list[str]:
        """Why the cursor alone can't be trusted, and what to do."""
        doubts = {doubt["reason"]: doubt["times"] for doubt in self.row["doubts"]}
        words = [_DOUBTS[reason].format(times=f"{times:,}") for reason, times in doubts.items()]
        if abs(self.row["clock_skew"]) > FAR_OFF:
            words.append(
                "The system's clock is more than a day off: the cursor goes by ours. Mend that clock."
            )
        if self.traits is not None and self.traits.seam == "total":
            words.append(
                "Its pages can't be made to overlap, so records that only move while they are read go unseen:"
                " give `size_param` with a size of 20 or more in its manifest, or `stable: true`."
            )
        return words

    def as_json(self) -> dict[str, Any]:
        bounds = None
        if self.traits is not None and self.look_back is not None:
            bounds = bounds_of(self.traits, self.row["options"])
        least, most = bounds or (None, None)
        return {
            "stream": self.row["stream"],
            "kind": self.kind,
            "watermark": self.row["watermark"] if self.kind != "token" else self.watermark(),
            "moved_at": self.row["moved_at"],
            "reading": bool(self.row["reading"]),
            "overlap": None if self.traits is None else self.traits.overlap,
            "look_back": self.look_back,
            "least": least,
            "most": most,
            "late": [
                {"grade": late.grade, "records": late.records, "within": late.within} for late in self.late
            ],
            "came_late": self.came_late,
            "p50": quantile(self.late, 0.5) or None,
            "p999": quantile(self.late, 0.999) or None,
            "without_cursor": next((d["times"] for d in self.row["doubts"] if d["reason"] == "nulls"), 0),
            "clock_skew": self.row["clock_skew"],
            "warnings": self.warnings(),
        }


_DOUBTS = {
    "nulls": "{times} records came without a cursor: no run finds their changes by it. A sweep or a comparison does.",
    "too_late": "Records came later than the look-back may reach: raise `look_back: {{most: …}}` in the connections file,"
    " and sync the stream anew.",
    "token_expired": "Its token was refused {times} times, and everything was read anew. Sync more often; deletes of the"
    " time between are found by a sweep.",
    "pages_shifted": "Records changed places while they were read in {times} runs; each went back and read them.",
}


def cursors_of(
    database: Database, registry: Registry, connection: Mapping[str, Any], stream: str | None = None
) -> list[CursorState]:
    """Those of a connection's streams that are switched on, or of one stream."""
    rows = database.all(sql.cursors_of_connection, {"connection": connection["id"], "stream": stream})
    return [CursorState(row, _traits(registry, row), _late(database, row)) for row in rows]


def skew_in_words(seconds: float) -> str:
    """The system's clock beside ours."""
    if abs(seconds) <= TOLERANCE:
        return "as ours"
    return f"{format_duration(round(abs(seconds)))} {'ahead' if seconds > 0 else 'behind'}"


def _late(database: Database, row: DictRow) -> list[Late]:
    found = database.all(worker_sql.lateness, {"stream": row["id"], "days": KEPT_DAYS})
    return [Late(**each) for each in found]


def _traits(registry: Registry, row: DictRow) -> StreamTraits | None:
    try:
        return source_of(registry, row).stream(row["stream"]).traits
    except HeadraceError:
        return None
