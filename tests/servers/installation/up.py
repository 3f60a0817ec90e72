"""A `headrace up` of a test's own, in a home of its own and in somebody's folder."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]


class Up:
    """A `headrace up` of this test's own."""

    def __init__(self, home: Path, folder: Path, *arguments: str, **settings: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        self.home = home
        self.environment = kept | {
            "HEADRACE_HOME": str(home), "HEADRACE_FLOWER_PORT": "0", "PYTHONPATH": str(ROOT), **settings,
        }  # fmt: skip
        self.output = folder / "up.out"
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "scheduler.cli", "up", "--port", "0", *arguments],
                env=self.environment, stdout=out, stderr=out, cwd=folder,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.output.read_text()

    def says(self, words: str) -> bool:
        return words in self.text or self.process.poll() is not None

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def part(self, *words: str) -> psutil.Process:
        return next(child for child in self.children() if all(word in child.cmdline() for word in words))

    def address(self, what: str) -> str:
        found = re.search(rf"^{what} +(http\S+)", self.text, re.MULTILINE)
        assert found is not None, self.text
        return found[1]

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "scheduler.cli", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=60, check=False, cwd=self.home.parent,
        )  # fmt: skip

    def stop(self) -> float:
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
        return time.monotonic() - begun
