"""Which records are gone by what a page says of others? Children whose parent came without them, and what a list names that
can't be found.

A parent that came holds all of its children, so those that the copy holds beside them are gone. A record that a list named a
moment ago and that isn't there when it is asked for went meanwhile, if the system finds others. But a list of lines that is
cut off, or a user who may see orders and no lines, looks the same: so these deletes pass the fuse of deletes, counted over
the run, and what doesn't pass waits for a person. They go in the transaction of their page.
"""

from collections.abc import Iterator, Sequence

from worker.connectors.contract import Gone, Listed
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.engine.deletes.absent import hold_absent, may_go
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.port import Engine


def let_go(engine: Engine, job: Job, pages: Sequence[Observed]) -> Sequence[Observed]:
    """The pages as they came, with what goes by them: what a screen keeps out of the copy is there all the same."""
    for seen in pages:
        listed = seen.page.listed
        if listed is None:
            continue
        job.found = job.found or bool(seen.page.records)
        gone = [*_orphans(engine, job, seen, listed), *_absent(job, listed)]
        if gone and not _are_held(engine, job, [each.key for each in gone], seen):
            job.let_go += len(gone)
            seen.page.gone = [*seen.page.gone, *gone]
    return pages


def _orphans(engine: Engine, job: Job, seen: Observed, listed: Listed) -> Iterator[Gone]:
    """Children of these families that the copy holds and the page doesn't."""
    families = {family.stem: family for family in listed.families}
    if not families or not _sorts_by_bytes(engine):
        return
    asked = {
        "bucket": job.run.bucket,
        "stream": job.run.stream_id,
        "stems": list(families),
        "stops": [_behind(stem) for stem in families],
        "ats": [family.at or seen.at for family in families.values()],
        "keys": seen.page.keys,
    }
    for row in engine.database.all(in_partition(sql.orphans, job.run.bucket), asked):
        family = families[row["stem"]]
        yield Gone(row["key"], family.reason, family.at)


def _absent(job: Job, listed: Listed) -> Iterator[Gone]:
    """Believed only of a system that finds something: a wrong address finds nothing."""
    if job.found:
        yield from (Gone(key, "not_found") for key in listed.absent)


def _are_held(engine: Engine, job: Job, keys: Sequence[str], seen: Observed) -> bool:
    if may_go(engine, job, job.let_go + len(keys)):
        return False
    held = hold_absent(engine, job, keys, seen.at, before=job.let_go)
    job.held_back = held or job.held_back
    return held is not None


def _behind(stem: str) -> str:
    """The first text behind all that begin with the stem, in the order of bytes. A stem ends with a comma."""
    return stem[:-1] + "-"


def _sorts_by_bytes(engine: Engine) -> bool:
    """Whether keys that begin alike stand together in the index. Else only a sweep finds who is missing."""
    row = engine.database.one(sql.sorts_by_bytes)
    return bool(row and row["found"])
