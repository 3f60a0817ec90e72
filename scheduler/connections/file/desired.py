"""What does a connections file ask for? Plain data, complete: every default is filled in.

`Problems` is what is said instead of a file that can't be taken: everything that is wrong with it, at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class DesiredStream:
    """One stream, with the schedule as it stands on the row."""

    name: str
    schedule: Mapping[str, Any]
    history_days: int | None
    """None: everything."""
    enabled: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    """As they stand on the row."""


@dataclass(frozen=True, slots=True)
class DesiredConnection:
    """One connection with all streams of its system. `secrets` are references."""

    file_id: str | None
    """By which a file knows it; None: it was made without one."""
    environment: str
    name: str
    system: str
    tenant: str | None
    labels: Mapping[str, str]
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    budget: str | None
    streams: Sequence[DesiredStream]
    place: str
    """`file:line`"""
    network: Mapping[str, str] = field(default_factory=dict)
    """How its requests leave: a proxy, and references to certificates. See `worker.http.network`."""
    history_by_default: bool = False
    """The file says nothing about history, so the default is worth a word."""


@dataclass(frozen=True, slots=True)
class Desired:
    """A whole file that was found right."""

    file: str
    connections: Sequence[DesiredConnection]


class Problems(InvalidInput):
    """All that is wrong with a file. Nothing of it was applied. Each of `problems` has its own place and hint."""

    def __init__(self, file: str, problems: Sequence[InvalidInput]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__("bad_connections_file", f"{count} in {file}, nothing was applied:{lines}")
        self.file = file
        self.problems = tuple(problems)
