"""By which headers does one system say how many more requests it will take? For those that nobody could guess."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["s", "ms", "epoch_s", "epoch_ms"]


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """Names in lower case; None: it doesn't say."""

    remaining: str | None = None
    """How many are left."""
    limit: str | None = None
    """Of how many."""
    reset: str | None = None
    """Until when."""
    unit: Unit | None = None
    """How `reset` is counted; None: as its size tells."""
    per: float | None = None
    """For how many seconds what is left must last, where no header says so."""
    wait: str | None = None
    """For how long nobody should ask, said by answers that are fine in everything else."""
    wait_unit: Literal["s", "ms"] = "s"

    def seconds(self, number: float, now: float) -> float:
        """From now on, by a number in the header; `now` in seconds since 1970."""
        match self.unit:
            case "ms":
                return number / 1000
            case "epoch_s":
                return number - now
            case "epoch_ms":
                return number / 1000 - now
            case _:
                return number
