"""How do confirmed suspects become tombstones? In batches, by the rule of every page and under the run's fence.

Each carries the time of its evidence: what the copy observed after that stays.
"""

from collections.abc import Sequence
from itertools import groupby

from psycopg.rows import DictRow

from worker.connectors.contract import Gone, Page
from worker.db.queries import sql
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.planning.plan import Checkpoint
from worker.engine.port import Engine

BATCH = 1000
HERE = Checkpoint(since=None, until=None, position=None, watermark=None, finished=False)
"""The list is read to its end: there is no place to keep."""


def bury(engine: Engine, job: Job, *, fuse: int | None = None) -> int:
    """Bury those that are confirmed, or all that a fuse holds; how many there were."""
    asked = {"stream": job.run.stream_id, "fuse": fuse, "most": BATCH}
    after, deleted = "", 0
    while rows := engine.database.all(sql.suspects_to_bury, {**asked, "after": after}):
        job.check()
        deleted += job.load(engine, _pages(rows), HERE).deleted
        keys = [row["key"] for row in rows]
        engine.database.run(sql.clear_suspects, {"stream": job.run.stream_id, "keys": keys})
        after = keys[-1]
    return deleted


def _pages(rows: Sequence[DictRow]) -> list[Observed]:
    by_evidence = sorted(rows, key=lambda row: row["evidence_at"])
    return [
        Observed(Page([], gone=[Gone(row["key"], row["reason"]) for row in group]), at)
        for at, group in groupby(by_evidence, key=lambda row: row["evidence_at"])
    ]
