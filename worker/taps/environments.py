"""Where are a tap's packages? In an environment of its own below Headrace's home, made once for each requirement.

Never in the worker's: what a tap needs may contradict what we need. One process makes it while others wait for the lock,
which ends with its holder; what was left half-made is made anew. pip gets its own settings and those of the network, and
none of our secrets. Emits: tap_installing, tap_installed, tap_not_pinned.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from worker.errors import NeedsOperator, Transient
from worker.taps.allowed import Allowed
from worker.taps.words import masked
from worker.telemetry.redaction import redactor

READY = "ready.json"
INSTALLS_WITHIN = 900.0
LOCK_EVERY = 0.5
LAST_LINES = 8
_AWAY = (
    "connection",
    "timed out",
    "temporary failure",
    "network is unreachable",
    "max retries",
    "read timed out",
)
_PASSED = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_LIST = """
import json, sys
from importlib.metadata import distribution, distributions
found = distribution(sys.argv[1])
scripts = sorted(e.name for e in found.entry_points if e.group == "console_scripts")
packages = sorted(f"{d.metadata['Name']}=={d.version}" for d in distributions())
print(json.dumps({"version": found.version, "scripts": scripts, "packages": packages}))
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Environment:
    """Packages that are there, and the programs that the tap's own package brings."""

    folder: Path
    version: str
    scripts: tuple[str, ...]

    def program(self, named: str | None = None) -> Path:
        """The tap's program: the one that is named, or the only one that can be meant."""
        meant = [script for script in self.scripts if named is None or script == named]
        if len(meant) > 1:
            meant = [script for script in meant if script.startswith("tap-")]
        if len(meant) != 1:
            message = f"Its package has no program {named!r}." if named else "Its package has no one program."
            hint = (
                f"`executable` in the connection's settings is one of: {', '.join(self.scripts) or 'none'}."
            )
            raise NeedsOperator("tap_has_no_program", message, hint=hint)
        return self.folder / "bin" / meant[0]


def environment_of(tap: Allowed, home: Path, *, tick: Callable[[], None] = lambda: None) -> Environment:
    """The environment of a requirement, made if it isn't there. `tick` is called meanwhile, and may raise to give up."""
    folder = folder_of(tap, home)
    if (found := _ready(folder)) is not None:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder, tick):
        if (found := _ready(folder)) is not None:
            return found
        try:
            return _made(tap, folder, tick)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def known_environment(tap: Allowed, home: Path) -> Environment | None:
    """The environment of a requirement, if it is there."""
    return _ready(folder_of(tap, home))


def folder_of(tap: Allowed, home: Path) -> Path:
    """Where it is or will be: another requirement, or another Python, has another."""
    says = f"{tap.requirement} {platform.python_version()}"
    return home / "taps" / "environments" / f"{tap.name}-{hashlib.sha256(says.encode()).hexdigest()[:12]}"


def network_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What a program of another's needs to be told of this machine: its proxies and its certificates."""
    known = {*_PROXIES, *(name.lower() for name in _PROXIES), *_PASSED[3:]}
    return {name: value for name, value in environ.items() if name in known}


def _ready(folder: Path) -> Environment | None:
    try:
        found = json.loads((folder / READY).read_text())
        return Environment(folder, found["version"], tuple(found["scripts"]))
    except (OSError, ValueError, KeyError):
        return None


@contextmanager
def _locked(folder: Path, tick: Callable[[], None]) -> Iterator[None]:
    handle = os.open(f"{folder}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    pause = threading.Event()
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                tick()
                pause.wait(LOCK_EVERY)
        yield
    finally:
        os.close(handle)


def _made(tap: Allowed, folder: Path, tick: Callable[[], None]) -> Environment:
    if not tap.is_pinned:
        log.warning(
            "tap_not_pinned", tap=tap.requirement, hint="Name its version: another day it is another program."
        )
    log.info("tap_installing", tap=tap.requirement, folder=str(folder))
    begun = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    python = folder / "bin" / "python"
    _run([sys.executable, "-m", "venv", str(folder)], tap, tick)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    _run([*pip, "--", tap.requirement], tap, tick)
    told = json.loads(_run([str(python), "-I", "-c", _LIST, tap.name], tap, tick))
    (folder / READY).write_text(json.dumps({"requirement": tap.requirement, **told}, indent=1))
    seconds = round(time.monotonic() - begun, 1)
    log.info("tap_installed", tap=tap.requirement, version=told["version"], seconds=seconds)
    return Environment(folder, told["version"], tuple(told["scripts"]))


def _run(command: Sequence[str], tap: Allowed, tick: Callable[[], None]) -> str:
    """What it prints. A failure is told by its last lines."""
    environ = {name: os.environ[name] for name in _PASSED if name in os.environ}
    environ |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environ |= network_variables(os.environ)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        start_new_session=True,
    )
    ends = time.monotonic() + INSTALLS_WITHIN
    try:
        while True:
            try:
                out, err = child.communicate(timeout=LOCK_EVERY)
                break
            except subprocess.TimeoutExpired:
                tick()
                if time.monotonic() > ends:
                    raise Transient(
                        "tap_not_installed", f"Installing {tap.requirement} took too long."
                    ) from None
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    if child.returncode:
        raise _failed(tap, err.decode(errors="replace"))
    return out.decode(errors="replace")


def _failed(tap: Allowed, said: str) -> NeedsOperator | Transient:
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("WARNING")]
    words = redactor.redact(masked(" / ".join(lines[-LAST_LINES:])))
    message = f"{tap.requirement} could not be installed: {words or 'pip said nothing.'}"
    is_away = any(word in words.lower() for word in _AWAY)
    return (Transient if is_away else NeedsOperator)("tap_not_installed", message)
