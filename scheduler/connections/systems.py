"""Which systems does this installation know, and how does a connection speak to its own?"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from worker.config import load_settings
from worker.connectors.contract import Source
from worker.connectors.registry import Registry
from worker.errors import InvalidInput


@lru_cache(maxsize=1)
def known_systems() -> Registry:
    """All systems, read once a process."""
    return Registry.load(load_settings().connectors)


def source_of(registry: Registry, connection: Mapping[str, Any]) -> Source:
    """The system of a connection, bound to its settings."""
    return registry.get(connection["system"]).bind(connection["settings"])


def stream_names_of(registry: Registry, system: str, settings: Mapping[str, Any]) -> Sequence[str] | None:
    """The streams that a connection has; None where its system isn't installed, or takes these settings no more."""
    try:
        return registry.get(system).bind(settings).stream_names
    except InvalidInput:
        return None
