"""How are runs taken from their workers? When what they were claimed with holds no more: they would write what may not be kept.

They go back to the queue and spend nothing. What their workers still have in their hands the fence refuses.
"""

from collections.abc import Mapping
from typing import Any

from scheduler.connections.transactions import execute, retrying
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.runs.finish import give_back_in
from worker.runs.wakeups.publish import Wakeup

sql = load_queries("scheduler.keeping.erasure", "take_back.sql")


def take_back_runs(database: Database, stream: Mapping[str, Any]) -> tuple[Wakeup, ...]:
    """Of all runs of the stream that are being worked on, those to be woken again.

    What they are to be claimed with must be committed before: a claim that is under way is waited for.
    """
    return retrying(lambda: _take_back(database, stream))


def _take_back(database: Database, stream: Mapping[str, Any]) -> tuple[Wakeup, ...]:
    with database.transaction() as tx:
        execute(tx, sql.lock_runs, {"stream": stream["id"]})
        running = execute(tx, sql.running_runs, {"stream": stream["id"]})
        return tuple(
            give_back_in(
                tx, row["id"], row["claim_no"], wait=0.0, reason="drain", spent=False, steps=row["steps"]
            )
            for row in running
        )
