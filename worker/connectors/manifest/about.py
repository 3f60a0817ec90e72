"""What does a manifest say of itself, for people? On which live systems it was tried, and what an account must be allowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNTRIED = "built from documentation, not yet tried"


@dataclass(frozen=True, slots=True)
class Trial:
    """A live system that was synced with it. A server of our own that plays a system is none."""

    on: str
    at: str
    """The day, such as 2026-11-27."""


@dataclass(frozen=True, slots=True)
class About:
    """How far a connector can be trusted, and what it asks of an account."""

    tried: tuple[Trial, ...] = ()
    experimental: bool = False
    permissions: tuple[str, ...] = ()
    """What the account must be allowed at the system, in the system's words."""

    @property
    def standing(self) -> str:
        """In a few words."""
        said = f"tried on {', '.join(trial.on for trial in self.tried)}" if self.tried else UNTRIED
        return f"experimental, {said}" if self.experimental else said


def read_about(data: Mapping[str, Any]) -> About:
    """The schema has been checked already."""
    return About(
        tried=tuple(Trial(one["on"], one["at"]) for one in data.get("tried", ())),
        experimental=data.get("experimental", False),
        permissions=tuple(data.get("permissions", ())),
    )
