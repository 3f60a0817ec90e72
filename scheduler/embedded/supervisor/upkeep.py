"""What is to be done for one part now: launch it, wait for it, start it again, or stop it?

Driven by the supervisor's thread, which hands in the time (a monotonic clock's).
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from scheduler.embedded.supervisor.part_log import log_path, open_log, trim_log
from scheduler.embedded.supervisor.parts import Part, PartState, State, part_environment, restart_delay
from scheduler.embedded.supervisor.processes import Child, spawn

STEADY_AFTER = 60.0
"""A part that lived so long is forgiven its earlier deaths."""

log = structlog.get_logger()


class Upkeep:
    """One part and its process."""

    def __init__(
        self, part: Part, home: Path, round_: int, on_change: Callable[[Part, PartState], None] | None
    ) -> None:
        self.part = part
        self.home = home
        self.round = round_
        """Parts of a later round stop before those of an earlier one."""
        self.log = log_path(home, part.name)
        self.log_start = 0
        self.asked_at = 0.0
        self._child: Child | None = None
        self._on_change = on_change
        self._launched_at = 0.0
        self._retry_at = 0.0
        self._deaths = 0
        self.state = PartState(part.name, State.WAITING, datetime.now(UTC), None, 0, None, self.log)

    def launch(self, now: float) -> None:
        """Start its process; whether it is ready is asked later."""
        self._launched_at = now
        self.log_start = self.log.stat().st_size if self.log.exists() else 0
        self._enter(State.STARTING, pid=None)
        self._child = self.part.launch() if self.part.launch is not None else self._spawn()
        self._enter(State.STARTING, pid=self._child.pid)

    def check_start(self, now: float) -> str | None:
        """Enter `running` if the part is ready. Why it never will be, if it won't."""
        if self._child is None or not self._child.alive:
            return f"it ended with {_exit_words(self._child)}"
        if self.part.ready is None or self.part.ready():
            self._enter(State.RUNNING)
            log.info(
                "part_ready",
                part=self.part.name,
                pid=self._child.pid,
                seconds=round(now - self._launched_at, 2),
            )
            return None
        waited = now - self._launched_at
        return None if waited < self.part.ready_timeout else f"it was not ready within {waited:.0f} s"

    def tend(self, now: float) -> None:
        """Notice a death, start the part again when its time has come, and keep its log short."""
        if trim_log(self.log):
            self.log_start = 0
        match self.state.state:
            case State.RUNNING if self._child is None or not self._child.alive:
                self._mourn(now, f"it ended with {_exit_words(self._child)}")
            case State.STARTING:
                self._check_restart(now)
            case State.RESTARTING if now >= self._retry_at:
                self._restart(now)
            case _:
                pass

    def give_up(self) -> None:
        """It failed at its first start."""
        self.kill()
        self._enter(State.FAILED, pid=None)

    def ask_to_stop(self) -> None:
        """Send the stop signal."""
        self.asked_at = time.monotonic()
        if self.state.state in {State.FAILED, State.WAITING, State.RESTARTING} or self._child is None:
            return
        self._enter(State.STOPPING)
        self._child.send(self.part.stop_signal)

    def finish_stop(self, timeout: float) -> None:
        """Wait for the end, and make it one."""
        if self._child is not None and not self._child.wait(timeout):
            log.warning("part_killed", part=self.part.name, child_pid=self._child.pid)
        self.kill()
        if self.state.state is not State.FAILED:
            self._enter(State.STOPPED, pid=None)

    def kill(self) -> None:
        """End its process group now, if there is one."""
        if self._child is not None:
            self._child.kill()

    def _spawn(self) -> Child:
        with open_log(self.home, self.part.name) as output:
            return spawn(
                self.part.argv,
                log=output,
                env=part_environment(os.environ, self.home, self.part.env),
                folder=Path.cwd(),
                death_signal=self.part.death_signal,
            )

    def _check_restart(self, now: float) -> None:
        try:
            failure = self.check_start(now)
        except Exception as exc:  # noqa: BLE001  a check that breaks must not end the supervision of the others
            failure = str(exc)
        if failure is not None:
            self._mourn(now, failure)

    def _mourn(self, now: float, reason: str) -> None:
        self.kill()
        self._deaths = 1 if now - self._launched_at >= STEADY_AFTER else self._deaths + 1
        delay = restart_delay(self._deaths)
        self._retry_at = now + delay
        log.warning("part_died", part=self.part.name, reason=reason, retry_in=delay, log=str(self.log))
        self._enter(
            State.RESTARTING, pid=None, last_exit=None if self._child is None else self._child.exit_code
        )

    def _restart(self, now: float) -> None:
        try:
            self.launch(now)
        except Exception as exc:  # noqa: BLE001  as above
            log.warning("part_launch_failed", part=self.part.name, error=str(exc))
            self._child = None
            self._mourn(now, str(exc))
            return
        self._enter(State.STARTING, restarts=self.state.restarts + 1)
        log.warning(
            "part_restarted", part=self.part.name, child_pid=self.state.pid, restarts=self.state.restarts
        )

    def _enter(self, state: State, **changes: int | None) -> None:
        before = self.state
        since = before.since if state is before.state else datetime.now(UTC)
        values = {"pid": before.pid, "restarts": before.restarts, "last_exit": before.last_exit, **changes}
        self.state = PartState(before.name, state, since, log=self.log, **values)  # type: ignore[arg-type]
        if self._on_change is not None and state is not before.state:
            try:
                self._on_change(self.part, self.state)
            except Exception:
                log.exception("on_change_failed", part=self.part.name)


def _exit_words(child: Child | None) -> str:
    code = None if child is None else child.exit_code
    if code is None:
        return "an unknown exit code"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
