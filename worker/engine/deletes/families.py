"""Which records are gone by what a page says of others? Children whose parent came without them, and what a list names that
can't be found.

A parent that came holds all of its children, so those that the copy holds beside them are gone. A record that a list named a
moment ago and that isn't there when it is asked for went meanwhile, if the system finds others. But a list of lines that is
cut off, or a user who may see orders and no lines, looks the same: so these deletes pass the fuse of deletes, counted over
the run, and what doesn't pass waits for a person. What counts is what a family loses, as some systems make all lines of an order
anew when one is edited. Where the system says itself that a parent is gone, its children go without a question. All go in the
transaction of their page.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from worker.connectors.contract import Family, Gone
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.engine.deletes.absent import hold_absent, may_go
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.port import Engine

STEP = "let_go"
"""As which the run's steps keep how many went, from one claim to the next."""


def let_go(engine: Engine, job: Job, pages: Sequence[Observed]) -> Sequence[Observed]:
    """The pages as they came, with what goes by them: what a screen keeps out of the copy is there all the same."""
    for seen in pages:
        if seen.page.listed is None:
            continue
        job.found = job.found or seen.page.found
        told: list[Gone] = []
        doubtful: list[Gone] = list(_absent(job, seen))
        lost = len(doubtful)
        for family, gone in _orphans(engine, job, seen):
            if family.told:
                told += gone
            elif job.found or family.reason != "not_found":
                doubtful += gone
                lost += max(0, len(gone) - _newcomers(engine, job, seen, family))
        if doubtful and _are_held(engine, job, [each.key for each in doubtful], lost, seen):
            doubtful = []
        seen.page.gone = [*seen.page.gone, *told, *doubtful]
    return pages


def _absent(job: Job, seen: Observed) -> Iterator[Gone]:
    """Believed only of a system that finds something, as of parents: a wrong address finds nothing."""
    if job.found and seen.page.listed is not None:
        yield from (Gone(key, "not_found") for key in seen.page.listed.absent)


def _orphans(engine: Engine, job: Job, seen: Observed) -> list[tuple[Family, list[Gone]]]:
    """Children that the copy holds and the page doesn't, by their families."""
    listed = seen.page.listed
    families = {family.stem: family for family in listed.families} if listed is not None else {}
    if not families:
        return []
    asked = {
        **_place(job),
        "stems": list(families),
        "stops": [_behind(stem) for stem in families],
        "ats": [family.at or seen.at for family in families.values()],
        "keys": seen.page.keys,
    }
    found: dict[str, list[Gone]] = {}
    for row in engine.database.all(in_partition(sql.orphans, job.run.bucket), asked):
        family = families[row["stem"]]
        found.setdefault(family.stem, []).append(Gone(row["key"], family.reason, family.at))
    return [(families[stem], gone) for stem, gone in found.items()]


def _newcomers(engine: Engine, job: Job, seen: Observed, family: Family) -> int:
    """How many of the family the copy has never held."""
    keys = [record.key for record in seen.page.records if record.key.startswith(family.stem)]
    rows = engine.database.all(in_partition(sql.unknown_keys, job.run.bucket), {**_place(job), "keys": keys})
    return len(rows)


def _are_held(engine: Engine, job: Job, keys: Sequence[str], lost: int, seen: Observed) -> bool:
    before = job.let_go + _earlier(job)
    if lost and not may_go(engine, job, before + lost):
        held = hold_absent(engine, job, keys, seen.at, before=before + lost - len(keys))
        job.held_back = held or job.held_back
        if held is not None:
            return True
    job.let_go += lost
    job.steps.add(STEP, 0.0, records=lost)
    return False


def _earlier(job: Job) -> int:
    """What earlier claims of the run let go."""
    totals = Counter[str]()
    for step in job.run.steps or ():
        totals[str(step.get("name"))] += int(step.get("records", 0))
    return totals[STEP]


def _place(job: Job) -> dict[str, int]:
    return {"bucket": job.run.bucket, "stream": job.run.stream_id}


def _behind(stem: str) -> str:
    """The first text behind all that begin with the stem, in the order of bytes. A stem ends with a comma."""
    return stem[:-1] + "-"
