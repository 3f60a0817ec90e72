"""What a check is."""

from collections.abc import Callable
from dataclasses import dataclass

from scheduler.connectors.check.bench import Bench
from scheduler.connectors.check.kinds import Matters, whole

Tries = Callable[[Bench], str]
"""Tries one stream: what was seen, in a few words. `Broken` and `Spared` say otherwise."""


@dataclass(frozen=True)
class Check:
    """One promise."""

    name: str
    sentence: str
    tries: Tries
    every: bool = False
    """Tried with every stream; else with one of each kind."""
    matters: Matters = whole
    """By what streams are of a kind, for it."""
