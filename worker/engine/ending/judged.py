"""The end of a run, judged by what stands in Postgres: `outcome` decides, and this looks up what it asks for."""

from collections.abc import Sequence

from worker.db.queries import sql
from worker.engine.ending.outcome import Aside, Verdict, judge
from worker.engine.job import Job
from worker.engine.port import Engine
from worker.runs.states import State


def judged(engine: Engine, job: Job, *, whole: bool, unchanged: bool = False) -> Verdict:
    """How a run that read its window to the end did. `whole`: it asked for every record, and not for what changed.
    `unchanged`: the system says that nothing has.

    A plain success asks Postgres nothing.
    """
    run = job.run

    def holds() -> bool:
        row = engine.database.one(sql.holds_records, {"bucket": run.bucket, "stream": run.stream_id})
        return bool(row and row["found"])

    def aside() -> Sequence[Aside]:
        found = engine.database.all(sql.set_aside_by, {"stream": run.stream_id, "run": run.id})
        return [Aside.of(row) for row in found]

    verdict = judge(
        run,
        read=job.read,
        rejected=job.rejected,
        whole=whole,
        unchanged=unchanged,
        copy_has_records=holds,
        set_aside=aside,
    )
    if job.held_back is not None and verdict.state is State.SUCCEEDED:
        return Verdict(State.PARTIAL, job.held_back)
    return verdict
