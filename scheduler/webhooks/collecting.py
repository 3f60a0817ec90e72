"""Who gathers webhooks into commits? One thread a process: whoever comes while a commit is under way is in the next.

Promises: `add` returns when what was given is committed, or raises. Waking workers and counting happen afterwards, on
another thread, and hold up nobody: with Valkey away they cost delay and nothing else.
Emits: webhooks_not_stored, webhook_runs_late.
"""

import asyncio
import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from scheduler.webhooks.storing import PATIENCE, Event, Stored, raise_queued, sql, store, want_forgotten
from worker.db.database import Database
from worker.errors import HeadraceError, Transient
from worker.runs.wakeups.publish import publish
from worker.runs.wakeups.ringing import Bell, Ring

log = structlog.get_logger()

LINGER = 0.003
"""Seconds for which the first of a commit waits for others, where those before it came in company; alone, it waits for none."""
MOST = 500
MOST_BYTES = 8 * 1024 * 1024
"""Of whole records in one commit, unless one webhook alone holds more."""
MOST_WAITING = 5_000
"""Webhooks that wait for a commit. Who comes then is told to come again: Postgres doesn't answer, and memory has an end."""
COUNTED = ("received", "repeated", "refused")
COUNT_EVERY = 1.0
PAUSE = 0.01
"""Seconds between two looks after commits: for the first a worker is woken at once, and of a burst many are looked after together."""
CLOSING = 10.0
MOST_AFTER = 2_000
"""Commits that wait to be woken for; of more, beat finds the runs."""


@dataclass(slots=True)
class _Waiting:
    events: Sequence[Event]
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[int]"

    @property
    def bytes(self) -> int:
        return sum(len(event.hint.record or b"") for event in self.events)


@dataclass(slots=True)
class _Committed:
    """What is in the table and not looked after yet."""

    stored: Stored
    events: Sequence[Event]
    ring: Ring | None
    """Its runs are sent for already, as far as nobody has heard otherwise."""


