"""What is the demo system as a whole, and how does it live while it is served?

It joins the plant, its faults, the limits and the counts. All of it is used from the event loop's thread and nothing
awaits between reading and changing, so every answer shows one moment.
"""

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from scheduler.embedded.demo.faults import Faults
from scheduler.embedded.demo.hooks.hooks import Hooks
from scheduler.embedded.demo.hooks.subscriptions import Subscriptions
from scheduler.embedded.demo.limits import Limiter
from scheduler.embedded.demo.options import DemoOptions
from scheduler.embedded.demo.plant.memory.store import Batch
from scheduler.embedded.demo.plant.plant import Plant
from scheduler.embedded.demo.plant.schema import Change, Record

log = logging.getLogger(__name__)

SHORTEST_PAUSE = 0.02
MOST_AT_ONCE = 500
"""So many steps are taken without letting a request in between."""


@dataclass(slots=True)
class Counts:
    by_status: Counter[int] = field(default_factory=Counter)
    under_way: int = 0
    most_under_way: int = 0

    def enter(self) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)

    def leave(self, status: int) -> None:
        self.under_way -= 1
        self.by_status[status] += 1


def wall_clock() -> int:
    return time.time_ns() // 1_000_000


class System:
    def __init__(self, options: DemoOptions, plant: Plant) -> None:
        self.options = options
        self.plant = plant
        self.faults = Faults(options.seed)
        self.limiter = Limiter(options.requests, options.per)
        self.counts = Counts()
        self.rate = options.rate
        self.hostile = options.hostile
        self.frozen = False
        self.hooks = Hooks(self.faults)
        if options.webhook_url is not None:
            self.hooks.listen("given", options.webhook_url, options.webhook_secrets)
        kept = None if options.state is None else options.state.with_name(f"{options.state.name}.webhooks")
        self.subscriptions = Subscriptions(self.hooks, kept)
        plant.store.on_show = self._shown

    def commit(self, change: Change) -> Record:
        """Raises KeyError, OSError."""
        return self.plant.commit([change], **self._delays(change.entity))[0][1]

    def make(self, entity: str, fields: Record) -> Record:
        """Raises LookupError, OSError."""
        return self.plant.make(entity, fields, **self._delays(entity))

    def tick(self) -> Batch:
        return self.plant.tick(hostile=self.hostile, **self._delays(None))

    def skew(self, entity: str | None) -> int:
        """How far the system's clock is ahead of the machine's, in milliseconds."""
        return round((self.faults.value("clock_skew_seconds", entity, self.plant.now()) or 0) * 1000)

    def shift(self, entity: str, insert: int, touch: int) -> None:
        """Move what somebody is paging over: new records come, and the oldest go to the end."""
        for _ in range(insert):
            self.plant.make(entity, {})
        if touch:
            self.plant.restamp(entity, touch, oldest=True)

    def state(self) -> dict[str, Any]:
        return {
            "frozen": self.frozen,
            "rate": self.rate,
            "hostile": self.hostile,
            "step": self.plant.step,
            "pending": self.plant.store.pending,
        }

    async def live(self) -> None:
        """Take steps at the chosen rate until cancelled. A full disk stops the clock of life, not the service."""
        owed, then = 0.0, time.monotonic()
        while True:
            await asyncio.sleep(max(SHORTEST_PAUSE, min(1.0, 1 / self.rate)) if self.rate else 1.0)
            now = time.monotonic()
            owed, then = owed + (now - then) * self.rate, now
            self.plant.now()  # late commits appear though nobody asks
            if self.frozen:
                owed = 0.0
            for _ in range(min(int(owed), MOST_AT_ONCE)):
                try:
                    self.tick()
                except OSError as error:
                    log.warning("The demo system can't write its journal: %s", error)
            owed %= 1

    def _shown(self, batch: Batch) -> None:
        now = self.plant.latest
        self.subscriptions.look(now)
        self.hooks.shown(batch, now)

    def _delays(self, entity: str | None) -> dict[str, int]:
        now = self.plant.now()
        late = self.faults.take("late_commit_seconds", entity, now) or 0
        coarse = self.faults.take("coarse_clock_seconds", entity, now) or 0
        return {"late": round(late * 1000), "coarse": round(coarse * 1000), "skew": self.skew(entity)}
