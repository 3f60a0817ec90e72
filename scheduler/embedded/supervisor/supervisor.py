"""How are the parts of a running Headrace started, kept running, and stopped?

    with Supervisor(home, on_change=…) as supervisor:     # holds the home; ends what a killed supervisor left behind
        supervisor.start([postgres, valkey])              # returns when they are ready, or raises
        …migrate…
        supervisor.start([worker, beat, api])
        …                                                 # a part that dies is started again, with backoff
                                                          # leaving stops all: the last started first

All is done by one thread that lives as long as the supervisor, because the kernel ends a child when the *thread* that
started it ends. Promises: a stop takes ten seconds and leaves no process; a supervisor that is killed leaves none on Linux
(the kernel signals its children), and elsewhere the next one ends them. Emits: part_ready, part_died, part_restarted,
part_not_ready, part_launch_failed, part_killed.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

import structlog

from scheduler.embedded.endpoints import hold_home
from scheduler.embedded.supervisor.leftovers import end_leftovers
from scheduler.embedded.supervisor.part_log import last_lines
from scheduler.embedded.supervisor.parts import Part, PartState, State, share_out
from scheduler.embedded.supervisor.upkeep import Upkeep
from worker.errors import NeedsOperator

STOP_WITHIN = 10.0
_TICK = 0.05
_FOR_KILLING = 1.0

log = structlog.get_logger()

OnChange = Callable[[Part, PartState], None]


class Supervisor:
    """Keeps parts running under one home. Use as a context manager."""

    def __init__(self, home: Path, *, on_change: OnChange | None = None) -> None:
        self.home = home.resolve()  # one spelling, by which what we leave behind is recognised
        self._on_change = on_change
        self._kept: list[Upkeep] = []
        self._requests: SimpleQueue[tuple[Sequence[Part], Future[None]]] = SimpleQueue()
        self._stopping = threading.Event()
        self._stop_within = STOP_WITHIN
        self._rounds = 0
        self._held = ExitStack()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._held.enter_context(hold_home(self.home))
        try:
            end_leftovers(self.home)
            self._thread.start()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, parts: Sequence[Part]) -> None:
        """Start the parts, group by group, and return when all are ready.

        The first that dies or isn't ready in time is the error `part_failed`; what was started runs on until `stop`.
        A stop in the meantime ends the waiting with the error `stopped`.
        """
        taken = {kept.part.name for kept in self._kept}
        for part in parts:
            if part.name in taken:
                raise ValueError(f"two parts are called {part.name}")
            taken.add(part.name)
        done: Future[None] = Future()
        self._requests.put((tuple(parts), done))
        if not self._thread.is_alive():
            raise _stopped()
        done.result()

    def stop(self, within: float = STOP_WITHIN) -> None:
        """Stop all parts and let go of the home. Harmless twice."""
        self._stop_within = within
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(within + 1.0)
        for kept in list(self._kept):  # only if the thread hangs in the launch of a server
            kept.kill()
        end_leftovers(self.home, patience=0.0)
        self._held.close()

    def states(self) -> list[PartState]:
        """What is known of each part, in the order of starting."""
        return [kept.state for kept in list(self._kept)]

    def _run(self) -> None:
        try:
            while not self._stopping.wait(_TICK):
                self._take_request()
                self._tend()
        finally:
            self._stop_all()
            self._refuse_requests()

    def _take_request(self) -> None:
        try:
            parts, done = self._requests.get_nowait()
        except Empty:
            return
        try:
            self._start(parts)
            done.set_result(None)
        except BaseException as exc:  # noqa: BLE001  it is raised where start was called
            done.set_exception(exc)

    def _start(self, parts: Sequence[Part]) -> None:
        waiting = [Upkeep(part, self.home, self._rounds, self._on_change) for part in parts]
        self._kept.extend(waiting)
        for _, members in groupby(sorted(waiting, key=_group), key=_group):
            group = list(members)
            for kept in group:
                kept.round = self._rounds
            self._rounds += 1
            self._start_group(group)

    def _start_group(self, group: list[Upkeep]) -> None:
        for kept in group:
            try:
                kept.launch(time.monotonic())
            except BaseException:
                kept.give_up()
                raise
        while not all(kept.state.state is State.RUNNING for kept in group):
            if self._stopping.wait(_TICK):
                raise _stopped()
            for kept in group:
                self._await_first(kept)
            self._tend(but=group)

    def _await_first(self, kept: Upkeep) -> None:
        """A part that fails at its first start is not tried again: somebody is looking, and wants to know why."""
        try:
            failure = kept.check_start(time.monotonic())
        except BaseException:
            kept.give_up()
            raise
        if failure is not None:
            kept.give_up()
            raise NeedsOperator(
                "part_failed",
                f"{kept.part.name} did not start: {failure}. The end of {kept.log}:\n"
                f"{last_lines(kept.log, since=kept.log_start)}",
            )

    def _tend(self, but: Sequence[Upkeep] = ()) -> None:
        for kept in self._kept:
            if kept not in but and not self._stopping.is_set():
                kept.tend(time.monotonic())

    def _stop_all(self) -> None:
        deadline = time.monotonic() + self._stop_within - _FOR_KILLING
        rounds = [list(r) for _, r in groupby(sorted(self._kept, key=_round, reverse=True), key=_round)]
        for index, members in enumerate(rounds):
            longest = [max(kept.part.stop_timeout for kept in later) for later in rounds[index:]]
            allowed = share_out(longest, deadline - time.monotonic())[0]
            _stop_together(members, time.monotonic() + allowed)

    def _refuse_requests(self) -> None:
        while not self._requests.empty():
            self._requests.get_nowait()[1].set_exception(_stopped())


def _stop_together(members: Sequence[Upkeep], until: float) -> None:
    for kept in members:
        kept.ask_to_stop()
    for kept in members:
        kept.finish_stop(max(0.0, min(until, kept.asked_at + kept.part.stop_timeout) - time.monotonic()))


def _group(kept: Upkeep) -> int:
    return kept.part.group


def _round(kept: Upkeep) -> int:
    return kept.round


def _stopped() -> NeedsOperator:
    return NeedsOperator("stopped", "Headrace was stopped while it started.")