class Collector:
    """Stores webhooks. Made once a process; started by the first that comes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hasty = database.another(name="api webhooks in", pool=1, lock_timeout=PATIENCE)
        self._given: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._after: queue.Queue[_Committed | None] = queue.Queue(MOST_AFTER)
        self._bell = Bell()
        self._lock = threading.Lock()
        self._counts: Counter[tuple[int, int, str]] = Counter()
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()

    async def add(self, events: Sequence[Event]) -> int:
        """Commit these; how many were new. `Transient` where Postgres can't be used now, or nothing is taken any more."""
        if self._stop.is_set():
            raise Transient("stopping", "This process is stopping.")
        if self._given.qsize() >= MOST_WAITING:
            raise Transient("busy", "Too many webhooks wait for Postgres.")
        self._start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = loop.create_future()
        self._given.put(_Waiting(events, loop, done))
        return await done

    def refused(self, connection_id: int, many: int = 1) -> None:
        """Count what wasn't taken; 0: there is no such connection."""
        self._start()
        with self._lock:
            self._counts[connection_id, 0, "refused"] += many

    def close(self) -> None:
        """Commit what was given, wake workers for it, write the counts, and end."""
        self._stop.set()
        self._given.put(None)
        for thread in self._threads:
            thread.join(CLOSING)
        self._hasty.close()

    def _start(self) -> None:
        if self._threads:
            return
        with self._lock:
            if not self._threads:
                self._threads = [
                    threading.Thread(target=work, name=name, daemon=True)
                    for name, work in (("webhooks", self._commit), ("webhooks-after", self._follow))
                ]
                for thread in self._threads:
                    thread.start()

    def _commit(self) -> None:
        crowded = False
        while (first := self._given.get()) is not None:
            batch, size = [first], first.bytes
            if crowded:
                self._stop.wait(LINGER)
            while len(batch) < MOST and size < MOST_BYTES:
                try:
                    more = self._given.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._given.put(None)
                    break
                batch.append(more)
                size += more.bytes
            crowded = len(batch) > 1
            self._store(batch)
        self._after.put(None)

    def _store(self, batch: list[_Waiting]) -> None:
        events = [event for waiting in batch for event in waiting.events]
        try:
            stored = store(self._hasty, self._database, events)
        except Exception as exc:  # noqa: BLE001 - whoever waits must hear of it
            self._store_apart(batch, exc)
            return
        self._settle(batch, stored, events)

    def _store_apart(self, batch: list[_Waiting], error: Exception) -> None:
        """What can't be stored must not stop the others that came with it."""
        if isinstance(error, HeadraceError) or len(batch) == 1:
            code = getattr(error, "code", type(error).__name__)
            log.warning("webhooks_not_stored", webhooks=len(batch), error=code)
            failure = Transient("database_unavailable", "Postgres can't be used now.")
            _resolve([(waiting, failure) for waiting in batch])
            return
        for waiting in batch:
            self._store([waiting])

    def _settle(self, batch: list[_Waiting], stored: Stored, events: list[Event]) -> None:
        ring = self._bell.ring(stored.wakeups)
        fresh = set(stored.fresh)
        new = [self._count(waiting.events, fresh) for waiting in batch]
        _resolve(list(zip(batch, new, strict=True)))
        try:
            self._after.put_nowait(_Committed(stored, events, ring))
        except queue.Full:
            if ring is not None:
                self._bell.hang_up(ring)
            log.warning("webhook_runs_late", events=len(events))

    def _count(self, events: Sequence[Event], fresh: set[tuple[int, str]]) -> int:
        """How many of these are new, taken out of `fresh`: one that came twice in this commit is new once."""
        new = 0
        with self._lock:
            for event in events:
                key = (event.connection_id, event.hint.event_key)
                new += key in fresh
                what = "received" if key in fresh else "repeated"
                fresh.discard(key)
                self._counts[event.connection_id, event.stream_id, what] += 1
        return new

    def _follow(self) -> None:
        """Wake workers, ask for runs that were claimed between, and count: after the answers."""
        ended, counted = False, 0.0
        while not ended:
            gathered, ended = self._gathered()
            try:
                self._wake(gathered)
                if ended or time.monotonic() - counted > COUNT_EVERY:
                    self._write_counts()
                    counted = time.monotonic()
            except Exception as exc:  # noqa: BLE001 - beat finds what is missed here
                log.warning("webhook_runs_late", error=type(exc).__name__)
            if gathered and gathered[0].ring is None:
                self._stop.wait(PAUSE)
        self._bell.close()

    def _gathered(self) -> tuple[list[_Committed], bool]:
        """All that was committed since, and whether it was the last."""
        found: list[_Committed] = []
        try:
            one = self._after.get(timeout=COUNT_EVERY)
            if one is not None and one.ring is not None:
                # A worker is on its way, and the answer goes out: nothing here is urgent.
                self._stop.wait(PAUSE)
            while one is not None:
                found.append(one)
                one = self._after.get_nowait()
        except queue.Empty:
            return found, False
        return found, True

    def _wake(self, gathered: Sequence[_Committed]) -> None:
        if not gathered:
            return
        silent = [one for one in gathered if one.ring is None or not self._bell.heard(one.ring)]
        if publish(dict.fromkeys(wakeup for one in silent for wakeup in one.stored.wakeups)):
            self._bell.open()
        events = [event for one in gathered for event in one.events if one.stored.fresh]
        joined = {
            event.stream_id
            for one in gathered
            for event in one.events
            if one.stored.fresh and event.stream_id not in one.stored.wanted
        }
        if joined:
            publish(want_forgotten(self._database, sorted(joined), events[0].request_id))
        if whole := sorted({event.stream_id for event in events if event.hint.kind == "stream"}):
            publish(raise_queued(self._database, whole))

    def _write_counts(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, Counter()
        places = sorted({(connection, stream) for connection, stream, _ in counts})
        if not places:
            return
        asked = {
            "connections": [connection for connection, _ in places],
            "streams": [stream for _, stream in places],
            **{what: [counts[(*place, what)] for place in places] for what in COUNTED},
        }
        try:
            self._database.run(sql.count_webhooks, asked)
        except Exception:
            with self._lock:
                self._counts.update(counts)  # they are written with the next
            raise


def _resolve(outcomes: Sequence[tuple[_Waiting, int | Exception]]) -> None:
    """Wake each loop once, however many wait on it."""
    loops = {waiting.loop: None for waiting, _ in outcomes}
    for loop in loops:
        mine = [(waiting.done, outcome) for waiting, outcome in outcomes if waiting.loop is loop]
        with suppress(RuntimeError):  # the loop has ended: nobody waits for the answer any more
            loop.call_soon_threadsafe(_tell, mine)


def _tell(outcomes: "Sequence[tuple[asyncio.Future[int], int | Exception]]") -> None:
    for done, outcome in outcomes:
        if done.done():
            continue
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
