"""What does the installation say about taps? Which may run, what they may take, and where their things lie."""

from dataclasses import dataclass, field
from pathlib import Path

from worker.config import Settings
from worker.taps.mailbox import MOST_RECORDS
from worker.taps.process import Bounds


@dataclass(frozen=True, slots=True)
class House:
    """The same for all taps of a process."""

    home: Path
    allowed: tuple[str, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    silence: float = 600.0
    """Seconds without a line after which a tap is taken to hang."""
    most_line: int = 16 * 1024 * 1024
    """Bytes of a line, and so of a record."""
    batch: int = MOST_RECORDS
    """Records that are taken together, and so those of a page."""

    @classmethod
    def of(cls, settings: Settings) -> "House":
        bounds = Bounds(settings.taps_memory, settings.taps_cpu)
        return cls(settings.home, settings.taps, bounds, settings.taps_silence)
