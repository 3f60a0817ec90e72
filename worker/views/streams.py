"""What do the manifest and the connections file say of a stream's views? The facts that everything here starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from worker.connectors.connector import ManifestConnector
from worker.connectors.manifest.views.expressions import BadMapping
from worker.connectors.manifest.views.mapping import ModelMapping, override
from worker.connectors.manifest.views.tables import TableTraits
from worker.connectors.registry import Registry
from worker.errors import NotFound
from worker.views.sql.records import Place
from worker.views.sql.tables import signature

MATERIALISE_FROM = 50_000
"""Records from which on a stream's are kept parsed, unless the connections file says otherwise."""


@dataclass(frozen=True, slots=True)
class Described:
    """One stream, and what was said of its tables."""

    id: int
    name: str
    place: Place
    connection_id: int
    connection: str
    test: bool
    table: TableTraits
    mappings: tuple[ModelMapping, ...]
    materialise: str
    basis: str
    """A digest of all that was said: where it differs from the last one, the views are made anew."""
    problem: str | None = None
    """Why what the connections file says of models can't be had."""


def described(row: Mapping[str, Any], registry: Registry) -> Described | None:
    """The stream of a row; None where this process doesn't know its system."""
    try:
        connector = registry.get(row["system"])
    except NotFound:
        return None
    table, mappings, problem = TableTraits(), tuple[ModelMapping, ...](), None
    options: Mapping[str, Any] = row["options"] or {}
    if isinstance(connector, ManifestConnector):
        manifest = connector.manifest
        if row["name"] in manifest.streams:
            table = manifest.streams[row["name"]].table
        mappings, problem = _mappings(manifest.models, options.get("models"), tuple(manifest.streams))
    own = tuple(mapping for mapping in mappings if mapping.stream == row["name"])
    return Described(
        id=row["id"],
        name=row["name"],
        place=Place(row["bucket"], row["id"]),
        connection_id=row["connection_id"],
        connection=row["connection"],
        test=row["environment"] == "test",
        table=table,
        mappings=own,
        materialise=options.get("materialise", "auto"),
        basis=_digest(table, own),
        problem=problem,
    )


def _mappings(
    manifest: tuple[ModelMapping, ...], own: Mapping[str, Any] | None, streams: Sequence[str]
) -> tuple[tuple[ModelMapping, ...], str | None]:
    """What the connection says over the manifest; the manifest alone, and why, where the two don't fit."""
    if not own:
        return manifest, None
    try:
        return override(manifest, own, streams), None
    except BadMapping as exc:
        return manifest, f"models.{'.'.join(map(str, exc.place))}: {exc.message}"


def _digest(table: TableTraits, mappings: tuple[ModelMapping, ...]) -> str:
    """The same for many streams: reckoned once where a mapping can be a key."""
    return _digest_of(repr(table), repr(mappings))


@lru_cache(maxsize=1024)
def _digest_of(table: str, mappings: str) -> str:
    return signature(table, mappings)
