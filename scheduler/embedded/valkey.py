"""How does Headrace run a Valkey of its own?

As a child in the foreground on loopback, with a generated password that never stands on a command line, and an
append-only file, so that a restart forgets at most a second. It is a wake-up call, not the truth: data that it can't
read any more is set aside with a clear word in the log, and it starts empty.
"""

import re
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from threading import Event

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from scheduler.embedded.binaries import find_valkey
from scheduler.embedded.ports import LOOPBACK, choose_port
from scheduler.embedded.private_files import kept_password, make_private_folder, read_or_none, write_private
from scheduler.embedded.supervisor.part_log import last_lines, log_path, open_log
from scheduler.embedded.supervisor.parts import Part
from scheduler.embedded.supervisor.processes import Child, processes_in, spawn
from worker.errors import NeedsOperator

NAME = "valkey"
_PROGRAMS = ("valkey-server", "redis-server")
_BROKEN_DATA = re.compile(r"append[- ]?only|\bAOF\b|\bRDB\b|base file|manifest", re.IGNORECASE)
_LOAD_PATIENCE = 5.0
_ONCE = Retry(NoBackoff(), 0)
"""The client's own retries would wait many times its time-outs."""

log = structlog.get_logger()


class EmbeddedValkey:
    """One server under `home`. `port` 0 keeps last time's, or takes a free one."""

    stop_signal = signal.SIGTERM
    """Writes the append-only file out and ends."""

    def __init__(
        self,
        home: Path,
        *,
        port: int = 0,
        program: Path | None = None,
        port_setting: str = "HEADRACE_VALKEY_PORT",
    ) -> None:
        self.home = home.absolute()
        self.data = self.home / NAME
        self.child: Child | None = None
        self._wanted_port = port
        self._program = program
        self._port_setting = port_setting
        self._url: str | None = None
        self._nudge = Event()

    @property
    def url(self) -> str:
        """The URL of database 0, known once launched."""
        if self._url is None:
            raise NeedsOperator("not_started", "The embedded Valkey was not started.")
        return self._url

    @property
    def alive(self) -> bool:
        """Whether the process that we started or took over is there."""
        return self.child is not None and self.child.alive

    @property
    def log_file(self) -> Path:
        """Where the server's own words go."""
        return log_path(self.home, NAME)

    def start(self, timeout: float = 30.0) -> str:
        """Launch, wait until it answers, and hand back its URL."""
        child = self.launch()
        if not self._settles(child, timeout):
            child.kill()
            raise self._did_not_start()
        return self.url

    def launch(self) -> Child:
        """Start the server, or take over the one that runs; data that it can't read is set aside."""
        make_private_folder(self.data)
        child = self._take_over()
        if child is None:
            before = self.log_file.stat().st_size if self.log_file.exists() else 0
            child = self._launch_new()
            if not self._settles(child, _LOAD_PATIENCE) and not child.alive:
                if not _BROKEN_DATA.search(last_lines(self.log_file, since=before)):
                    raise self._did_not_start()
                self._set_aside()
                child = self._launch_new()
        self.child = child
        return child

    def ready(self) -> bool:
        """Whether it answers and has loaded its data."""
        client = redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2, retry=_ONCE)
        try:
            return bool(client.ping())
        except redis.AuthenticationError:
            raise NeedsOperator(
                "embedded_password",
                f"The Valkey of {self.home} refuses the password in {self._password_file}.",
                hint="Stop that server and start again.",
            ) from None
        except (redis.RedisError, OSError):
            return False
        finally:
            client.close()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop the server, whoever started it; killed if it takes longer."""
        for child in [*([] if self.child is None else [self.child]), *self._running()]:
            child.stop(self.stop_signal, timeout)
        self.child = None

    def as_part(self, group: int = 0) -> Part:
        """For the supervisor."""
        return Part(NAME, launch=self.launch, ready=self.ready, group=group, stop_signal=self.stop_signal)

    @property
    def _password_file(self) -> Path:
        return self.home / "valkey-password"

    @property
    def _port_file(self) -> Path:
        return self.home / "valkey-port"

    def _running(self) -> list[Child]:
        return [Child(process) for name in _PROGRAMS for process in processes_in(self.data, name)]

    def _take_over(self) -> Child | None:
        """The server that already runs on this data, if it answers where it should; any other one is stopped."""
        for child in self._running():
            port = read_or_none(self._port_file) or ""
            if port.isdecimal() and self._wanted_port in {0, int(port)}:
                self._url = self._url_at(int(port))
                with suppress(NeedsOperator):
                    if self._settles(child, 2.0):
                        log.info("valkey_taken_over", child_pid=child.pid, port=int(port))
                        return child
            child.stop(self.stop_signal, 5.0)
        return None

    def _launch_new(self) -> Child:
        port = choose_port(
            self._wanted_port,
            kept_in=self._port_file,
            server="the embedded Valkey",
            setting=self._port_setting,
        )
        write_private(
            self._port_file, f"{port}\n"
        )  # a fixed one too: it says where to find a server that outlived us
        self._url = self._url_at(port)
        with open_log(self.home, NAME) as output:
            return spawn(
                [find_valkey(program=self._program), "-"],
                log=output,
                env={"LC_ALL": "C"},
                folder=self.data,
                death_signal=self.stop_signal,
                stdin=configuration(port, self.data, kept_password(self._password_file)).encode(),
            )

    def _url_at(self, port: int) -> str:
        return f"redis://:{kept_password(self._password_file)}@{LOOPBACK}:{port}/0"

    def _settles(self, child: Child, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not self.ready():
            if not child.alive or time.monotonic() > deadline:
                return False
            self._nudge.wait(0.03)
        return True

    def _set_aside(self) -> None:
        """Keep what can't be read, in case somebody wants to look at it, but only the last one."""
        broken = self.data.with_name(f"{NAME}-broken")
        _remove(broken)
        self.data.rename(broken)
        make_private_folder(self.data)
        log.warning("valkey_data_set_aside", moved_to=str(broken), log=str(self.log_file))

    def _did_not_start(self) -> NeedsOperator:
        return NeedsOperator(
            "valkey_did_not_start",
            f"The embedded Valkey did not start. The end of {self.log_file}:\n{last_lines(self.log_file)}",
        )


def configuration(port: int, data: Path, password: str) -> str:
    """The server's configuration, read from its stdin: the password is seen by nobody in a list of processes."""
    settings = {
        "bind": LOOPBACK,
        "port": str(port),
        "protected-mode": "yes",
        "requirepass": _quoted(password),
        "dir": _quoted(str(data)),
        "daemonize": "no",
        "logfile": '""',
        "save": '""',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",
        "maxmemory-policy": "noeviction",
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def _quoted(text: str) -> str:
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else _escaped(c) for c in text) + '"'


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogateescape"))


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
