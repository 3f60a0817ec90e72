"""A real Tryton 8.2 ERP for a test session: installed once, kept between runs, started from a filled database.

The first run installs it into an environment of its own and fills a SQLite database through the ERP's own interface; later
runs copy that database and start. Without a network the first time, its tests are skipped with a line that says so.
"""

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from servers.kept import CouldNotMake, digest_of, kept, run
from servers.policy import require
from servers.running import running
from servers.systems.tryton import client as tryton_client
from servers.systems.tryton import seed as tryton_seed
from servers.systems.tryton.client import TrytonClient

from scheduler.embedded.ports import LOOPBACK, free_port

DATABASE = "plant"
USERNAME = "admin"
PASSWORD = "admin-secret-1"
MODULES = ("party", "product", "stock", "purchase", "company", "currency")
_HERE = Path(__file__).parent
_REQUIREMENTS = _HERE / "tryton-requirements.txt"
_MONTH = 30 * 86400.0
"""A template is made anew after this long, because a test may ask for the changes of the last 90 days."""
_CONFIGURATION = """\
[database]
uri = sqlite://
path = {folder}
[web]
listen = {host}:{port}
[session]
super_pwd =
max_attempt = 50
[password]
length = 4
[email]
from = admin@example.com
"""


@dataclass
class TrytonServer:
    """A running ERP, and a login to ask and change it by its own interface."""

    base_url: str
    database: str = DATABASE
    username: str = USERNAME
    password: str = PASSWORD
    erp: TrytonClient = field(init=False)

    def __post_init__(self) -> None:
        self.erp = TrytonClient(self.base_url, self.database, self.username, self.password)
        tryton_seed.use_preferences(self.erp)

    def order(self, reference: str, *, lines: int = 2) -> int:
        """A new draft purchase from some vendor; its id."""
        party = self.erp.ids("party.party", [["addresses", "!=", None]])[0]
        return tryton_seed.order_purchase(self.erp, party, reference=reference, lines=lines)


@pytest.fixture(scope="session")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    """One ERP for the session. Tests share it: change only records of your own, and don't count all of them."""
    with running_tryton(tmp_path_factory.mktemp("tryton")) as server:
        yield server


@contextmanager
def running_tryton(folder: Path) -> Iterator[TrytonServer]:
    """An ERP of your own, freshly filled; it ends with the block."""
    try:
        python = _installed()
    except CouldNotMake as exc:
        require("Tryton could not be installed: run once with a package index, it is kept.", cause=exc)
    shutil.copy(_template(), folder / f"{DATABASE}.sqlite")
    with _serving(python, folder) as base_url:
        server = TrytonServer(base_url)
        try:
            yield server
        finally:
            server.erp.close()


def _installed() -> Path:
    """The Python of the environment that holds the ERP."""
    recipe = digest_of(_REQUIREMENTS.read_bytes(), sys.version, sys.executable)
    return kept(f"tryton-{recipe}", _install) / "bin" / "python"


def _install(folder: Path) -> None:
    python = folder / "bin" / "python"
    if uv := _uv():
        run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], folder=folder)
        pip: list[str | Path] = [*uv, "pip", "install", "--quiet", "--python", python]
    else:
        run([sys.executable, "-m", "venv", folder], folder=folder)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", _REQUIREMENTS], folder=folder)


def _uv() -> list[str] | None:
    """How uv is called here, if it is here: a shim that only names it isn't enough."""
    for command in (["uv"], [sys.executable, "-m", "uv"]):
        try:
            run([*command, "--version"], folder=_HERE)
        except CouldNotMake:
            continue
        return command
    return None


def _template() -> Path:
    """The filled database."""
    sources = (Path(module.__file__ or "").read_bytes() for module in (tryton_client, tryton_seed))
    recipe = digest_of(_REQUIREMENTS.read_bytes(), _CONFIGURATION, ",".join(MODULES), *sources)
    return kept(f"tryton-database-{recipe}", _fill, younger_than=_MONTH) / f"{DATABASE}.sqlite"


def _fill(folder: Path) -> None:
    python, configuration = _installed(), _configure(folder, port=0)
    (folder / f"{DATABASE}.sqlite").touch()
    password = folder / "password"
    password.write_text(PASSWORD)
    admin: list[str | Path] = [
        python,
        python.with_name("trytond-admin"),
        "-c",
        configuration,
        "-d",
        DATABASE,
        "--email",
        "admin@example.com",
    ]
    run(
        [*admin, "-u", "ir", "res", *MODULES, "--activate-dependencies"],
        folder=folder,
        env={"TRYTONPASSFILE": str(password)},
    )
    with _serving(python, folder) as base_url:
        erp = TrytonClient(base_url, DATABASE, USERNAME, PASSWORD)
        tryton_seed.seed(erp)
        erp.close()
    with closing(sqlite3.connect(folder / f"{DATABASE}.sqlite")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the copy is of one file


@contextmanager
def _serving(python: Path, folder: Path) -> Iterator[str]:
    """The URL of an ERP on the database in the folder."""
    port = free_port()
    configuration, base_url = _configure(folder, port=port), f"http://{LOOPBACK}:{port}"
    program: list[str | Path] = [python, python.with_name("trytond"), "-c", configuration, "-d", DATABASE]
    with running(program, folder=folder, answers=lambda: _answers(base_url)):
        yield base_url


def _configure(folder: Path, *, port: int) -> Path:
    file = folder / "trytond.conf"
    file.write_text(_CONFIGURATION.format(folder=folder, host=LOOPBACK, port=port))
    return file


def _answers(base_url: str) -> bool:
    asked = {"id": 1, "method": "common.server.version", "params": []}
    try:
        return httpx.post(f"{base_url}/rpc/", json=asked, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
