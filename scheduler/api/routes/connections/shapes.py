"""What connections and their streams look like in the OpenAPI document."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class StreamShape(BaseModel):
    """What is set of a stream; beside these, every option of the connections file that is set, by its name."""

    model_config = ConfigDict(extra="allow")

    enabled: bool
    schedule: dict[str, Any]
    history: str


class ConnectionShape(BaseModel):
    """What is set of a connection. `file` is its id in a connections file; null: no file made it."""

    model_config = ConfigDict(extra="allow")

    id: int
    name: str
    system: str
    environment: Literal["live", "test"]
    tenant: str | None
    budget: str | None
    labels: dict[str, str]
    settings: dict[str, Any]
    secrets: dict[str, str]
    network: dict[str, str]
    file: str | None
    paused: bool
    disconnected: bool
    paused_at: datetime | None
    created_at: datetime
    updated_at: datetime
    streams: dict[str, StreamShape]


class ListedConnection(BaseModel):
    """A connection in a list, with what its streams are up to."""

    id: int
    name: str
    environment: Literal["live", "test"]
    system: str
    tenant: str | None
    labels: dict[str, str]
    paused_at: datetime | None
    streams: int
    failing: int
    history_pending: int
    last_success_at: datetime | None
    next_run_at: datetime | None
    open_runs: int


class Connections(BaseModel):
    """A page of them, by name."""

    connections: list[ListedConnection]
    next: str | None


class LastError(BaseModel):
    code: str
    words: str | None


class ListedStream(StreamShape):
    """A stream with how it is doing. `fresh_as_of` is when its last good run began to ask."""

    name: str
    next_run_at: datetime | None
    open_run: str | None
    wait_reason: str | None
    last_outcome: str | None
    last_finished_at: datetime | None
    last_success_at: datetime | None
    failures: int
    error: LastError | None
    history_done_at: datetime | None


class Streams(BaseModel):
    connection: str
    streams: list[ListedStream]


class NamedStream(StreamShape):
    """What is set of one stream."""

    connection: str
    name: str


class Paused(BaseModel):
    """`changed` is false where it was so already; `running` runs still end their work."""

    connection: str
    paused: bool
    changed: bool
    running: int = 0


class PausedOne(BaseModel):
    """One of many. `disconnected`: it can't go on, because its secrets were taken away."""

    id: int
    connection: str
    changed: bool
    running: int
    disconnected: bool


class PausedMany(BaseModel):
    """What became of all that were meant. The numbers are of all; of very many only the first are listed."""

    paused: bool
    matched: int
    changed: int
    running: int = 0
    connections: list[PausedOne]


class Removed(BaseModel):
    """What went. With `data=keep` nothing of the copy does."""

    connection: str
    data: Literal["keep", "delete"]
    streams: int
    records: int


class TrialFinding(BaseModel):
    about: str
    outcome: Literal["ok", "warning", "failed", "skipped"]
    words: str
    code: str | None
    hint: str | None


class Trial(BaseModel):
    """`reached`: it works, though single streams may be refused. `fine`: none is."""

    connection: str
    summary: str
    reached: bool
    fine: bool
    streams_found: list[str]
    streams_missing: list[str]
    findings: list[TrialFinding]


class FoundStream(BaseModel):
    """What could be a stream. `connected`: the connection has one of this name."""

    name: str
    title: str
    connected: bool
    key: list[str] = Field(description="The paths of the fields that a record's key is made of.")
    cursor: str | None = Field(description="By which field changes are known; null: it is read whole.")
    fields: list[str]
    remarks: list[str] = Field(description="What is unsure or missing, in sentences.")
    describe: dict[str, Any] = Field(
        description="What stands under its name in the connection's `settings.describe.streams`."
    )


class DiscoveryProblem(BaseModel):
    code: str
    words: str
    hint: str | None


class Discovered(BaseModel):
    """What a connection's system says it has; or why it doesn't."""

    connection: str
    system: str
    streams: list[FoundStream]
    problem: DiscoveryProblem | None


class Link(BaseModel):
    """A connect link. `connection` is the one that is logged in again, or that it has made, `created_by` the token that made
    the link.
    """

    id: UUID
    environment: Literal["live", "test"]
    system: str
    name: str
    tenant: str | None
    connection: int | None
    created_at: datetime
    created_by: UUID | None
    expires_at: datetime
    opened_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


class MadeLink(Link):
    url: str


class Links(BaseModel):
    links: list[Link]
    next: str | None
