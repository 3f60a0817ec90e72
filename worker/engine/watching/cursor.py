"""What does a run learn about its stream's cursor while it loads? How late records came, and what makes it doubtful.

Asked of nothing but what a commit has just written, and noted after it: a crash in between loses a count and no record.
Emits: look_back_changed, cursor_not_trusted.
"""

from collections import Counter
from collections.abc import Sequence

import structlog

from worker.connectors.contract import CursorValue, Page, StreamTraits
from worker.connectors.cursors import load_cursor
from worker.db.database import Database
from worker.db.queries import sql
from worker.engine.planning.lateness import (
    KEPT_DAYS,
    Late,
    bounds_of,
    grade_of,
    lateness_of,
    look_back_of,
    wanted_look_back,
)
from worker.runs.claim import Run

log = structlog.get_logger()


class CursorWatch:
    """Watches the pages of one run."""

    def __init__(self, database: Database, run: Run, traits: StreamTraits) -> None:
        self._database = database
        self._run = run
        self._traits = traits
        self._look_back = look_back_of(traits, run.look_back, run.options)
        self._passed = _passed(run, traits)

    def loaded(self, pages: Sequence[Page], written: Sequence[str]) -> None:
        """Look at pages that were committed; `written` are the keys of what they changed."""
        if not written or not self._traits.incremental or self._traits.token:
            return
        records = [record for page in pages for record in page.records]
        if self._passed is not None and (late := lateness_of(records, self._passed, written)):
            self._note_late(late)
        if without := {record.key for record in records if record.cursor is None}:
            self.doubt("nulls", len(without.intersection(written)))

    def doubt(self, reason: str, times: int = 1) -> None:
        """Note why the cursor alone can't be trusted; said in the log the first time."""
        if times == 0:
            return
        noted = self._database.one(
            sql.note_doubt, {"stream": self._run.stream_id, "reason": reason, "times": times}
        )
        if noted and noted["times"] == times:
            log.warning("cursor_not_trusted", reason=reason, times=times)

    def _note_late(self, late: Sequence[float]) -> None:
        stream = {"stream": self._run.stream_id}
        grades = Counter(map(grade_of, late))
        self._database.run(
            sql.note_late,
            stream | {"grades": list(grades), "records": list(grades.values()), "within": self._look_back},
        )
        rows = self._database.all(sql.lateness, stream | {"days": KEPT_DAYS})
        wanted = wanted_look_back([Late(**row) for row in rows])
        least, most = bounds_of(self._traits, self._run.options)
        if wanted > most:
            self.doubt("too_late")
        kept = min(most, max(least, wanted))
        before = least if self._run.look_back is None else self._run.look_back
        if abs(kept - before) > 0.01 * before:
            self._database.run(sql.set_look_back, stream | {"look_back": kept})
            log.info("look_back_changed", before=before, now=kept, late=len(late))


def _passed(run: Run, traits: StreamTraits) -> CursorValue | None:
    """The watermark that had passed before this run; None: what lies behind it now may never have been asked for.

    That is so while the history is on its way, in the very first window, and in one that was interrupted.
    """
    stored = run.cursor
    first = stored.watermark is None or (traits.timestamps and stored.until is None)
    beside = traits.timestamps and run.history_done_at is None
    if run.track != "live" or not traits.incremental or traits.token or first or beside or stored.position:
        return None
    return load_cursor(stored.watermark, timestamps=traits.timestamps)
