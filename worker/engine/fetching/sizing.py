"""In which size are the pages of this run asked for? As remembered, smaller where one proves too much, larger where all go well.

Decides, and keeps what it decided for the next run; where a place can't be kept in another size, its window begins anew.
Emits: page_size_changed.
"""

import structlog

from worker.connectors.contract import Stream
from worker.engine.fetching.details import parted
from worker.engine.fetching.memory import SMALL
from worker.engine.fetching.sizes import CROWDING, TOO_SLOW, PageSizes
from worker.engine.planning.plan import Plan, restart
from worker.errors import HeadraceError
from worker.http.sender import CallContext

log = structlog.get_logger()

MOST_TIMEOUTS = 2
"""Smaller pages are tried so often in one claim of a run; after that it waits, as for a system that is away."""


class Sizing:
    """The size of one run's pages."""

    def __init__(self, context: CallContext, sizes: PageSizes, stream: Stream) -> None:
        self._context = context
        self._sizes = sizes
        self._whole = stream
        self._size = sizes.of(context.connection_id, stream.name)
        self._timeouts = 0
        self.stream = stream
        """As it is asked from here on."""

    @property
    def expected(self) -> int:
        """About the bytes of the next page."""
        return self._size.bytes

    def remembered(self, plan: Plan) -> Plan:
        """With the size that was remembered, where the plan's place can be kept: it may have been made with another."""
        if self._size.divisor > 1:
            resized = self._whole.resized(self._size.divisor, parted(plan.position)[0])
            if resized is not None and (resized[1] is not None or plan.position is None):
                self.stream = resized[0]
        return plan

    def came(self, size: int) -> None:
        """A page of so many bytes came in time."""
        self._size.came(size)
        if size > SMALL:  # the next run makes room before it asks
            self._keep()

    def less(self, plan: Plan, error: HeadraceError) -> Plan:
        """The plan with smaller pages; raises `error` where there are none, or this was tried often enough."""
        divisor = self._size.smaller
        smaller = None if divisor is None else self._resized(plan, divisor)
        if smaller is None or divisor is None:
            raise error
        self._size.shrank(divisor)
        self._say(error.code)
        if error.code == TOO_SLOW:
            self._timeouts += 1
            if self._timeouts >= MOST_TIMEOUTS:
                raise error
        return smaller

    def another(self, plan: Plan) -> Plan:
        """Smaller pages where one crowds out those of others, larger ones where all went well for long."""
        wanted = self._size.larger or (self._size.smaller if self._size.bytes > CROWDING else None)
        if wanted is None:
            return plan
        before = self.stream
        changed = self._resized(plan, wanted)
        if changed is None or changed.position is None:  # not worth a window from its beginning
            self._size.good = 0
            self.stream = before
            return plan
        if wanted > self._size.divisor:
            self._size.shrank(wanted)
            self._say("crowding")
        else:
            self._size.grew(wanted)
            self._say("went_well")
        return changed

    def _resized(self, plan: Plan, divisor: int) -> Plan | None:
        """The plan under which the stream is read on with pages of that size; None where it can't be."""
        resized = self._whole.resized(divisor, parted(plan.position)[0])
        if resized is None:
            return None
        self.stream, position = resized
        if position is None and plan.position is not None:
            return restart(plan)
        return plan

    def _say(self, reason: str) -> None:
        self._keep()
        self._context.steps.add("page_size", 0.0, divisor=self._size.divisor)
        log.info("page_size_changed", reason=reason, divisor=self._size.divisor)

    def _keep(self) -> None:
        self._sizes.keep(self._context.connection_id, self._whole.name, self._size)
