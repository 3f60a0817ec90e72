"""Which systems does this installation know, and how does a connection speak to its own?"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from worker.config import Settings, load_settings
from worker.connectors.contract import Connector, Source
from worker.connectors.registry import Registry
from worker.db.manifests import KeptManifests
from worker.errors import InvalidInput


def known_systems() -> Registry:
    """All systems, read once a process; what somebody edits in folders of their own is seen after a few seconds."""
    known = _known()
    every = load_settings().reload_connectors
    if every > 0 and (now := time.monotonic()) - known.looked_at >= every:
        known.looked_at = now
        known.registry.look()
    return known.registry


@dataclass(slots=True)
class _Known:
    registry: Registry
    looked_at: float


@lru_cache(maxsize=1)
def _known() -> _Known:
    return _Known(load_systems(load_settings()), time.monotonic())


def forget_systems() -> None:
    """Read all systems anew when they are asked for next, by the settings that hold then."""
    _known.cache_clear()


def load_systems(settings: Settings) -> Registry:
    """All systems that this installation knows, and the versions of them that are kept where there is a database."""
    url = settings.database_url
    shelf = None if url is None else KeptManifests.at(url.get_secret_value())
    return Registry.load(settings.connectors, shelf=shelf)


def source_of(registry: Registry, connection: Mapping[str, Any]) -> Source:
    """The system of a connection in the version that it is pinned to, bound to its settings."""
    return connector_of(registry, connection).bind(connection["settings"])


def connector_of(registry: Registry, connection: Mapping[str, Any]) -> Connector:
    """The same, not bound. A row without a pin, as one that isn't made yet, goes by the current version."""
    return registry.get(connection["system"], connection.get("manifest_version"))


def stream_names_of(
    registry: Registry, system: str, settings: Mapping[str, Any], version: str | None = None
) -> Sequence[str] | None:
    """The streams that a connection has; None where its system isn't installed, or takes these settings no more."""
    try:
        return registry.get(system, version).bind(settings).stream_names
    except InvalidInput:
        return None
