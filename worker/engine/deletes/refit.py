"""What becomes of records when their stream is read by another version of its manifest?

Under another key each has another name: what stands under the old one becomes a tombstone (`rekeyed`), and what the new
version reads is created beside it, or again. With another `version` field the old numbers compare with nothing and are
forgotten. Whichever run of the stream comes first does that before it reads anything, in batches under its fence; a run that
dies is followed by one that goes on. Nothing that was observed since the upgrade is touched.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.engine.deletes.listing import fenced
from worker.engine.job import Job
from worker.engine.port import Engine

log = structlog.get_logger()

BATCH = 1000


def refit_records(engine: Engine, job: Job, refit: Mapping[str, Any]) -> int:
    """Bury or forget what doesn't fit any more; how many tombstones that made. Emits: records_rekeyed."""
    run = job.run
    place = {"bucket": run.bucket, "stream": run.stream_id, "at": datetime.fromisoformat(refit["at"])}
    after, buried = "", 0
    while rows := engine.database.all(
        in_partition(sql.records_to_refit, run.bucket),
        {**place, "keys": refit["keys"], "after": after, "most": BATCH},
    ):
        job.check()
        after = rows[-1]["key"]
        alive = [row["key"] for row in rows if row["alive"]] if refit["keys"] else []
        buried += _refit(engine, job, place, [row["key"] for row in rows], alive)
    with fenced(engine, job) as connection:
        connection.execute(sql.end_refit, {"stream": run.stream_id, "refit": Jsonb(dict(refit))})
    if refit["keys"]:
        log.info("records_rekeyed", records=buried)
    return buried


def _refit(engine: Engine, job: Job, place: Mapping[str, Any], keys: list[str], alive: list[str]) -> int:
    run, buried = job.run, 0
    with fenced(engine, job) as connection:
        if alive:
            for extra in job.extras:
                extra.before(connection, run, alive)
            cause = "event" if run.track == "events" else "run"
            done = connection.execute(
                in_partition(sql.bury_rekeyed, run.bucket),
                {**place, "names": alive, "run": run.id, "cause": cause},
            )
            buried = done.rowcount
            for extra in job.extras:
                extra.after(connection, run, alive)
            connection.execute(sql.count_buried, {"run": run.id, "claim": run.claim_no, "buried": buried})
        connection.execute(in_partition(sql.forget_versions, run.bucket), {**place, "names": keys})
    return buried
