"""A real SAP CAP service with OData V4 for a test session: its program is installed once and kept between runs.

It needs Node 22 or newer: the machine's own, or one that the package registry has (Linux). Where neither is to be had, its
tests are skipped with a line that says so.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers.kept import CouldNotMake, digest_of, kept, run
from servers.policy import require
from servers.running import running

from scheduler.embedded.ports import LOOPBACK, free_port

USERNAME = "sync"
PASSWORD = "sync-secret-1"
PARTS = 350
NODE_WANTED = 22
NODE_VERSION = "22.23.3"
_PROGRAM = Path(__file__).with_name("cap_service")
_PATH = "/odata/v4/maint"
_BATCH = 100
_PATIENCE = 200.0
"""Seconds for an installation: less than a test may take, so that one without an index ends in words."""


@dataclass
class CapService:
    """A running service, and a client to ask and change it."""

    base_url: str
    username: str = USERNAME
    password: str = PASSWORD
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._http = httpx.Client(
            base_url=self.base_url, auth=(self.username, self.password), timeout=60, trust_env=False
        )

    def close(self) -> None:
        self._http.close()

    def count(self, entity: str) -> int:
        """How many records the service says there are."""
        return int(self._http.get(f"{entity}/$count").raise_for_status().text)

    def rows(self, entity: str) -> list[dict[str, Any]]:
        """All records by ID, asked for in the service's own words for skipping."""
        found: list[dict[str, Any]] = []
        while True:
            params = {"$orderby": "ID", "$top": "1000", "$skip": str(len(found))}
            page = self._http.get(entity, params=params).raise_for_status().json()["value"]
            found += page
            if not page:
                return found

    def create(self, entity: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Create records, each in a transaction of its own."""
        for start in range(0, len(records), _BATCH):
            requests = [
                {
                    "id": str(number),
                    "method": "POST",
                    "url": f"/{entity}",
                    "headers": {"content-type": "application/json"},
                    "body": dict(record),
                }
                for number, record in enumerate(records[start : start + _BATCH])
            ]
            answer = self._http.post("$batch", json={"requests": requests}).raise_for_status().json()
            refused = [one for one in answer["responses"] if one["status"] >= 300]
            assert not refused, refused[0]

    def edit(self, entity: str, key: str, values: Mapping[str, Any]) -> None:
        """Change one record."""
        self._http.patch(
            f"{entity}('{key}')", json=dict(values), headers={"If-Match": "*"}
        ).raise_for_status()

    def delete(self, entity: str, key: str) -> None:
        """Delete one record; it leaves no trace."""
        self._http.delete(f"{entity}('{key}')", headers={"If-Match": "*"}).raise_for_status()


@pytest.fixture(scope="session")
def cap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CapService]:
    """One service for the session, with some pages of parts."""
    with running_cap(tmp_path_factory.mktemp("cap")) as service:
        yield service


@contextmanager
def running_cap(folder: Path) -> Iterator[CapService]:
    """A service of your own with a fresh database; it ends with the block."""
    try:
        node = _node()
        modules = _installed(node)
    except CouldNotMake as exc:
        require(
            f"The CAP service could not be installed: it needs npm (apt install npm, or Node {NODE_WANTED}), and a "
            "package index once.",
            cause=exc,
        )
    shutil.copytree(_PROGRAM, folder, dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(modules)
    run([node, "deploy.js"], folder=folder)
    port = free_port()
    base_url = f"http://{LOOPBACK}:{port}{_PATH}/"
    program: list[str | Path] = [node, folder / "node_modules" / "@sap" / "cds" / "bin" / "serve.js", "all"]
    with running(program, folder=folder, env={"PORT": str(port)}, answers=lambda: _answers(base_url)):
        service = CapService(base_url)
        try:
            service.create("Parts", [_part(number) for number in range(PARTS)])
            yield service
        finally:
            service.close()


def _part(number: int) -> dict[str, Any]:
    return {"ID": f"P-{number:05d}", "name": f"Bearing {number} Łódź", "onHand": number, "price": "12.50"}


def _node() -> Path:
    """A Node that is new enough: the machine's, or one from the registry."""
    here = shutil.which("node")
    if here is not None and _major(here) >= NODE_WANTED:
        return Path(here)
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    if sys.platform != "linux" or machine is None:
        raise CouldNotMake(f"Node {NODE_WANTED} or newer is needed, and this machine has none")
    name = f"node-linux-{machine}"
    folder = kept(f"node-{NODE_VERSION}-{machine}", lambda at: _npm_install(at, f"{name}@{NODE_VERSION}"))
    return folder / "node_modules" / name / "bin" / "node"


def _major(node: str) -> int:
    try:
        said = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"v([0-9]+)\.", said)
    return int(found.group(1)) if found else 0


def _installed(node: Path) -> Path:
    """The modules of the service. They hold no compiled code, so any Node that is new enough can use them."""
    package = (_PROGRAM / "package.json").read_bytes()

    def install(folder: Path) -> None:
        (folder / "package.json").write_bytes(package)
        _npm_install(folder, node=node)

    return kept(f"cap-{digest_of(package)}", install) / "node_modules"


def _npm_install(folder: Path, *packages: str, node: Path | None = None) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CouldNotMake("npm is needed and isn't here: install Node 22 or newer with npm")
    package = folder / "package.json"
    if not package.exists():
        package.write_text('{"private": true}\n')
    path = os.environ.get("PATH", "")
    env = {"PATH": path if node is None else f"{node.parent}{os.pathsep}{path}"}
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier", "--loglevel=error"]
    once = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"]
    run([npm, "install", *quiet, *once, *packages], folder=folder, env=env, timeout=_PATIENCE)


def _answers(base_url: str) -> bool:
    try:
        answer = httpx.get(
            f"{base_url}Parts", params={"$top": "1"}, auth=(USERNAME, PASSWORD), timeout=5, trust_env=False
        )
    except httpx.HTTPError:
        return False
    return answer.status_code == 200
