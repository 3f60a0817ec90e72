"""What do the manifest and the connections file say of a stream's views? The facts that everything here starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from worker.connectors.connector import ManifestConnector
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.views.expressions import BadMapping
from worker.connectors.manifest.views.mapping import ModelMapping, override
from worker.connectors.manifest.views.tables import TableTraits
from worker.connectors.manifest.views.zones import with_zones, zones_in
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import InvalidInput
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


Row = Mapping[str, Any]


def described_all(
    database: Database, found: Sequence[Row], registry: Registry
) -> list[tuple[Row, Described]]:
    """The streams of rows that this process knows the systems of, each beside its row."""
    settings = _settings(database, found, registry)
    pairs = ((row, described(row, registry, settings.get(row["connection_id"], {}))) for row in found)
    return [(row, stream) for row, stream in pairs if stream is not None]


def _settings(database: Database, found: Sequence[Row], registry: Registry) -> dict[int, Mapping[str, Any]]:
    """Those that describe streams or name a zone; a system that takes neither is asked for none."""
    known = [each for each in registry.connectors() if isinstance(each, ManifestConnector)]
    opened = {each.system for each in known if each.open}
    waiting = {each.system for each in known if each.manifest.zones}
    zoned = {row["connection_id"] for row in found if row["system"] in waiting}
    ids = zoned | {row["connection_id"] for row in found if row["system"] in opened}
    if not ids:
        return {}
    asked = {"connections": [*ids], "zoned": [*zoned]}
    return {row["id"]: row["settings"] for row in database.all(sql.settings_for_views, asked)}


def described(row: Row, registry: Registry, settings: Mapping[str, Any]) -> Described | None:
    """The stream of a row; None where this process doesn't know its system, or what its settings describe is wrong."""
    try:
        connector = registry.get(row["system"], row["manifest_version"])
        manifest = connector.manifest_of(settings) if isinstance(connector, ManifestConnector) else None
    except InvalidInput:
        return None
    table, mappings, problem = TableTraits(), tuple[ModelMapping, ...](), None
    options: Mapping[str, Any] = row["options"] or {}
    if manifest is not None:
        if row["name"] in manifest.streams:
            table = manifest.streams[row["name"]].table
        mappings, problem = _mappings(manifest, options.get("models"))
        if manifest.zones:
            zones = manifest.zones_of(settings)
            mappings = tuple(with_zones(mapping, zones) for mapping in mappings)
    own = tuple(mapping for mapping in mappings if mapping.stream == row["name"])
    if table.empty:
        own = tuple(replace(mapping, empty=table.empty) for mapping in own)
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
    manifest: Manifest, own: Mapping[str, Any] | None
) -> tuple[tuple[ModelMapping, ...], str | None]:
    """What the connection says over the manifest; the manifest alone, and why, where the two don't fit."""
    if not own:
        return manifest.models, None
    try:
        found = override(manifest.models, own, tuple(manifest.streams))
    except BadMapping as exc:
        return manifest.models, f"models.{'.'.join(map(str, exc.place))}: {exc.message}"
    if others := sorted({*zones_in(found)} - {*manifest.zones}):
        return (
            manifest.models,
            f"models: {{{others[0]}}} is no zone: a connection names its own, such as Europe/Berlin.",
        )
    return found, None


def _digest(table: TableTraits, mappings: tuple[ModelMapping, ...]) -> str:
    """The same for many streams: reckoned once where a mapping can be a key."""
    return _digest_of(repr(table), repr(mappings))


@lru_cache(maxsize=1024)
def _digest_of(table: str, mappings: str) -> str:
    return signature(table, mappings)
