"""How are many records asked for by their keys without waiting for one after the other?

Some of the process's spare threads ask side by side, and the run commits what has come so far while others are on their way:
the slower the commit, the more goes into the next one. One record alone is asked for in the run's own thread.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue

from worker.connectors.contract import Page, Source, Stream
from worker.engine.events.coalesce import Work
from worker.engine.job import Job
from worker.engine.port import Engine
from worker.errors import HeadraceError

MOST_AT_ONCE = 50
"""Answers of one commit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking for one record."""

    work: Work
    at: datetime
    """When it was asked for, by the database's clock."""
    page: Page
    error: Exception | None = None


def ask_all(
    engine: Engine, job: Job, source: Source, stream: Stream, works: Sequence[Work]
) -> Iterator[list[Answer]]:
    """The answers as they come, some at a time. Whoever stops listening is asked for nothing more."""
    asking = _Asking(engine, job, source, stream, works)
    if len(works) == 1:
        yield [asking.ask(works[0])]
        return
    try:
        asking.start()
        yield from asking.answers(len(works))
    finally:
        asking.stop()


class _Asking:
    """Threads that take one record after the other."""

    def __init__(
        self, engine: Engine, job: Job, source: Source, stream: Stream, works: Sequence[Work]
    ) -> None:
        self._engine, self._job, self._stream = engine, job, stream
        self._context = job.context(source)
        self._waiting = deque(works)
        self._came: SimpleQueue[Answer] = SimpleQueue()

    def ask(self, work: Work) -> Answer:
        """One record, now. An error is an answer, too: it may concern this one alone."""
        assert work.key is not None  # noqa: S101 - what concerns no record isn't asked for
        at = self._job.run.now()
        try:
            request = self._stream.single(work.key)
            assert request is not None  # noqa: S101 - whether it can be asked so was looked up before
            response = self._engine.sender.send(self._context, request)
            return Answer(work, at, self._stream.read_single(response, work.key))
        except HeadraceError as exc:
            return Answer(work, at, Page([]), exc)
        except Exception as exc:  # noqa: BLE001 - raised in the thread of the run
            return Answer(work, at, Page([]), exc)

    def start(self) -> None:
        ahead = self._engine.ahead
        for number in range(min(len(self._waiting), max(1, ahead.side_by_side))):
            lent = number > 0  # a run has one thread for it whenever it wants
            if lent and not ahead.lend(self):
                return
            if not ahead.start(lambda lent=lent: self._work(lent=lent)):  # type: ignore[misc]
                if lent:
                    ahead.take_back(self)
                elif not number:
                    self._work(lent=False)  # the process ends
                return

    def answers(self, count: int) -> Iterator[list[Answer]]:
        while count:
            group = [self._came.get()]
            while len(group) < min(count, MOST_AT_ONCE):
                try:
                    group.append(self._came.get_nowait())
                except Empty:
                    break
            count -= len(group)
            yield group

    def stop(self) -> None:
        self._waiting.clear()

    def _work(self, *, lent: bool) -> None:
        try:
            while True:
                try:
                    work = self._waiting.popleft()
                except IndexError:
                    return
                self._came.put(self.ask(work))
        finally:
            if lent:
                self._engine.ahead.take_back(self)
