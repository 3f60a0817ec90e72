"""The rooms of the house are checked by machine: each contract holds, and a line in the wrong room breaks it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WRONG_LINES = [
    ("worker/errors.py", "import scheduler.beat.due", "worker never scheduler"),
    ("worker/runs/states.py", "import worker.engine.planning.plan", "the arrow points down"),
    ("worker/engine/planning/plan.py", "import httpx", "only worker.http sends"),
    ("worker/limits/policy.py", "import celery", "Celery is known by"),
    ("worker/engine/planning/plan.py", "import worker.engine.fetching.extract", "inside the engine"),
    (
        "worker/connectors/reading/shape.py",
        "import worker.connectors.manifest.model",
        "inside the connectors",
    ),
    ("worker/views/sql/names.py", "import psycopg", "without a database"),
    ("worker/db/words.py", "import redis", "Redis commands live"),
    ("scheduler/cli/output.py", "import fastapi", "FastAPI is known by"),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the code that may be spoilt."""
    for package in ("worker", "scheduler"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path) -> "subprocess.CompletedProcess[str]":
    script = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", script], cwd=tree, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_contracts_hold(tree: Path) -> None:
    said = lint(tree)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "0 broken" in said.stdout


@pytest.mark.parametrize(("file", "line", "contract"), WRONG_LINES)
def test_a_line_in_the_wrong_room_breaks_its_contract(
    tree: Path, file: str, line: str, contract: str
) -> None:
    spoilt = tree / file
    spoilt.write_text(f"{spoilt.read_text()}\n{line}\n")
    said = lint(tree)
    assert said.returncode == 1, said.stdout + said.stderr
    broken = [text for text in said.stdout.splitlines() if text.endswith("BROKEN")]
    assert any(contract in text for text in broken), said.stdout
