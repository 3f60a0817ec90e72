"""`headrace connect` on a terminal: it asks, shows no secret, says what it found, and leaves nothing in the store in vain."""

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.systems.demo import Demo

from worker.db.database import Database

pytestmark = pytest.mark.integration

Person = Callable[..., tuple[int, str]]
"""Starts the command, answers what it asks for, in this order; its exit code, and all that stood on the terminal."""


@pytest.fixture
def person(database_url: str, broker_url: str, tmp_path: Path) -> Person:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    env = kept | {
        "HEADRACE_DATABASE_URL": database_url, "HEADRACE_BROKER_URL": broker_url, "HEADRACE_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(Path(__file__).parents[3]), "COLUMNS": "200",
    }  # fmt: skip

    def person(*arguments: str, answers: dict[str, str]) -> tuple[int, str]:
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe(
                sys.executable, [sys.executable, "-P", "-m", "scheduler.cli", "connect", *arguments], env
            )
        shown, waits = "", [*answers.items()]
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                shown += os.read(terminal, 4096).decode(errors="replace")
            except OSError:  # how Linux says that the other end is closed
                break
            if waits and shown.endswith(f"{waits[0][0]} "):  # with the space, nothing more is thrown away
                os.write(terminal, waits.pop(0)[1].encode() + b"\n")
        else:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), shown.replace("\r\n", "\n")

    return person


def test_a_stranger_is_asked_for_all_that_is_needed_and_told_what_was_found(
    person: Person, demo: Demo, database: Database, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    questions = {
        "store:": f"file://{store}/",
        "base_url:": demo.base_url,
        "token (unseen):": "wrong-token-of-mine",
    }
    code, shown = person("demo", "--name", "Plant", answers=questions)
    assert code == 1, shown
    assert "Where the demo system listens" in shown
    assert "✗ system: The system answered 401" in shown
    assert "Nothing was connected." in shown
    assert "taken out of the store again" in shown
    assert "wrong-token-of-mine" not in shown
    assert [*store.iterdir()] == []

    questions["token (unseen):"] = Path(demo.token_file).read_text().strip()
    code, shown = person("demo", "--name", "Plant", answers=questions)
    assert code == 0, shown
    assert "✓ stream parts: It can be read." in shown
    assert "All 7 streams can be read. Plant is connected." in shown
    [row] = database.all("SELECT name, secrets FROM connections")
    assert row["secrets"]["token"] == f"file://{next(store.iterdir())}"

    code, shown = person("demo", "--name", "Plant", answers={})
    assert (code, "belongs to another connection" in shown) == (2, True), shown
    assert database.all("SELECT actor, action, target FROM audit") == [
        {"actor": "cli", "action": "connection.create", "target": "Plant"}
    ]
