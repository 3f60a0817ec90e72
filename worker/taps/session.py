"""How does one run of a tap go? It is prepared, started, and read as fast as the copy takes it; then it says how it ended.

A thread of its own does all that, so a request for the next batch waits for a moment and no longer: an environment that is
being installed, a tap that waits for its own rate limit, are batches with nothing in them. The run comes by between two
batches, and sees there that it was cancelled or lost. Emits: tap_started, tap_ended.
"""

import threading
from collections.abc import Callable, Mapping
from time import monotonic
from uuid import uuid4

import msgspec
import structlog

from worker.connectors.manifest.singer import with_secrets
from worker.connectors.protocols.singer_calls import Asked, Choice, Versions
from worker.connectors.protocols.singer_catalog import chosen
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.secrets import Secret
from worker.taps.allowed import Allowed, allowed_tap
from worker.taps.catalogs import catalog_in, keep_catalog, kept_catalog
from worker.taps.environments import environment_of
from worker.taps.folders import Folders, make_folders, sweep_folders
from worker.taps.house import House
from worker.taps.lines import lines_of
from worker.taps.mailbox import Batch, Closed, Mailbox
from worker.taps.process import TapProcess
from worker.taps.reading import Listening, Reading
from worker.taps.voice import Voice
from worker.taps.words import failure_of

MOST_CATALOG = 64 * 1024 * 1024
DISCOVERS_WITHIN = 600.0
PIECE = 64 * 1024

log = structlog.get_logger(__name__)

Command = Callable[[Folders], list[str]]
"""Writes what a tap reads into its folders, and says how it is called."""


class Session:
    """One run of a tap; safe to share between threads."""

    def __init__(
        self, house: House, asked: Asked, secrets: Mapping[str, Secret], environ: Mapping[str, str]
    ) -> None:
        self.id = uuid4().hex
        self._house = house
        self._asked = asked
        self._secrets = secrets
        self._environ = environ
        self._mailbox = Mailbox(house.batch)
        self._process: TapProcess | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._run, name="tap", daemon=True).start()

    def take(self, within: float) -> Batch:
        """The next batch; after `within` seconds an empty one. Raises what the tap ended with."""
        return self._mailbox.take(within)

    def close(self) -> None:
        """End it, whatever it does. Harmless twice."""
        self._closed.set()
        self._mailbox.close()
        with self._lock:
            process = self._process
        if process is not None:
            process.kill()

    def discovered(self) -> bytes:
        """The catalog that `--discover` finds, found now."""
        tap = allowed_tap(self._asked.tap, self._house.allowed)
        return self._discover(tap, self._program(tap))

    def _run(self) -> None:
        try:
            self._mailbox.end(versions=self._read())
        except Closed:
            self._mailbox.end()
        except HeadraceError as exc:
            self._mailbox.end(exc)
        except Exception as exc:  # whoever waits for a batch must hear of it
            log.exception("tap_session_failed")
            self._mailbox.end(Transient("internal_error", f"Headrace failed: {type(exc).__name__}."))
        finally:
            if self._process is not None:
                self._process.kill()

    def _read(self) -> Versions:
        choice = self._asked.choice
        assert choice is not None  # noqa: S101 - else it would be discovered
        tap = allowed_tap(self._asked.tap, self._house.allowed)
        program = self._program(tap)
        catalog = self._catalog(tap, program, choice)
        begun = monotonic()
        process = self._started(self._command(program, catalog))
        log.info("tap_started", tap=tap.name, stream=choice.stream, resumes=self._asked.state is not None)
        voice = Voice(tap.name)
        listening = Listening(process, voice, tap=tap.name, silence=self._house.silence)
        reading = Reading(self._mailbox, choice, tap=tap.name)
        for line in lines_of(listening.read, self._house.most_line):
            reading.take(line)
        code = self._ended(process, voice, tap)
        seconds = round(monotonic() - begun, 1)
        log.info("tap_ended", tap=tap.name, code=code, records=reading.records, seconds=seconds)
        reading.end()
        return reading.versions

    def _ended(self, process: TapProcess, voice: Voice, tap: Allowed) -> int:
        """How it ended, where that was well."""
        code = process.ended()
        process.kill()  # it has ended: this closes its pipes
        voice.end()
        self._go_on()
        if code:
            log.warning("tap_ended", tap=tap.name, code=code)
            raise failure_of(code, list(voice.last), tap=tap.name)
        return code

    def _go_on(self) -> None:
        if self._closed.is_set():
            raise Closed

    def _program(self, tap: Allowed) -> str:
        if tap.program is not None:
            return str(tap.program)
        environment = environment_of(tap, self._house.home, tick=self._go_on)
        return str(environment.program(self._asked.executable))

    def _catalog(self, tap: Allowed, program: str, choice: Choice) -> bytes | None:
        if self._asked.catalog == "none":
            return None
        found = kept_catalog(self._house.home, self._found_by(tap))
        if found is not None:
            try:
                return msgspec.json.encode(chosen(found, choice))
            except HeadraceError as exc:  # it may be there by now
                log.debug("tap_asked_anew", tap=tap.name, reason=str(exc))
        catalog, _ = catalog_in(self._discover(tap, program))
        return msgspec.json.encode(chosen(catalog, choice))

    def _found_by(self, tap: Allowed) -> bytes:
        called = tap.requirement or str(tap.program)
        return msgspec.json.encode([called, self._asked.executable, self._asked.config])

    def _discover(self, tap: Allowed, program: str) -> bytes:
        process = self._started(lambda folders: [program, "--config", self._config(folders), "--discover"])
        voice = Voice(tap.name)
        listening = Listening(process, voice, tap=tap.name, silence=self._house.silence)
        printed = bytearray()
        ends = monotonic() + DISCOVERS_WITHIN
        while piece := listening.read(PIECE):
            printed += piece
            if len(printed) > MOST_CATALOG or monotonic() > ends:
                process.kill()
                message = f"{tap.name} found too much, or took too long to say what there is."
                raise Transient("tap_discovery", message)
        self._ended(process, voice, tap)
        _, found = catalog_in(bytes(printed))
        keep_catalog(self._house.home, self._found_by(tap), found)
        return found

    def _command(self, program: str, catalog: bytes | None) -> Command:
        def command(folders: Folders) -> list[str]:
            said = [program, "--config", self._config(folders)]
            if catalog is not None:
                said += [f"--{self._asked.catalog}", str(folders.write("catalog.json", catalog))]
            if self._asked.state is not None:
                said += ["--state", str(folders.write("state.json", self._asked.state.encode()))]
            return said

        return command

    def _config(self, folders: Folders) -> str:
        filled = with_secrets(self._asked.config, self._value)
        return str(folders.write("config.json", msgspec.json.encode(filled)))

    def _value(self, name: str) -> str:
        if name not in self._secrets:
            message = f"The tap's config has a place for the secret {name!r}, which the connection doesn't reference."
            raise NeedsOperator("missing_secret", message)
        return self._secrets[name].reveal()

    def _started(self, command: Command) -> TapProcess:
        sweep_folders(self._house.home)
        folders = make_folders(self._house.home)
        try:
            said = command(folders)
        except BaseException:
            folders.abandon()
            raise
        try:
            process = TapProcess(said, folders, self._house.bounds, self._environ)
        except OSError as exc:
            raise Transient("tap_not_started", f"The tap could not be started: {exc.strerror}.") from None
        with self._lock:
            self._process = process
        if self._closed.is_set():
            process.kill()
            raise Closed
        return process
