"""How is what an event told of committed, and the event with it?"""

from collections.abc import Sequence

import structlog

from worker.db.queries import sql
from worker.engine.deletes.burying import HERE
from worker.engine.deletes.listing import fenced
from worker.engine.events.coalesce import Event, Work
from worker.engine.events.ledger import Mark, Marks, PutOff, put_off, settle
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.port import Engine
from worker.runs.request import Requested, request_run
from worker.runs.states import Lane
from worker.runs.wakeups.publish import publish

log = structlog.get_logger()

ENDS_PROCESSES = 5
"""So often an event is tried whose run ended the process each time."""


class Commits:
    """What one run of events writes. Emits: events_put_off."""

    def __init__(self, engine: Engine, job: Job) -> None:
        self._engine, self._job = engine, job
        self.marks = Marks()
        self.given_up: list[PutOff] = []
        job.notes = (self.marks,)

    def load(self, loads: Sequence[tuple[Observed, Mark]]) -> None:
        """These records, and their events, in one commit."""
        if loads:
            self.marks.todo = [mark for _, mark in loads]
            self._job.load(self._engine, [seen for seen, _ in loads], HERE)
            self.marks.committed()

    def settle(self, marks: Sequence[Mark]) -> None:
        """Events that brought nothing to load."""
        if marks:
            with fenced(self._engine, self._job) as connection:
                settle(connection, self._job.run, marks)
            self.marks.told.update(mark.outcome for mark in marks for _ in mark.events if mark.outcome)

    def put_off(self, listed: Sequence[PutOff]) -> None:
        """Events that failed alone."""
        if not listed:
            return
        with fenced(self._engine, self._job) as connection:
            put_off(connection, self._job.run, listed)
        self.given_up += [off for off in listed if off.final]
        log.info("events_put_off", events=sum(len(off.events) for off in listed), error=listed[0].words)

    def leave_to_live_run(self, works: Sequence[Work]) -> None:
        """Ask for a live run, which sees what changed, in the commit that settles these."""
        if not works:
            return
        run, request_id = self._job.run, works[0].events[0].request_id
        with fenced(self._engine, self._job) as connection:
            wanted: Requested = request_run(
                connection,
                stream_id=run.stream_id,
                system=run.system,
                lane=Lane.WEBHOOK,
                cause="webhook",
                request_id=request_id,
            )
            settle(connection, run, [Mark(work.events, outcome="live_run") for work in works])
        if wanted.ready:
            publish([(wanted.id, wanted.queue)])

    def leave_to_sweep(self, works: Sequence[Work]) -> None:
        """Deletes that nobody can be asked about: a sweep tells whether it is so."""
        if not works:
            return
        with fenced(self._engine, self._job) as connection:
            connection.execute(sql.ask_for_sweep, {"stream": self._job.run.stream_id})
            settle(connection, self._job.run, [Mark(work.events, outcome="sweep") for work in works])

    def try_alone(self, event: Event) -> bool:
        """Note that what may end this process is tried; False: it did so often enough, and is given up."""
        if event.attempts >= ENDS_PROCESSES:
            self.put_off([PutOff([event], "The process that worked on it ended each time.", final=True)])
            return False
        self._engine.database.run(sql.try_event_alone, {"id": event.id, "run": self._job.run.id})
        return True
