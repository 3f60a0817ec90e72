"""The tables as SQLAlchemy sees them: for migrations to be held against, and for lists put together from filters.

The SQL of the migrations decides; a test fails where this differs from it.
"""

from worker.db.tables import access, deletes, events, feed, keep, lateness, proof, views
from worker.db.tables.connections import connections, cursors, manifests, streams
from worker.db.tables.parts import metadata
from worker.db.tables.records import quarantine, records
from worker.db.tables.runs import budget_quotas, processes, run_history, runs

__all__ = [
    "access",
    "budget_quotas",
    "connections",
    "cursors",
    "deletes",
    "events",
    "feed",
    "keep",
    "lateness",
    "manifests",
    "metadata",
    "processes",
    "proof",
    "quarantine",
    "records",
    "run_history",
    "runs",
    "streams",
    "views",
]
