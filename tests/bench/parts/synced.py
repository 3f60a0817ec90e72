"""How is a sync of somebody else's measured? By a process that is told to sync, again and again, and says how long it took.

The protocol: the first line to it is the database's URL (a password, so not on the command line), which it answers with
a line when it is ready; each line after that is one sync, answered with a line of JSON that holds `seconds`. What it says
besides, on stderr, is kept for the report of a failure.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.bench.parts.processes import Cost, Watch
from tests.bench.parts.servers import ROOT


@dataclass(frozen=True, slots=True)
class Synced:
    """One sync. `read` and `written` are 0 where a tool doesn't say."""

    seconds: float
    read: int
    written: int
    cost: Cost


class SyncProcess:
    """Warm after its first sync. `start` and `result` are for several at once."""

    def __init__(self, process: "subprocess.Popen[str]", words: IO[bytes]) -> None:
        self._process = process
        self._words = words
        self.pid = process.pid

    def sync(self) -> Synced:
        """Sync to the end."""
        self.start()
        return self.result()

    def start(self) -> None:
        self._watch = Watch(self.pid).__enter__()
        self.say("sync")

    def result(self) -> Synced:
        found = self.answer()
        self._watch.__exit__()
        return Synced(found["seconds"], found.get("read", 0), found.get("written", 0), self._watch.cost)

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._words.seek(0)
            said = self._words.read()[-1500:].decode(errors="replace")
            raise RuntimeError(f"{said}\n{self._process.args!r} ended with {self._process.wait()}.")
        found: dict[str, Any] = json.loads(line)
        return found

    def say(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()


@contextmanager
def sync_process(
    program: Sequence[str | Path], database_url: str, *, environment: Mapping[str, str] | None = None
) -> Iterator[SyncProcess]:
    """A process that is started and ready, and has not yet synced; killed in the end."""
    words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
    process = subprocess.Popen(
        [str(part) for part in program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=words,
        text=True,
        cwd=ROOT,
        env=os.environ | dict(environment or {}),
    )
    found = SyncProcess(process, words)
    try:
        found.say(database_url)
        found.answer()
        yield found
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, words):
            assert pipe is not None
            pipe.close()
