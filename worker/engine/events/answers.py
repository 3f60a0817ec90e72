"""What do answers mean for the events that asked? Each is loaded, or gone, or fails alone; or the run must wait.

A system that answers nothing well is down, and that is no event's fault: after some broken answers in a row the run waits
with all that it has left. One that breaks beside others that go well is put off, and given up in the end.
"""

import random
from collections.abc import Sequence

from worker.connectors.contract import Gone, Page
from worker.engine.ending.settle import backoff
from worker.engine.events.asking import Answer
from worker.engine.events.coalesce import Work
from worker.engine.events.commit import Commits
from worker.engine.events.ledger import Mark, PutOff
from worker.engine.events.trust import Trust
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.errors import OF_ONE_RECORD, BadRecord, NeedsOperator, Transient

REFUSED_ATTEMPTS = 5
"""So often a record is asked for that the system refuses to show: it is that record, most likely."""
BROKEN_ATTEMPTS = 20
"""And so often one whose answer breaks: that takes some hours."""
IN_A_ROW = 3


class Answers:
    """Those of one run."""

    def __init__(self, job: Job, commits: Commits, trust: Trust) -> None:
        self._job, self._commits, self._trust = job, commits, trust
        self._broken: list[Answer] = []
        """In a row, so that nobody knows yet whose fault it is."""
        self._gone: list[tuple[Observed, Work]] = []
        """Who isn't there: decided together, since many at once are another matter than one."""

    def take(self, group: Sequence[Answer]) -> None:
        """Commit what came, and raise what keeps the run from going on."""
        good = [answer for answer in group if answer.error is None]
        self._load(good)
        stop: Exception | None = None
        for answer in group:
            if answer.error is None or _is_of_one(answer.error):
                self._blame()  # the system answers: who broke before did so alone
            if isinstance(answer.error, Transient):
                self._broken.append(answer)
                if len(self._broken) >= IN_A_ROW:
                    stop = stop or answer.error
            elif answer.error is not None and _is_of_one(answer.error):
                final = isinstance(answer.error, BadRecord)
                self._commits.put_off([_off(answer, REFUSED_ATTEMPTS, final=final)])
            elif answer.error is not None:
                stop = answer.error if stop is None or isinstance(stop, Transient) else stop
        if stop is not None:
            raise stop

    def rest(self) -> None:
        """All have answered: who isn't there goes, and who broke waits alone."""
        gone, self._gone = self._gone, []
        self._let_go(gone)
        self._blame()

    def bury(self, works: Sequence[Work]) -> None:
        """Deletes that are believed as they were told."""
        skew = self._job.run.clock_skew
        told = [(work, Gone(work.key, "tombstone")) for work in works if work.key is not None]
        self._let_go(
            [
                (Observed(self._job.screened(Page([], gone=[gone])), work.newest.at(skew)), work)
                for work, gone in told
            ]
        )

    def _blame(self) -> None:
        broken, self._broken = self._broken, []
        self._commits.put_off([_off(answer, BROKEN_ATTEMPTS) for answer in broken])

    def _load(self, answers: Sequence[Answer]) -> None:
        loads: list[tuple[Observed, Mark]] = []
        doubted: list[Work] = []
        aside: list[PutOff] = []
        for answer in answers:
            work, is_gone = answer.work, bool(answer.page.gone)
            if is_gone and not work.says_gone and self._trust.doubts():
                doubted.append(work)
                continue
            seen = Observed(self._job.screened(answer.page), answer.at)
            if seen.page.records:
                self._trust.found()
                loads.append((seen, Mark(work.events, work.key, seen.page.records[0].digest)))
            elif seen.page.rejected:
                bad = seen.page.rejected[0]
                loads.append((seen, Mark([])))
                aside.append(PutOff(work.events, f"{bad.code}: {bad.reason}", final=True))
            elif seen.page.gone:
                self._gone.append((seen, work))
            else:
                loads.append(
                    (seen, Mark(work.events, work.key, outcome="erased"))
                )  # a screen let nothing pass
        self._commits.load(loads)
        self._commits.put_off(aside)
        self._commits.leave_to_sweep(doubted)

    def _let_go(self, gone: Sequence[tuple[Observed, Work]]) -> None:
        """Make tombstones, unless they are too many: then they are held, and their events are done all the same."""
        if not gone:
            return
        keys = [work.key for _, work in gone if work.key is not None]
        if self._trust.holds(keys, min(seen.at for seen, _ in gone)):
            self._commits.settle([Mark(work.events, work.key, outcome="held") for _, work in gone])
        else:
            self._commits.load([(seen, Mark(work.events, work.key)) for seen, work in gone])


def _is_of_one(error: Exception) -> bool:
    """Whether it says something of this record alone."""
    return isinstance(error, BadRecord) or (isinstance(error, NeedsOperator) and error.code in OF_ONE_RECORD)


def _off(answer: Answer, most: int, *, final: bool = False) -> PutOff:
    tried = max(event.attempts for event in answer.work.events)
    return PutOff(
        answer.work.events,
        str(answer.error),
        wait=backoff(tried, random.random()),  # noqa: S311 - spreads retries, guards nothing
        final=final or tried + 1 >= most,
    )
