"""Which changes did the poll find of which no webhook had told? What a live run wrote is compared with what was heard.

Only of connections that take webhooks, and after the commit: who has none pays nothing, and a page that brought nothing new
is asked nothing about. A run that dies in between leaves its last page uncounted; the ratio doesn't live on single records.
"""

from collections.abc import Sequence

import structlog

from worker.connectors.contract import Source
from worker.db.database import Database
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.errors import HeadraceError
from worker.runs.claim import Run

log = structlog.get_logger()

TOLERANCE = 60.0
"""Seconds by which a system's clock may be ahead of ours when it says when something changed, beside what was measured."""


class MissMeter:
    """Looks at what one live run wrote. Emits: misses_uncounted."""

    def __init__(self, database: Database, run: Run) -> None:
        self._database, self._run = database, run

    def wrote(self, keys: Sequence[str]) -> None:
        """These may have been written by the run's last commit."""
        run = self._run
        asked = {
            "bucket": run.bucket,
            "stream": run.stream_id,
            "run": run.id,
            "keys": list(keys),
            "tolerance": TOLERANCE + abs(run.clock_skew),
        }
        try:
            row = self._database.one(in_partition(sql.note_untold, run.bucket), asked)
            if row is not None and row["told"]:
                self._database.run(sql.count_told, {"stream": run.stream_id, "told": row["told"]})
        except HeadraceError as exc:  # a count is no reason to stop a run
            log.warning("misses_uncounted", error_code=exc.code, error=str(exc))


def meter_of(database: Database, run: Run, source: Source) -> MissMeter | None:
    """The meter of a live run; None where nobody expects a webhook.

    A first sync finds what was there before: of that no webhook could tell.
    """
    webhooks = source.webhooks
    if webhooks is None or run.stream not in webhooks.streams or run.cause == "webhook":
        return None
    proved = webhooks.secret_names
    if proved and not any(name in run.secrets for name in proved):
        return None
    began = run.cursor.moved_at is not None or run.runs_with_records > 0
    return MissMeter(database, run) if began else None
