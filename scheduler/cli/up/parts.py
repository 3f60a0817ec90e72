"""Which parts make up a running Headrace, and how does one see that each is ready?

Children learn the URLs of embedded servers from `<home>/endpoints.json` and everything else from their environment:
nothing secret stands on a command line, where all users of the machine can read it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx

from scheduler.cli.commands.demo import CONNECTION
from scheduler.embedded.flower import PREFIX
from scheduler.embedded.supervisor.parts import Part, headrace_command
from scheduler.health.looks import who_is_alive
from worker.db.database import Database
from worker.errors import HeadraceError

SERVERS, WORK = 0, 1
"""The order of starting. The demo system starts with the rest: nothing asks it before it is connected."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where people and parts find each other. `demo` is None without the demo system."""

    host: str
    api_port: int
    flower_port: int
    demo_port: int | None

    @property
    def api(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.api_port}"

    @property
    def flower(self) -> str:
        return f"http://127.0.0.1:{self.flower_port}/{PREFIX}"

    @property
    def demo(self) -> str | None:
        return None if self.demo_port is None else f"http://127.0.0.1:{self.demo_port}"


def work_parts(addresses: Addresses, database: Database, *, since: datetime) -> list[Part]:
    """The parts that are ours. `since` is the database's time before the first of them was started."""
    environment = {
        "HEADRACE_PORT": str(addresses.api_port),
        "HEADRACE_FLOWER_PORT": str(addresses.flower_port),
        "HEADRACE_TASK_EVENTS": "true",  # so that Flower, which runs beside, has tasks to show
        "HEADRACE_LOG_FORMAT": "json",
        "HEADRACE_STOP_WITHIN": "3",  # all of it stops within ten seconds
    }

    if addresses.demo is not None:
        environment["HEADRACE_OUTBOUND_LOOPBACK"] = "true"  # who tries things out receives events here

    def part(name: str, *arguments: str, ready: Callable[[], bool]) -> Part:
        return Part(
            name, headrace_command(*arguments), env=environment, ready=ready, ready_timeout=60.0, group=WORK
        )

    def seen(kind: str, queue: str = "") -> Callable[[], bool]:
        return lambda: is_seen(database, kind, queue, since)

    parts = [
        part("worker-main", "worker", "--lane", "main", ready=seen("worker", "ctl")),
        part("worker-bulk", "worker", "--lane", "bulk", ready=seen("worker", ".bulk")),
        part("beat", "beat", ready=seen("beat")),
        part("api", "serve", ready=lambda: answers(f"{_reachable(addresses)}/healthz")),
        part("flower", "flower", ready=lambda: answers(f"{addresses.flower}/healthcheck")),
    ]
    if addresses.demo is not None:
        told = f"{_reachable(addresses)}/webhooks/{CONNECTION}"
        parts.insert(0, demo_part(addresses.demo, environment, told))
    return parts


def demo_part(url: str, environment: Mapping[str, str], told: str) -> Part:
    """The demo system, in a process of its own as any system is; `told` gets its webhooks."""
    port = url.rpartition(":")[2]
    return Part(
        "demo",
        headrace_command("demo", "serve", "--port", port, "--webhook-url", told),
        env=environment,
        ready=lambda: answers(url),
        group=WORK,
    )


def is_seen(database: Database, kind: str, queue: str, since: datetime) -> bool:
    """Whether such a process says that it is alive; `queue` is how one of its queues ends."""
    try:
        rows = who_is_alive(database)
    except HeadraceError:
        return False
    return any(
        row["kind"] == kind
        and row["started_at"] >= since
        and (not queue or any(served.endswith(queue) for served in row["queues"]))
        for row in rows
    )


def answers(url: str) -> bool:
    """Whether somebody speaks HTTP there, whatever is said."""
    try:
        httpx.get(url, timeout=1.5, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


def _reachable(addresses: Addresses) -> str:
    """Listening on all addresses, it is asked on the loopback one."""
    every = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on
    host = every.get(addresses.host, addresses.host)
    return Addresses(host, addresses.api_port, addresses.flower_port, None).api
