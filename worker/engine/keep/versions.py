"""How is what a record was kept, when it changes? In the transaction that changes it, before and after its rows are written.

Before: the states that may end are locked and copied, with the time at which they end. After: those that didn't end are
dropped again. The present state stands in the copy alone, so the first change after versions are switched on finds what
was there before. A record that somebody else creates between the two is one whose first moments nobody kept.
"""

from collections.abc import Sequence

import psycopg
from psycopg.rows import DictRow

from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.runs.claim import Run


class Versions:
    """Keeps the versions of one run's records: an `Extra` of the loader."""

    def before(self, connection: "psycopg.Connection[DictRow]", run: Run, keys: Sequence[str]) -> None:
        """Keep what may be about to end."""
        connection.execute(in_partition(sql.keep_versions, run.bucket), _params(run, keys))

    def after(self, connection: "psycopg.Connection[DictRow]", run: Run, keys: Sequence[str]) -> None:
        """Drop what went on."""
        connection.execute(in_partition(sql.drop_unchanged_versions, run.bucket), _params(run, keys))


def _params(run: Run, keys: Sequence[str]) -> dict[str, object]:
    return {"bucket": run.bucket, "stream": run.stream_id, "keys": list(keys), "run": run.id}
