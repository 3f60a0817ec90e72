"""How does everything start with one command, and how does it all stop?

Servers first (unless the settings name yours), then the schema, then the demo system and our own parts. One `headrace
up` at a time holds a home. Ctrl-C, SIGTERM and a closed terminal stop all of it within ten seconds; what was killed
together with us is ended by the next start. Emits: up_ready, up_stopped.
"""

import io
import shlex
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from scheduler.access.first import First, let_first_in
from scheduler.cli.commands.demo import (
    CONNECTION,
    PORT_FILE,
    UNWANTED_FILE,
    connect_demo,
    remove_files,
    wants_demo,
)
from scheduler.cli.commands.demo import TOKEN_FILE as DEMO_TOKEN_FILE
from scheduler.cli.session import open_publisher
from scheduler.cli.up.parts import SERVERS, Addresses, work_parts
from scheduler.cli.up.screen import Place, Progress, Screen, headrace_words
from scheduler.embedded import flower
from scheduler.embedded.endpoints import clear_endpoints, write_endpoints
from scheduler.embedded.ports import choose_port, free_port, require_free
from scheduler.embedded.postgres.server import EmbeddedPostgres
from scheduler.embedded.private_files import kept_password, make_private_folder
from scheduler.embedded.supervisor.part_log import log_path
from scheduler.embedded.supervisor.supervisor import Supervisor
from scheduler.embedded.valkey import EmbeddedValkey
from scheduler.health.looks import look_at_broker
from worker.config import Settings, load_settings
from worker.db.database import Database
from worker.db.migrate import migrate
from worker.db.queries import load_queries
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.telemetry.logs import configure_logging
from worker.telemetry.redaction import redactor

sql = load_queries("scheduler.cli.up", "progress.sql")
LEAST_SPACE = 200 * 1024 * 1024
TICK = 0.25
LOOK_EVERY = 1.0
LOOK_LATER = 5.0
"""Counting records costs the more the more there are; once all is synced, nobody is in a hurry."""

log = structlog.get_logger()

PRIVACY_KEY_FILE = "privacy-key"


class _Stop(BaseException):
    """Somebody wants us to end. Not an error, so that no `except Exception` on the way takes it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What was decided before anything is started."""

    settings: Settings
    addresses: Addresses
    postgres: EmbeddedPostgres | None
    valkey: EmbeddedValkey | None


def run_up(*, demo: bool | None, port: int | None, home: Path | None) -> None:
    """Start everything, and return when it has stopped."""
    given: dict[str, Any] = {"home": home, "port": port}
    given = {name: value for name, value in given.items() if value is not None}
    folder = _prepare_home(load_settings(**given).home)
    with _stop_signals():
        screen = Screen()
        try:
            _run_supervised(folder, given, screen, demo=demo)
        except _Stop:
            log.info("up_stopped")
        if (folder / UNWANTED_FILE).exists():
            remove_files(folder)
        with suppress(OSError):  # the terminal may be gone
            screen.step("Everything has stopped.")


def _run_supervised(folder: Path, given: Mapping[str, Any], screen: Screen, *, demo: bool | None) -> None:
    with Supervisor(folder, on_change=screen.part_changed) as supervisor:
        try:
            _log_to_file(folder)
            clear_endpoints(folder)  # those of one that was killed are no settings of ours
            _run(supervisor, screen, _decide(load_settings(**given), demo=demo))
        finally:
            clear_endpoints(folder)
            with suppress(OSError):
                screen.close()
                screen.step("Stopping …")


def _prepare_home(home: Path) -> Path:
    make_private_folder(home)
    free = shutil.disk_usage(home).free
    if free < LEAST_SPACE:
        raise NeedsOperator(
            "disk_full",
            f"Only {free // 1024**2} MB are free at {home}.",
            hint="Free some space first: Postgres stops on a full disk.",
        )
    return home


