"""How are the events of webhooks carried out? What waits for the stream is taken, look after look, until nothing is left.

Each look is coalesced by record. What is asked for is loaded as it comes, and its events are done in the same commit, so a
run that dies repeats what wasn't committed and nothing else. The run ends when nothing waits, looked at once more under its
lock; it never ends for want of an answer, since its events would be owed as before.
"""

import time
from collections import defaultdict
from collections.abc import Sequence

from worker.connectors.contract import Source, Stream
from worker.engine.ending.commit import say_finished, wake
from worker.engine.events.answers import Answers
from worker.engine.events.asking import ask_all
from worker.engine.events.coalesce import Event, Work, coalesce
from worker.engine.events.commit import Commits
from worker.engine.events.ledger import count_told, finish_if_none_left, pending, pending_at_claim
from worker.engine.events.trust import Trust
from worker.engine.events.whole import take_whole
from worker.engine.job import Job
from worker.engine.port import Engine
from worker.engine.tracks.records import can_be_asked
from worker.errors import HeadraceError, SliceEnded
from worker.runs.finish import Failure
from worker.runs.states import State


def follow_events(engine: Engine, job: Job) -> None:
    """Do what the stream's webhooks told of, and end the run when nothing is left."""
    source = engine.registry.get(job.run.system, job.run.manifest_version).bind(job.run.settings)
    follower = _Follower(engine, job, source, source.stream(job.run.stream))
    try:
        follower.follow()
    except HeadraceError:
        follower.count()
        raise


class _Follower:
    """One run's work."""

    def __init__(self, engine: Engine, job: Job, source: Source, stream: Stream) -> None:
        self._engine, self._job, self._source, self._stream = engine, job, source, stream
        webhooks = source.webhooks
        self._askable = can_be_asked(stream)
        self._believed = webhooks is not None and webhooks.believes_deletes.get(stream.name, False)
        self._commits = Commits(engine, job)
        self._answers = Answers(job, self._commits, Trust(engine, job))

    def follow(self) -> None:
        """Look after look, to the end."""
        events = pending_at_claim(self._job.run)
        while True:
            if events is None:
                events = pending(self._engine.database, self._job.run)
            if events:
                self.take(events)
                self._job.check()
                if time.monotonic() > self._job.turn_ends:
                    raise SliceEnded("This turn is used up; the run goes on after others had theirs.")
            if self.end():
                return
            events = None

    def count(self) -> None:
        """What was told of so far, of a run that doesn't end here."""
        with self._engine.database.connection() as connection:
            count_told(connection, self._job.run, self._commits.marks)

    def take(self, events: Sequence[Event]) -> None:
        """One look: do all of it."""
        if self._job.run.alone:
            events = [event for event in events if self._commits.try_alone(event)]
        by_how: defaultdict[str, list[Work]] = defaultdict(list)
        for work in coalesce(events, askable=self._askable, believed=self._believed):
            by_how[work.how].append(work)
        self._commits.leave_to_live_run(by_how["live"])
        self._commits.leave_to_sweep(by_how["sweep"])
        to_ask = by_how["ask"] + take_whole(
            self._engine, self._job, self._stream, self._commits, by_how["take"], askable=self._askable
        )
        self._answers.bury(by_how["bury"])
        if to_ask:
            self._ask(to_ask)

    def end(self) -> bool:
        """End the run, unless something has come meanwhile."""
        job, state, words = self._job, State.SUCCEEDED, self._words()
        if words is not None:
            state = State.PARTIAL
        ended = finish_if_none_left(
            self._engine.database,
            job.run,
            state,
            self._commits.marks,
            failure=words,
            steps=job.steps.as_json(),
        )
        if ended is None:
            return False
        row, successor = ended
        say_finished(job, state, words, row)
        wake(self._engine, successor)
        return True

    def _ask(self, works: Sequence[Work]) -> None:
        for group in ask_all(self._engine, self._job, self._source, self._stream, works):
            self._answers.take(group)
            self._job.check()
        self._answers.rest()

    def _words(self) -> Failure | None:
        given_up = self._commits.given_up
        if not given_up:
            return None
        count = sum(len(off.events) for off in given_up)
        were = "1 event was" if count == 1 else f"{count:,} events were"
        return Failure("events_failed", f"{were} given up: {given_up[0].words}")
