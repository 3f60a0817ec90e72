"""A running `headrace serve`, and a client that asks it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row
from servers.waiting import wait_until

from scheduler.access.tokens import make_token

TOKEN = make_token("live", bits=1)
PATIENCE = 30.0


@dataclass
class Server:
    """A running `headrace serve`."""

    url: str
    database_url: str
    home: Path
    process: "subprocess.Popen[bytes]"

    def ask(self, method: str, path: str, *, token: str | None = TOKEN, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= more.pop("headers", {})
        return httpx.request(method, self.url + path, headers=headers, timeout=20, trust_env=False, **more)

    def rows(self, statement: str, *params: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(home: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return kept | {"HEADRACE_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[3])} | settings


@contextmanager
def serving(database_url: str, broker_url: str, home: Path, **settings: str) -> Iterator[Server]:
    port = free_port()
    env = _environment(
        home, HEADRACE_DATABASE_URL=database_url, HEADRACE_BROKER_URL=broker_url, HEADRACE_PORT=str(port),
        HEADRACE_API_TOKEN=TOKEN, **settings,
    )  # fmt: skip
    with (home / "api.out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scheduler.cli", "serve"], env=env, stdout=out, stderr=out, cwd=home
        )
    server = Server(f"http://127.0.0.1:{port}", database_url, home, process)
    try:
        wait_until(
            lambda: process.poll() is not None or _is_up(server), PATIENCE, what="the start of the API"
        )
        assert process.poll() is None, (home / "api.out").read_text()
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _is_up(server: Server) -> bool:
    try:
        return server.ask("GET", "/healthz").status_code == 200
    except httpx.TransportError:
        return False
