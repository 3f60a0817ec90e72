"""How is the demo system served, and how does its starter learn where?

`serve` blocks until SIGTERM or SIGINT. When the port answers it says so in one line of JSON, printed or written to a
file. It listens on the loopback address only: it is a toy for one machine, whatever its tokens are.
"""

import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from scheduler.embedded.demo.api.app import build_app
from scheduler.embedded.demo.options import DemoOptions
from scheduler.embedded.demo.plant.plant import Plant
from scheduler.embedded.demo.system import System, wall_clock

HOST = "127.0.0.1"
GRACE = 2
"""Seconds for answers under way at the end: a slow answer (a fault) must not hold up a shutdown."""


class PortInUse(Exception):
    """Somebody else listens there."""


def serve(options: DemoOptions) -> None:
    """Serve until told to stop. Raises PortInUse, JournalError for a state file that can't be used, BadSecret.

    To be called from the main thread of a process of its own: it takes over SIGTERM and SIGINT.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    listener = _listen(options.port)
    try:
        plant = Plant(
            seed=options.seed,
            factor=options.factor,
            clock=wall_clock,
            epoch=options.epoch,
            state=options.state,
        )
        try:
            system = System(options, plant)
            try:
                _run(options, system, listener)
            finally:
                system.hooks.close()
        finally:
            plant.close()
    finally:
        listener.close()


def ready_line(port: int) -> dict[str, Any]:
    """No token is in it: it may go to a log."""
    return {"event": "demo_ready", "port": port, "base_url": f"http://{HOST}:{port}", "pid": os.getpid()}


def _run(options: DemoOptions, system: System, listener: socket.socket) -> None:
    config = uvicorn.Config(
        build_app(system),
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,  # the system has a clock of its own, and it may be wrong
        lifespan="on",
        timeout_graceful_shutdown=GRACE,
    )
    port = listener.getsockname()[1]
    server = _Server(
        config, lambda: _announce(options, port), os.getppid() if options.exit_with_parent else None
    )
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None], parent: int | None) -> None:
        super().__init__(config)
        self._announce = announce
        self._parent = parent

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def on_tick(self, counter: int) -> bool:
        # uvicorn asks ten times a second; once a second is enough to see that we are orphans.
        if self._parent is not None and counter % 10 == 0 and os.getppid() != self._parent:
            return True
        return await super().on_tick(counter)


def _end(_number: int, _frame: object) -> None:
    """Before and after uvicorn has the signals; it sends them on when it has shut down. An asked-for end is no failure."""
    raise SystemExit(0)


def _listen(port: int) -> socket.socket:
    # The protocol is named because asyncio turns Nagle's delay off only then; else each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise PortInUse(f"Port {port} of {HOST} can't be used: {error.strerror}.") from error
    return listener


def _announce(options: DemoOptions, port: int) -> None:
    line = json.dumps(ready_line(port))
    if options.ready_file is None:
        print(line, flush=True)  # noqa: T201 -- this line is the interface
        return
    fresh = options.ready_file.with_name(options.ready_file.name + ".new")
    fresh.write_text(line + "\n", encoding="utf-8")
    fresh.replace(options.ready_file)
