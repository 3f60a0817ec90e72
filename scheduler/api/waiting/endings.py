"""Who waits for the end of a run? Any number of requests, without a thread or a connection to Postgres each.

One look for all of them, ten times a second while somebody waits: which of these runs are open no more? Who waits for a
run that is merged into another waits for that one.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from worker.errors import HeadraceError

EVERY = 0.1
MOST_WAIT = 60.0


class Endings:
    """Looks for all who wait. Belongs to one event loop at a time."""

    def __init__(
        self, ended: Callable[[Sequence[UUID]], Mapping[UUID, UUID | None]], *, every: float = EVERY
    ) -> None:
        self._ended = ended
        self._every = every
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def wait(self, runs: Sequence[UUID], seconds: float) -> bool:
        """Whether all of them have ended before the time is over."""
        who = _Waiting(runs)
        self._waiting.append(who)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(seconds):
                await who.all_ended.wait()
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._waiting.remove(who)

    async def _watch(self) -> None:
        """Look until nobody waits. Where Postgres is away, it may be back before their time is over."""
        while self._waiting:
            asked = sorted({run for who in self._waiting for run in who.open})
            with suppress(HeadraceError):
                ended = await run_in_threadpool(self._ended, asked)
                for who in self._waiting:
                    who.learn(ended)
            await asyncio.sleep(self._every)


class _Waiting:
    """One of them."""

    def __init__(self, runs: Sequence[UUID]) -> None:
        self.open = set(runs)
        self.all_ended = asyncio.Event()

    def learn(self, ended: Mapping[UUID, UUID | None]) -> None:
        for run in self.open & ended.keys():
            self.open.remove(run)
            if (successor := ended[run]) is not None:
                self.open.add(successor)
        if not self.open:
            self.all_ended.set()
