"""How is a running tap listened to? Its lines become what the mailbox holds; its silence, and what is no Singer's, have an end.

Emits: tap_noise, tap_line_too_long.
"""

from collections.abc import Sequence
from time import monotonic

import structlog

from worker.connectors.protocols.singer_calls import Choice, Odd, Versions
from worker.errors import NeedsOperator, Transient
from worker.taps.lines import Line
from worker.taps.mailbox import Mailbox
from worker.taps.messages import Activated, Files, Noise, Row, Schema, State, message_of
from worker.taps.process import TapProcess
from worker.taps.voice import Voice
from worker.taps.words import SHOWN, masked
from worker.telemetry.redaction import redactor

LOOK_EVERY = 1.0
MOST_NOISE = 1000
"""Lines on standard output that are none of Singer's: beyond them, it is no tap."""
NOISE_SHOWN = 5
MOST_STATE = 1024 * 1024
"""Bytes of a STATE: it is kept with each page."""

log = structlog.get_logger(__name__)


class Listening:
    """Reads what a process writes. Standard error goes to the log on the way. Used by one thread."""

    def __init__(self, process: TapProcess, voice: Voice, *, tap: str, silence: float) -> None:
        self._process = process
        self._voice = voice
        self._tap = tap
        self._silence = silence
        self._spoke_at = monotonic()

    def read(self, most: int) -> bytes:
        """What comes next on standard output; empty at its end. Raises where the tap says nothing for too long."""
        self._spoke_at = monotonic()  # while nobody reads, it can't speak
        while True:
            out, err = self._process.read(most, timeout=LOOK_EVERY)
            if err:
                self._voice.hear(err)
            if out:
                return out
            if out is not None and not err:  # both are closed, or it has nothing to say of its end
                return b""
            if err:
                self._spoke_at = monotonic()
            if self._process.code() is not None and not out and not err:
                return b""  # what it left behind holds the pipe open
            if monotonic() - self._spoke_at > self._silence:
                self._process.kill()
                message = f"{self._tap} has said nothing for {self._silence:.0f} seconds."
                raise Transient("tap_hangs", message, hint="HEADRACE_TAPS_SILENCE says how long it may.")


class Reading:
    """What the lines of one run say of one stream. Used by one thread."""

    def __init__(self, mailbox: Mailbox, choice: Choice, *, tap: str) -> None:
        self._mailbox = mailbox
        self._stream = choice.stream
        self._key = choice.key
        self._tap = tap
        self._noise = 0
        self._version: int | None = None
        self._is_active = False
        self._spoke = False
        self.records = 0

    def take(self, line: Line) -> None:
        """Read one line, waiting for room where it holds a record."""
        if line.is_cut:
            self._too_long(line)
            return
        message = message_of(line.text)
        if isinstance(message, Noise):
            self._is_noise(message.text)
            return
        self._spoke = True
        if isinstance(message, State):
            self._state(message.raw)
        elif message.stream == self._stream:
            self._of_stream(message)

    def _of_stream(self, message: Row | Schema | Activated | Files) -> None:
        match message:
            case Row(_, raw, version):
                self._row(raw, version)
            case Schema(_, keys):
                self._check_key(keys)
            case Activated(_, version):
                self._is_active = version == self._version or self._version is None
            case Files():
                words = f"{self._tap} hands out files (BATCH), which Headrace doesn't read."
                hint = "Take `batch_config` out of its config, so that it sends records."
                raise NeedsOperator("tap_sends_files", words, hint=hint)

    def end(self) -> None:
        """It ended well. Raises where nothing that it said was a tap's."""
        if not self._spoke and self._noise:
            raise self._no_tap()

    @property
    def versions(self) -> Versions:
        """Whether the whole table was told to have come."""
        if self._version is None:
            return "none"
        return "activated" if self._is_active else "open"

    def _check_key(self, keys: Sequence[str]) -> None:
        """Records that the tap tells apart must not become one; another key than the tap's may be meant."""
        if self._key and set(self._key) < set(keys):
            message = f"{self._tap} tells records apart by {', '.join(keys)}, and the key here is {', '.join(self._key)}."
            raise NeedsOperator(
                "tap_key_differs", message, hint="Name all of these fields in the stream's `key`."
            )

    def _row(self, raw: bytes, version: int | None) -> None:
        if version is not None:
            self._version, self._is_active = version, False
        self.records += 1
        self._mailbox.put(raw)

    def _state(self, raw: bytes) -> None:
        if len(raw) > MOST_STATE:
            message = f"{self._tap} wants to keep a state of {len(raw):,} bytes; {MOST_STATE:,} are the most."
            raise NeedsOperator("tap_state_too_large", message)
        self._mailbox.state(raw)

    def _too_long(self, line: Line) -> None:
        """A record that is too long is set aside; anything else of that length can't be done without."""
        begins = line.text.decode(errors="replace")
        log.warning("tap_line_too_long", tap=self._tap, bytes=line.size)
        if '"RECORD"' not in begins[:200]:
            message = f"{self._tap} wrote a line of {line.size:,} bytes that is no record."
            raise NeedsOperator("tap_line_too_long", message)
        reason = f"The record's line has {line.size:,} bytes."
        self._spoke = True
        self._mailbox.put(Odd("line_too_long", reason, begins))

    def _is_noise(self, text: bytes) -> None:
        if not text.strip():
            return
        self._noise += 1
        if self._noise <= NOISE_SHOWN:
            words = redactor.redact(masked(text[:SHOWN].decode(errors="replace")))
            log.warning("tap_noise", tap=self._tap, words=words)
        if self._noise > MOST_NOISE:
            raise self._no_tap()

    def _no_tap(self) -> NeedsOperator:
        message = f"{self._tap} wrote {self._noise:,} lines that are no messages of Singer's."
        return NeedsOperator(
            "tap_speaks_otherwise", message, hint="Is it a Singer tap? The log has the first ones."
        )
