"""Does the benchmark still run? One small case through its driver, in a process, so that it can't rot unseen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASE = "smoke"

pytestmark = pytest.mark.integration


def bench(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.bench.run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )


def test_a_case_prints_a_line_a_figure_and_a_table(tmp_path: Path) -> None:
    done = bench("--only", CASE, "--write", str(tmp_path / "table.md"))

    assert done.returncode == 0, done.stdout + done.stderr
    figure = next(line for line in done.stdout.splitlines() if line.startswith("smoke: first load"))
    _, ours, baseline, ratio, *_ = figure.split(" | ")
    assert ours.endswith(" s")
    assert baseline.endswith(" s")
    assert float(ratio) > 0
    assert "| smoke: first load" in (tmp_path / "table.md").read_text()
