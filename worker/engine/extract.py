"""Where do pages come from? The next one is fetched while the last is loaded, so neither waits for the other.

One page ahead and no more: what is held in memory is two pages, and a run that is stopped has asked for one page too
many at most.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime

from worker.connectors.contract import Page, Stream
from worker.engine.plan import Plan, advance
from worker.http.sender import CallContext, Sender


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page, the plan that follows from it, and when it was asked for by the database's clock."""

    page: Page
    plan: Plan
    done: bool
    observed_at: datetime


class Extractor:
    """Reads the pages of one window."""

    def __init__(
        self,
        sender: Sender,
        context: CallContext,
        stream: Stream,
        *,
        ahead: ThreadPoolExecutor,
        now: Callable[[], datetime],
    ) -> None:
        self._sender = sender
        self._context = context
        self._stream = stream
        self._ahead = ahead
        self._now = now

    def pages(self, plan: Plan) -> Iterator[Fetched]:
        """The pages from the plan's position to the end of its window."""
        fetched = self._fetch(plan)
        while not fetched.done:
            # The log lines of the page ahead carry the run's names, too.
            upcoming = self._ahead.submit(copy_context().run, self._fetch, fetched.plan)
            try:
                yield fetched
            except GeneratorExit:
                upcoming.cancel()
                raise
            fetched = upcoming.result()
        yield fetched

    def _fetch(self, plan: Plan) -> Fetched:
        observed_at = self._now()
        request = self._stream.request(plan.window, plan.position)
        response = self._sender.send(self._context, request)
        with self._context.steps.step("parse", bytes=len(response.body)) as step:
            page = self._stream.read(response, plan.window, plan.position)
            step.counts["records"] = len(page.records)
        following, done = advance(plan, page, self._stream.traits)
        return Fetched(page, following, done, observed_at)
