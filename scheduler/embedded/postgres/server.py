"""How does Headrace run a Postgres of its own?

As a child in the foreground (`postgres -D`), so that its pid is ours to watch: one cluster in `<home>/postgres`, on
loopback, with a generated password, on the same port as last time. A second start on a home whose server still runs takes
that one over. What a killed server left behind (a pid file whose pid may be anybody's by now, backends that still hold
its memory) is cleared away only after looking at whose processes these are.
"""

import shutil
import signal
import time
from pathlib import Path
from threading import Event

import psutil
import psycopg
import structlog
from psycopg import sql

from scheduler.embedded.binaries import PostgresBinaries, find_postgres
from scheduler.embedded.ports import LOOPBACK, choose_port
from scheduler.embedded.postgres.cluster import ENVIRONMENT, SUPERUSER, create_cluster, server_settings
from scheduler.embedded.postgres.residence import DATA, Residence, find_residence, refuse_foreign_data
from scheduler.embedded.private_files import kept_password, make_private_folder, read_or_none
from scheduler.embedded.supervisor.part_log import last_lines, log_path, open_log
from scheduler.embedded.supervisor.parts import Part
from scheduler.embedded.supervisor.processes import Child, is_in, processes_in, spawn
from worker.errors import NeedsOperator

DATABASE = "headrace"
NAME = "postgres"
_PID_FILE = "postmaster.pid"

log = structlog.get_logger()


class EmbeddedPostgres:
    """One cluster under `home`. `port` 0 keeps last time's, or takes a free one. `fast` survives no power cut: for tests."""

    stop_signal = signal.SIGINT
    """Fast shutdown: clients are cut off, transactions rolled back, a checkpoint written. SIGTERM would wait for every
    client to leave. It is the death signal too: if we are killed, the data is still closed properly."""

    def __init__(
        self,
        home: Path,
        *,
        port: int = 0,
        version: int = 18,
        binaries: Path | None = None,
        fast: bool = False,
        port_setting: str = "HEADRACE_POSTGRES_PORT",
    ) -> None:
        self.home = home.absolute()
        self.child: Child | None = None
        self._wanted_port = port
        self._version = version
        self._binaries = binaries
        self._fast = fast
        self._port_setting = port_setting
        self._url: str | None = None
        self._nudge = Event()

    @property
    def url(self) -> str:
        """The URL of the database `headrace`, known once launched."""
        if self._url is None:
            raise NeedsOperator("not_started", "The embedded Postgres was not started.")
        return self._url

    @property
    def alive(self) -> bool:
        """Whether the process that we started or took over is there."""
        return self.child is not None and self.child.alive

    @property
    def log_file(self) -> Path:
        """Where the server's own words go."""
        return log_path(self.home, NAME)

    def start(self, timeout: float = 60.0) -> str:
        """Launch, wait until the database can be used, and hand back its URL."""
        child = self.launch()
        deadline = time.monotonic() + timeout
        while not self.ready():
            if not child.alive or time.monotonic() > deadline:
                child.stop(self.stop_signal, 5.0)
                raise NeedsOperator(
                    "postgres_did_not_start",
                    f"The embedded Postgres did not start. The end of {self.log_file}:\n{last_lines(self.log_file)}",
                )
            self._nudge.wait(0.03)
        return self.url

    def launch(self) -> Child:
        """Start the server, or take over the one that runs; it may not answer yet."""
        make_private_folder(self.home)
        refuse_foreign_data(self.home)
        had_data = (self.home / DATA).exists()
        residence = find_residence(self.home, self._find_binaries())
        password = self._password(had_data)
        child = self._take_over(residence.data, password)
        if child is None:
            if not had_data:
                create_cluster(residence, password, fast=self._fast)
            _clear_remains(residence.data)
            child = self._launch_new(residence, password)
        self.child = child
        return child

    def ready(self) -> bool:
        """Whether the database `headrace` exists and answers; it is made here when it is missing."""
        try:
            _ensure_database(self.url)
        except psycopg.OperationalError as exc:
            if "password authentication failed" in str(exc):
                raise NeedsOperator(
                    "embedded_password",
                    f"The database in {self.home / DATA} refuses the password in {self._password_file}.",
                    hint="Put the file back from a backup, or move both away to begin anew.",
                ) from None
            return False
        return True

    def stop(self, timeout: float = 8.0) -> None:
        """Shut the server down, whoever started it; killed if it takes longer. A killed one recovers at its next start."""
        data = (self.home / DATA).resolve()
        for child in (self.child, _postmaster_of(data)):
            if child is not None:
                child.stop(self.stop_signal, timeout)
        self.child = None

    def delete(self) -> None:
        """Stop, and remove the cluster from wherever it lives."""
        self.stop()
        data = self.home / DATA
        if data.is_symlink():
            shutil.rmtree(data.resolve().parent, ignore_errors=True)
            data.unlink()
        elif data.exists():
            shutil.rmtree(data)
        self._password_file.unlink(missing_ok=True)

    def as_part(self, group: int = 0) -> Part:
        """For the supervisor. Recovery after a crash may take its time."""
        return Part(
            NAME,
            launch=self.launch,
            ready=self.ready,
            ready_timeout=120.0,
            group=group,
            stop_signal=self.stop_signal,
        )

    @property
    def _password_file(self) -> Path:
        return self.home / "postgres-password"

    def _password(self, had_data: bool) -> str:
        if had_data and read_or_none(self._password_file) is None:
            raise NeedsOperator(
                "embedded_password",
                f"There is a database in {self.home / DATA}, but its password file {self._password_file} is gone.",
                hint="Put the file back from a backup, or move the database away to begin anew.",
            )
        return kept_password(self._password_file)

    def _find_binaries(self) -> PostgresBinaries:
        """A cluster can only be opened by the version that made it."""
        made_by = read_or_none(self.home / DATA / "PG_VERSION")
        if made_by is None:
            return find_postgres(self._version, folder=self._binaries)
        found = find_postgres(int(made_by), folder=self._binaries, exact=True)
        if found.version != int(made_by):
            raise NeedsOperator(
                "postgres_version",
                f"The database in {self.home / DATA} was made by Postgres {made_by}, not {found.version}.",
                hint=f"Use the binaries of Postgres {made_by}, or move the database away to begin anew.",
            )
        return found

    def _take_over(self, data: Path, password: str) -> Child | None:
        """The server that already runs on this data, if it runs where it is wanted, answers, and is not about to end."""
        child = _postmaster_of(data)
        if child is None:
            return None
        port, status = _listening(data)
        if status != "stopping" and port is not None and self._wanted_port in {0, port}:
            self._url = _url(port, password)
            if status == "starting" or self.ready() or self.ready():
                log.info("postgres_taken_over", child_pid=child.pid, port=port)
                return child
        child.stop(self.stop_signal, 20.0 if status == "stopping" else 5.0)
        return None

    def _launch_new(self, residence: Residence, password: str) -> Child:
        port = choose_port(
            self._wanted_port,
            kept_in=self.home / "postgres-port",
            server="the embedded Postgres",
            setting=self._port_setting,
        )
        command: list[str | Path] = [residence.binaries.folder / "postgres", "-D", residence.data]
        for name, value in server_settings(port, fast=self._fast).items():
            command += ["-c", f"{name}={value}"]
        with open_log(self.home, NAME) as output:
            child = spawn(
                command,
                log=output,
                env=ENVIRONMENT,
                folder=residence.data,
                account=residence.account,
                death_signal=self.stop_signal,
            )
        self._url = _url(port, password)
        return child