def _decide(settings: Settings, *, demo: bool | None) -> Setup:
    """Which servers are ours, and which ports are taken; a port in use ends it here, before anything runs."""
    postgres = (
        EmbeddedPostgres(settings.home, port=settings.postgres_port)
        if settings.database_url is None
        else None
    )
    valkey = EmbeddedValkey(settings.home, port=settings.valkey_port) if settings.broker_url is None else None
    with_demo = wants_demo(settings.home, asked=demo, embedded=postgres is not None)
    if demo:
        (settings.home / UNWANTED_FILE).unlink(missing_ok=True)
    addresses = Addresses(
        settings.host,
        _port(settings.port, settings.host, "the API", "HEADRACE_PORT (or --port)"),
        _port(settings.flower_port, "127.0.0.1", "Flower", "HEADRACE_FLOWER_PORT"),
        _demo_port(settings.home) if with_demo else None,
    )
    return Setup(settings, addresses, postgres, valkey)


def _port(wanted: int, host: str, server: str, setting: str) -> int:
    return require_free(wanted, server=server, setting=setting, host=host) if wanted else free_port(host)


def _demo_port(home: Path) -> int:
    return choose_port(0, kept_in=home / PORT_FILE, server="the demo system", setting="")


def _run(supervisor: Supervisor, screen: Screen, setup: Setup) -> None:
    settings = _start_servers(supervisor, screen, setup)
    database = Database(settings.require_database_url(), name="up", pool=2)
    try:
        before, after = migrate(database)
        if before != after:
            screen.step(f"The schema is at {after} now.")
        _require_broker(settings)
        first = let_first_in(database, settings)
        if first.made:
            files = " and ".join(map(str, first.files.values()))
            screen.step(f"The first admin tokens are made, of live and of test: {files}, for you alone.")
        _start_work(supervisor, screen, setup.addresses, settings, database)
        log.info("up_ready", api=setup.addresses.api)
        screen.show_places(places(setup, settings, first), hints(setup, settings))
        _watch(supervisor, screen, database, demo=setup.addresses.demo is not None)
    finally:
        database.close()


class _Nowhere(io.TextIOBase):
    """Takes what isn't for the screen, to the very end of the process."""

    def write(self, text: str) -> int:
        return len(text)


def _log_to_file(home: Path) -> None:
    """Our own log is a file only: the screen speaks to the person."""
    path = log_path(home, "up")
    path.touch(mode=0o600)
    configure_logging(load_settings(home=home), process="up", file=path, stream=cast("TextIO", _Nowhere()))


def _start_servers(supervisor: Supervisor, screen: Screen, setup: Setup) -> Settings:
    """Start those that are ours; the settings with their URLs. The URLs of yours are written nowhere."""
    urls: dict[str, str] = {}
    ours = [server for server in (setup.postgres, setup.valkey) if server is not None]
    if ours:
        screen.step("Starting the database and the broker …")
        supervisor.start([server.as_part(SERVERS) for server in ours])
    if setup.postgres is not None:
        urls["database_url"] = setup.postgres.url
    if setup.valkey is not None:
        urls["broker_url"] = setup.valkey.url
    people = {"api_url": setup.addresses.api, "flower_url": setup.addresses.flower}
    # `headrace subscriptions test` sends from where it is called, and goes where the workers go.
    loopback = {"outbound_loopback": "true"} if setup.addresses.demo is not None else {}
    write_endpoints(setup.settings.home, {**urls, **people, **loopback, **_privacy_key(setup)})
    for url in urls.values():
        redactor.add(urlsplit(url).password or "", keep=True)
    return setup.settings.model_copy(update={name: SecretStr(url) for name, url in urls.items()})


def _privacy_key(setup: Setup) -> dict[str, str]:
    """A key of the home's own for digests, beside a database of the home's own. For yours it is yours to keep."""
    if setup.postgres is None or setup.settings.privacy_key is not None:
        return {}
    place = setup.settings.home / PRIVACY_KEY_FILE
    redactor.add(kept_password(place), keep=True)
    return {"privacy_key": f"file://{place}"}


def _require_broker(settings: Settings) -> None:
    """Before workers wait for it in silence."""
    open_publisher(settings)
    found = look_at_broker()
    if found.level != "ok":
        raise Transient("broker_unavailable", found.words, hint=found.hint)


