"""Which words may a connection use in `describe`? Those of the manifest's own schema, as far as its system is open."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from typing import Any

from worker.connectors.manifest.schema import schema

DESCRIBE = "describe"
"""The setting's name."""


@lru_cache(maxsize=64)
def schema_of(sections: tuple[str, ...]) -> Mapping[str, Any]:
    """The schema of settings that hold nothing but `describe`. Secrets may be named wherever they can be used."""
    whole = schema()
    properties = {name: whole["properties"][name] for name in sections}
    properties["secrets"] = _without_reasons(whole["properties"]["secrets"])
    fragment = {
        "type": "object",
        "description": "What this connection says of its system, in the words of a manifest.",
        "additionalProperties": False,
        "properties": properties,
    }
    return {"$defs": whole["$defs"], "type": "object", "properties": {DESCRIBE: fragment}}


def _without_reasons(secrets: Mapping[str, Any]) -> Mapping[str, Any]:
    """Whoever names a secret for their own connection knows what it is."""
    relaxed = deepcopy(dict(secrets))
    del relaxed["additionalProperties"]["required"]
    return relaxed


def merged(manifest: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with what a connection says: streams, secrets, settings and models by their names (a stream's keys one by
    one), anything else as a whole.
    """
    whole = {**manifest, **own}
    for section in ("models", "secrets", "settings", "streams"):
        if section in own:
            whole[section] = {**manifest.get(section, {}), **own[section]}
    for name in own.get("streams", {}):
        whole["streams"][name] = {**manifest.get("streams", {}).get(name, {}), **own["streams"][name]}
    for name, found in own.get("secrets", {}).items():
        whole["secrets"][name] = {"description": "", **found}
    return whole


def within(own: Mapping[str, Any], path: Sequence[str | int]) -> tuple[str | int, ...]:
    """As much of a place in the merged manifest as stands in what the connection says."""
    here: Any = own
    for at, step in enumerate(path):
        holds = step in here if isinstance(here, Mapping) else _has(here, step)
        if not holds:
            return tuple(path[:at])
        here = here[step]
    return tuple(path)


def _has(here: Any, step: str | int) -> bool:
    return isinstance(here, list) and isinstance(step, int) and step < len(here)
