"""The routes of systems: which there are, what a connection to one needs, and what can be asked of its streams."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from scheduler.api.who import READ, connection_of
from scheduler.connections.abilities import abilities, bound_abilities
from scheduler.connections.systems import known_systems, source_of
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Connector
from worker.db.database import Database

Name = Annotated[str, Path(min_length=1, max_length=200)]


class SettingShape(BaseModel):
    """What a connection says in `settings`."""

    name: str
    kind: str
    required: bool
    default: Any = None
    description: str
    pattern: str | None
    choices: list[str] = Field([], description="The only values there are; none: any.")


class SecretShape(BaseModel):
    """A secret that a connection references in `secrets`; `find` tells where a person finds it at the system."""

    name: str
    required: bool
    description: str
    find: str | None
    lasts: float | None = Field(
        None, description="For how many seconds the system takes one that it gave out, where it is known."
    )


class StreamAbilities(BaseModel):
    """What the system can be asked for, of one kind of record."""

    name: str
    title: str | None = None
    incremental: bool = Field(description="For what changed since the last run.")
    cursor: str | None = Field(description="What changes are known by: time, number or token.")
    date_range: bool = Field(description="For what changed since a time: `since` of a sync's scope.")
    until: bool = Field(description="And up to one: `until`.")
    one_record: bool = Field(description="For one record by its key; `ids` read no more than those then.")
    listed: bool = Field(description="For all keys there are, so that a sweep finds what is gone.")
    tells_deletes: bool = Field(description="For a list of what was deleted.")
    filters: list[str] = Field(description="For what fits these: `filters`.")
    after: list[str] = Field(description="Streams that its records refer to; they are synced first.")
    interval: float = Field(description="Seconds between two runs where nothing else is set.")


class SystemShape(BaseModel):
    """A system that a connection can be made to."""

    system: str
    title: str
    streams: list[str]
    version: str | None = Field(None, description="Of its manifest; a connector in Python has none.")
    tried: str | None = Field(None, description="On which live systems it was tried, in a few words.")
    open: list[str] = Field(
        [],
        description="What a connection may say of its own system in `settings.describe`: sections of a manifest.",
    )


class Systems(BaseModel):
    """All of them, in the order of their names."""

    systems: list[SystemShape]


class WholeSystem(BaseModel):
    """What a connection to it needs, and what it can be asked for."""

    system: str
    title: str
    docs: str | None
    auth: str = Field(description="How requests prove who they are, in a word.")
    settings: list[SettingShape]
    secrets: list[SecretShape]
    permissions: list[str] = Field(description="What the account must be allowed, in the system's words.")
    streams: list[StreamAbilities]


class Capabilities(BaseModel):
    """What can be asked of a connection's system, as it is set up."""

    connection: str
    system: str
    webhooks: bool = Field(description="The system can tell of changes.")
    streams: list[StreamAbilities]


def systems_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1", tags=["systems"])

    @router.get("/systems", dependencies=READ, response_model=Systems)
    def systems() -> dict[str, Any]:
        """Which systems this Headrace can be connected to."""
        return {"systems": [_named(connector) for connector in known_systems().connectors()]}

    @router.get("/systems/{system}", dependencies=READ, response_model=WholeSystem)
    def system(system: Name) -> dict[str, Any]:
        """One of them: what a connection to it needs, and what its streams can be asked for."""
        return _whole(known_systems().get(system))

    @router.get("/connections/{connection_id}/capabilities", dependencies=READ, response_model=Capabilities)
    def capabilities(connection_id: Name, request: Request) -> dict[str, Any]:
        """What can be asked of one connection's streams, as its settings have it."""
        found = connection_of(request, database, connection_id)
        source = source_of(known_systems(), found)
        return {
            "connection": found["name"],
            "system": found["system"],
            "webhooks": source.webhooks is not None,
            "streams": [bound_abilities(source.stream(name)) for name in source.stream_names],
        }

    return router


def _named(connector: Connector) -> dict[str, Any]:
    named: dict[str, Any] = {"system": connector.system, "title": connector.title}
    if isinstance(connector, ManifestConnector):
        manifest = connector.manifest
        named |= {"version": manifest.version, "tried": manifest.about.standing, "open": list(manifest.open)}
    return {**named, "streams": list(connector.stream_names)}


def _whole(connector: Connector) -> dict[str, Any]:
    """Whatever its manifest says of it. A connector in Python may have none: then its names are all there is."""
    shape: dict[str, Any] = {
        **_named(connector),
        "docs": None,
        "auth": "other",
        "settings": [],
        "permissions": [],
        "streams": [],
    }
    shape["secrets"] = [
        {"name": name, "required": required, "description": "", "find": None}
        for name, required in connector.secret_names.items()
    ]
    if isinstance(connector, ManifestConnector):
        manifest = connector.manifest
        shape |= {"docs": manifest.docs, "auth": manifest.auth.kind}
        shape["permissions"] = list(manifest.about.permissions)
        shape["settings"] = [_fields(each, SettingShape) for each in manifest.settings.values()]
        shape["secrets"] = [_fields(each, SecretShape) for each in manifest.secrets.values()]
        asked_by_keys = manifest.protocol == "tryton"
        shape["streams"] = [abilities(each, by_key=asked_by_keys) for each in manifest.streams.values()]
    return shape


def _fields(thing: Any, shape: type[BaseModel]) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in shape.model_fields}
