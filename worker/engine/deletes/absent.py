"""May records go that were asked for again by their keys and aren't there? As many as a sweep could miss without asking.

A system that hides records from a user, or answers for another company, says `404` of each. So a long list passes the same
fuse as a sweep: more than may go in a day are held until a person decides. Emits: deletes_held.
"""

from collections.abc import Sequence
from datetime import datetime
from math import ceil

import structlog
from psycopg.types.json import Jsonb

from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.engine.deletes.fuse import Held
from worker.engine.deletes.judge import LEAST, Past, share_of, trips
from worker.engine.deletes.listing import fenced
from worker.engine.job import Job
from worker.engine.port import Engine
from worker.runs.finish import Failure

log = structlog.get_logger()


def pass_unasked(job: Job, asked: int) -> bool:
    """Whether so few keys were asked for that the fuse lets all of them go."""
    return asked <= LEAST and share_of(job.run.options) > 0


def may_go(engine: Engine, job: Job, count: int) -> bool:
    """Whether so many may surely go. Asked cheaply: a large stream is counted no farther than it matters."""
    share = share_of(job.run.options)
    if share <= 0:
        return False
    run, database = job.run, engine.database
    place = {"bucket": run.bucket, "stream": run.stream_id}
    row = database.one(in_partition(sql.deletes_lately, run.bucket), place)
    count += row["deleted"] if row else 0
    if count <= LEAST:
        return True
    asked = {**place, "many": ceil(count / share)}
    enough = database.one(in_partition(sql.are_so_many, run.bucket), asked)
    return bool(enough and enough["enough"])


def hold_absent(
    engine: Engine, job: Job, keys: Sequence[str], at: datetime, *, before: int = 0
) -> Failure | None:
    """Hold them all, and say so, if they are too many; None: they may go. `at`: when the first of them was asked for;
    `before`: so many has the run let go already.
    """
    run, share = job.run, share_of(job.run.options)
    place = {"stream": run.stream_id, "bucket": run.bucket, "keys": list(keys), "at": at}
    row = engine.database.one(in_partition(sql.weigh_absent, run.bucket), place)
    assert row is not None  # noqa: S101 - it counts
    if not trips(
        row["absent"], Past(deleted=row["deleted"] + before), held=row["held"], share=share, ask=False
    ):
        return None
    held = Held.of(run, row["absent"], row["held"], share, "")
    fuse = Jsonb(held.as_json(run, row["number"], run.now()))
    with fenced(engine, job) as connection:
        connection.execute(
            in_partition(sql.hold_absent, run.bucket), {**place, "number": row["number"], "fuse": fuse}
        )
    log.warning("deletes_held", suspected=row["absent"], records=row["held"])
    return Failure("deletes_held", held.words)