def _url(port: int, password: str) -> str:
    return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{port}/{DATABASE}?sslmode=disable"


def _ensure_database(url: str) -> None:
    with psycopg.connect(url, dbname="postgres", connect_timeout=2, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).rowcount == 0:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _postmaster_of(data: Path) -> Child | None:
    """The live server of this data folder. Any other process that has the pid by now is none of our business."""
    pid = _noted_pid(data)
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
            return None
        if process.uids().real != data.stat().st_uid:
            return None
        return Child(process) if is_in(process, data) or str(data) in process.cmdline() else None
    except (psutil.NoSuchProcess, FileNotFoundError):
        return None
    except (psutil.AccessDenied, PermissionError):
        raise NeedsOperator(
            "data_in_use",
            f"Process {pid} may be a Postgres that runs on {data}, under an account that we can't look into.",
            hint=f"Stop it, or remove {data / _PID_FILE} if it is something else.",
        ) from None


def _noted_pid(data: Path) -> int | None:
    pid = (read_or_none(data / _PID_FILE) or "").split("\n")[0].strip()
    return int(pid) if pid.isdecimal() and int(pid) > 0 else None


def _listening(data: Path) -> tuple[int | None, str]:
    """The port and the status that the server wrote into its pid file."""
    lines = [*(read_or_none(data / _PID_FILE) or "").split("\n"), *[""] * 8]
    return (int(lines[3]) if lines[3].strip().isdecimal() else None), lines[7].strip()


def _clear_remains(data: Path, patience: float = 10.0) -> None:
    """Wait for the backends of a killed server, which hold its memory a moment longer, then see to its pid file.

    Postgres drops the file of a dead server itself, after a look at the memory that the file names; but it takes any
    live process of that number for the server, so only then the file is dropped here.
    """
    deadline = time.monotonic() + patience
    while left := list(processes_in(data, "postgres")):
        if time.monotonic() > deadline + patience:
            raise NeedsOperator(
                "data_in_use",
                f"Processes {', '.join(str(process.pid) for process in left)} of an earlier Postgres still use {data}.",
                hint="They don't even end when they are killed: look at the disk, or restart the machine.",
            )
        if time.monotonic() > deadline:
            for process in left:
                Child(process).kill()
        Event().wait(0.05)
    pid = _noted_pid(data)
    if pid is not None and psutil.pid_exists(pid):
        (data / _PID_FILE).unlink(missing_ok=True)
