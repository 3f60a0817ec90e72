"""Running code as somebody else: a Python that an ordinary user can start, and a home that is theirs."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ORDINARY_UID = 65534
_PRELUDE = """
import importlib.util, sys, types
if importlib.util.find_spec("async_timeout") is None:
    # redis.asyncio wants it on Python < 3.11.3, which the system's may be when ours is newer. We never use it.
    sys.modules["async_timeout"] = types.SimpleNamespace(timeout=None)
"""
_ROOT = Path(__file__).resolve().parents[2]


def run_as_ordinary_user(
    code: str, *arguments: str, timeout: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """Run the code with our packages in a process of another user; skips where that can't be."""
    _require_root()
    path = os.pathsep.join([str(_ROOT), sysconfig.get_path("purelib")])
    return subprocess.run(
        [_python_for_anybody(), "-c", _PRELUDE + code, *arguments],
        user=ORDINARY_UID,
        group=ORDINARY_UID,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def _require_root() -> None:
    """Whoever isn't root tries the ordinary user in every other test."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")


def _python_for_anybody() -> str:
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (os.path.realpath(sys.executable), shutil.which("python3", path="/usr/local/bin:/usr/bin")):
        if python is None:
            continue
        try:
            answer = subprocess.run(
                [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                user=ORDINARY_UID,
                cwd="/",
                capture_output=True,
                text=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        if answer.stdout.strip() == wanted:
            return python
    pytest.skip(f"no Python {wanted} that an ordinary user can start")


@contextmanager
def home_of_ordinary_user() -> Iterator[Path]:
    """A private folder of that user, reachable for them (pytest's own folders are root's alone)."""
    _require_root()
    folder = Path(tempfile.mkdtemp(prefix="headrace-user-"))
    try:
        os.chown(folder, ORDINARY_UID, ORDINARY_UID)
        yield folder
    finally:
        shutil.rmtree(folder)
