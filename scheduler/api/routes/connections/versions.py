"""The routes of versions: which there are of a system, and how a connection goes from one to another."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.routes.connections.connections import ConnectionId
from scheduler.api.shapes import NO_NUL
from scheduler.api.who import ADMIN, READ, actor_of, connection_of, principal_of
from scheduler.connections.editing.edit import Editor
from scheduler.connections.systems import known_systems
from scheduler.connections.upgrading.plan import Planned, plan, target_of, versions_of
from scheduler.connections.upgrading.step import Given, take_step
from worker.config import load_settings
from worker.db.database import Database

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
System = Annotated[str, Path(min_length=1, max_length=200)]


class UpgradeAsked(BaseModel):
    """Where to, and how."""

    model_config = ConfigDict(extra="forbid")

    to: str | None = Field(
        None, min_length=1, max_length=100, description="Left out: the version that a new connection gets."
    )
    dry_run: bool = Field(default=False, description="Only say what would change and what it costs.")
    settings: dict[Text, str | int | bool] = Field(
        default_factory=dict, description="Those that the version needs and the connection lacks."
    )
    secrets: dict[Text, Annotated[str, Field(max_length=4096, pattern=NO_NUL)]] = Field(
        default_factory=dict,
        description="The same of its secrets: references, of those that the token may point connections at.",
    )
    despite_erasures: bool = Field(
        default=False, description="Also where erased records would come back under other keys."
    )


class VersionShape(BaseModel):
    """One version of a system's manifest."""

    version: str
    current: bool = Field(description="A new connection gets it.")
    connections: int = Field(description="How many of those that the token sees are pinned to it.")
    seen_at: datetime | None = Field(description="When it was last in use, of one that is kept.")


class Versions(BaseModel):
    """From the newest to the oldest."""

    system: str
    versions: list[VersionShape]


class ChangedStream(BaseModel):
    """`kind`: changed, added or removed."""

    stream: str
    kind: str
    changed: list[str] = Field(
        description="What of its state fits no more: key, cursor, version, deletes, place."
    )
    read_again: bool
    words: list[str]


class Names(BaseModel):
    """What the version needs and the connection lacks, and what goes from the connection."""

    lacking: list[str]
    dropped: list[str]


class Cost(BaseModel):
    """What reading a stream again takes. null: nobody can say."""

    held: int = Field(description="Records in the copy.")
    records: int | None
    requests: int | None
    seconds: float | None


class Refused(BaseModel):
    """Why it can't go there as things are."""

    code: str
    words: str


class Upgrade(BaseModel):
    """What changes for the connection, or has changed."""

    model_config = ConfigDict(populate_by_name=True)

    connection: str
    environment: str
    system: str
    before: str = Field(alias="from")
    to: str
    done: bool
    streams: list[ChangedStream]
    words: list[str]
    settings: Names
    secrets: Names
    refused: Refused | None
    cost: dict[str, Cost]


def versions_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1")

    @router.get("/systems/{system}/versions", dependencies=READ, response_model=Versions, tags=["systems"])
    def versions(system: System, request: Request) -> dict[str, Any]:
        """The versions of its manifest that connections are pinned to or that are kept, and the current one."""
        named, view = system.replace("\0", ""), principal_of(request).view
        return {"system": named, "versions": versions_of(database, known_systems(), named, view)}

    @router.post(
        "/connections/{connection_id}/upgrade",
        dependencies=ADMIN,
        response_model=Upgrade,
        tags=["connections"],
    )
    def upgrade(connection_id: ConnectionId, asked: UpgradeAsked, request: Request) -> dict[str, Any]:
        """Let it go over to another version of its system's manifest, or back to an earlier one. What doesn't fit begins anew."""
        found, registry = connection_of(request, database, connection_id), known_systems()
        target = target_of(registry, found, asked.to)
        given = Given(asked.settings, asked.secrets, asked.despite_erasures)
        planned = plan(database, load_settings(), registry, found, target, given=given)
        if asked.dry_run:
            return _told(planned, done=False)
        step = take_step(
            database,
            registry,
            found["id"],
            target,
            given=given,
            editor=Editor(actor_of(request), principal_of(request)),
        )
        return _told(Planned(step, planned.costs, planned.held), done=step.changes)

    return router


def _told(planned: Planned, *, done: bool) -> dict[str, Any]:
    costs = {
        name: {
            "held": planned.held.get(name, 0),
            "records": cost.records,
            "requests": cost.requests,
            "seconds": cost.seconds,
        }
        for name, cost in planned.costs.items()
    }
    return {**planned.step.as_json(), "done": done, "cost": costs}