def _start_work(
    supervisor: Supervisor, screen: Screen, addresses: Addresses, settings: Settings, database: Database
) -> None:
    screen.step("Starting workers, beat, API and Flower …")
    now = database.one("SELECT now() AS now")
    assert now is not None  # noqa: S101 - SELECT answers with a row
    supervisor.start(work_parts(addresses, database, since=now["now"]))
    if addresses.demo is not None:
        connect_demo(settings, database, addresses.demo)


def _watch(supervisor: Supervisor, screen: Screen, database: Database, *, demo: bool) -> None:
    """Until a signal ends it."""
    never = threading.Event()
    progress: Progress | None = None
    overview, looked_at = "", float("-inf")
    while True:
        patience = LOOK_LATER if progress is not None and progress.done else LOOK_EVERY
        if time.monotonic() - looked_at >= patience:
            looked_at = time.monotonic()
            try:
                progress = read_progress(database, CONNECTION) if demo else None
                overview = read_overview(database)
            except HeadraceError as exc:
                overview = exc.message
        screen.update(supervisor.states(), progress, overview)
        never.wait(TICK)


def read_progress(database: Database, connection: str) -> Progress | None:
    """How far a connection's copy is; None where there is no such connection (any more)."""
    row = database.one(sql.progress, {"name": connection})
    return None if row is None else Progress(**row)


def read_overview(database: Database) -> str:
    """All connections in one line."""
    row = database.one(sql.overview) or {}
    failing = f", {row['failing']} failing" if row["failing"] else ""
    return (
        f"connections: {row['connections']}, streams: {row['streams']}{failing}; "
        f"runs: {row['running']} at work, {row['queued']} waiting"
    )


def places(setup: Setup, settings: Settings, first: First) -> list[Place]:
    """What runs where, and how to log in."""
    home = settings.home
    found = [
        Place("API", setup.addresses.api, first.words("live")),
        Place("Flower", setup.addresses.flower, f"user headrace, password in {home / flower.PASSWORD_FILE}"),
    ]
    if setup.addresses.demo is not None:
        found.insert(1, Place("", "", f"for the demo: {first.words('test')}"))
        found.append(Place("demo system", setup.addresses.demo, f"token in {home / DEMO_TOKEN_FILE}"))
    ours = f"password in {home / 'postgres-password'}" if setup.postgres else "yours (HEADRACE_DATABASE_URL)"
    found.append(Place("Postgres", without_password(settings.require_database_url()), ours))
    ours = f"password in {home / 'valkey-password'}" if setup.valkey else "yours (HEADRACE_BROKER_URL)"
    found.append(Place("Valkey", without_password(settings.require_broker_url()), ours))
    return [*found, Place("logs", str(home / "log"))]


def hints(setup: Setup, settings: Settings) -> list[tuple[str, str]]:
    """What to try, as it can be typed into another terminal."""
    command = headrace_words()
    default = Path(Settings.model_fields["home"].default).absolute()
    if settings.home != default:
        command = f"HEADRACE_HOME={shlex.quote(str(settings.home))} {command}"
    tries = [("connections", "what is connected, and how fresh it is")]
    if setup.addresses.demo is not None:
        tries += [
            (f"records {CONNECTION} work_orders", "the copy itself; --csv and --jsonl take it elsewhere"),
            (f"sync {CONNECTION} --wait", "sync now"),
        ]
    else:
        tries.append(("apply connections.yaml", "connect your systems: docs/connections-file.md"))
    tries += [("runs", "what ran"), ("doctor", "what is wrong, and what to do")]
    return [(f"{command} {words}", about) for words, about in tries]


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "…"
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{host}{port}{parts.path}"


@contextmanager
def _stop_signals() -> Iterator[None]:
    """The first of these signals raises `_Stop` here; the others of a person in a hurry change nothing."""
    asked = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise _Stop

    before = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        asked = True
        for number, handler in before.items():
            signal.signal(number, handler)
