"""How far is a source's clock ahead of ours? Its answers say so by their `Date` header, to the second.

The header was written between sending and receiving, so each answer gives bounds, and what is known is kept as long as it
lies within them, or nearly. Else the lower one counts: a cursor that stops too early is read again, one that goes too far
misses what is stamped behind it. Our clock is the database's. Emits: clock_skew_changed, clock_far_off.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import structlog

from worker.db.database import Database
from worker.db.queries import sql
from worker.runs.claim import Run

log = structlog.get_logger()

TOLERANCE = 2.0
"""Seconds; a header tells no more, and every change is a write."""
FAR_OFF = 86_400.0
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Outside of these it is no time that anybody's clock shows."""


def skew_after(headers: Mapping[str, str], known: float, *, sent: datetime, received: datetime) -> float:
    """What is known of the skew after an answer with these headers. An answer that a cache kept says nothing."""
    said = None if "age" in headers else _date(headers.get("date"))
    if said is None or received < sent:
        return known
    least = (said - received).total_seconds()
    most = (said + timedelta(seconds=1) - sent).total_seconds()
    return known if least - TOLERANCE < known < most + TOLERANCE else round(least, 1)


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    said = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    return said if EARLIEST < said < LATEST else None


class ClockWatch:
    """Listens to the answers of one run's source, and notes when its clock is not where it was thought to be."""

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._connection = run.connection_id
        self.skew = run.clock_skew
        """What is known by now."""

    def heard(self, headers: Mapping[str, str], sent: datetime, received: datetime) -> None:
        """An answer came."""
        skew = skew_after(headers, self.skew, sent=sent, received=received)
        if skew == self.skew:
            return
        before, self.skew = self.skew, skew
        self._database.run(sql.note_skew, {"connection": self._connection, "skew": skew})
        log.info("clock_skew_changed", before=before, now=skew)
        if abs(skew) > FAR_OFF:
            log.warning("clock_far_off", seconds=skew)
