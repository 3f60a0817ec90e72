"""What the API answers with, as plain data. What a newer API says beside it is left out, not refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed last. `code` is stable."""

    code: str
    words: str | None = None


@dataclass(frozen=True, slots=True)
class ListedConnection:
    """A connection in a list, with what its streams are up to."""

    id: int
    name: str
    environment: str
    system: str
    streams: int
    failing: int
    open_runs: int
    history_pending: int = 0
    tenant: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    paused_at: datetime | None = None
    last_success_at: datetime | None = None
    next_run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """What is set of a connection. Of secrets only references are known. `etag` goes with a change."""

    id: int
    name: str
    system: str
    environment: str
    paused: bool
    disconnected: bool
    created_at: datetime
    updated_at: datetime
    tenant: str | None = None
    budget: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    network: Mapping[str, str] = field(default_factory=dict)
    file: str | None = None
    paused_at: datetime | None = None
    streams: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream with how it is doing."""

    name: str
    enabled: bool
    schedule: Mapping[str, Any]
    history: str
    failures: int = 0
    error: Failure | None = None
    next_run_at: datetime | None = None
    open_run: str | None = None
    wait_reason: str | None = None
    last_outcome: str | None = None
    last_finished_at: datetime | None = None
    last_success_at: datetime | None = None
    history_done_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the records that a run read."""

    read: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    refused: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class EndsAs:
    """The run that carries on the work of one that was merged."""

    id: UUID
    state: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run; what only `Client.run` tells is None in lists."""

    id: UUID
    state: str
    track: str
    cause: str
    lane: str
    created_at: datetime
    connection: str | None = None
    stream: str | None = None
    attempt: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    not_before: datetime | None = None
    wait_reason: str | None = None
    pages: int = 0
    records: Counts = field(default_factory=Counts)
    error: Failure | None = None
    merged_into: UUID | None = None
    request_id: str | None = None
    queue: str | None = None
    worker: str | None = None
    scope: Mapping[str, Any] | None = None
    steps: Sequence[Mapping[str, Any]] | None = None
    ahead: int | None = None
    begins_in: float | None = None
    ends_as: EndsAs | None = None

    @property
    def open(self) -> bool:
        """It is queued or at work."""
        return self.state in {"queued", "running"}


@dataclass(frozen=True, slots=True)
class AskedRun:
    """A run that does what was asked for. `joined`: it was queued before. `run`: how it stands, after a wait."""

    id: UUID
    stream: str
    joined: bool
    ahead: int | None = None
    begins_in: float | None = None
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """What asking for a sync led to."""

    connection: str
    runs: Sequence[AskedRun]


@dataclass(frozen=True, slots=True)
class History:
    """How far the history of a stream is."""

    stream: str
    state: str


@dataclass(frozen=True, slots=True)
class Paused:
    """`changed` is false where it was so already; `running` runs still end their work."""

    connection: str
    paused: bool
    changed: bool
    running: int = 0


@dataclass(frozen=True, slots=True)
class PausedOne:
    """One of many. `disconnected`: it can't go on, because its secrets were taken away."""

    id: int
    connection: str
    changed: bool
    running: int = 0
    disconnected: bool = False


@dataclass(frozen=True, slots=True)
class PausedMany:
    """What became of all that were meant. The numbers are of all; of very many only the first are listed."""

    paused: bool
    matched: int
    changed: int
    connections: Sequence[PausedOne]
    running: int = 0


@dataclass(frozen=True, slots=True)
class Removed:
    """What went."""

    connection: str
    data: str
    streams: int = 0
    records: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the copy. `raw` is its JSON to the byte, as its system sent it; `record` the same, read."""

    key: str
    observed_at: datetime
    version: int | None = None
    source_updated_at: datetime | None = None
    first_seen_at: datetime | None = None
    deleted_at: datetime | None = None
    record: Any = None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes in the order of the feed. `next` is what to give as `after` for what follows."""

    changes: Sequence[Mapping[str, Any]]
    next: str
    more: bool = False


Model = TypeVar("Model")


def read(kind: type[Model], data: Any) -> Model:
    """The data as that model. Raises `ValueError` where it isn't one."""
    found: Model = _adapter(kind).validate_python(data)  # type: ignore[arg-type] # a class is hashable
    return found


@lru_cache(maxsize=64)
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
