"""Who waits for a change without a thread? Any number of requests, and one look at the end of the feed for all of them.

It looks while somebody waits, four times a second, and asks Postgres for one row each time.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from worker.errors import HeadraceError
from worker.feed.position import Place

EVERY = 0.25


class Bell:
    """Rings when the feed has come further. Belongs to one event loop."""

    def __init__(self, end: Callable[[], Place], *, every: float = EVERY) -> None:
        self._look = end
        self._every = every
        self._waiting = 0
        self._end: Place | None = None
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, beyond: Place, seconds: float) -> bool:
        """Whether there is something beyond this place now; False once the time is over."""
        self._waiting += 1
        if self._task is None:
            self._end = None
            self._task = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._end is not None and self._end > beyond)
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._waiting -= 1

    async def _watch(self) -> None:
        """Look until nobody waits. Where Postgres is away, those who wait find out when they read."""
        try:
            while self._waiting:
                with suppress(HeadraceError):
                    end = await run_in_threadpool(self._look)
                    async with self._changed:
                        self._end = end
                        self._changed.notify_all()
                await asyncio.sleep(self._every)
        finally:
            self._task = None
