"""What runs and requests for syncs look like outside. A contract: fields are added, never changed or removed."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from worker.runs.states import State


class Counts(BaseModel):
    """How many records a run read, and what became of them. `rejected` were set aside, `refused` were older than the copy."""

    read: int
    created: int
    updated: int
    deleted: int
    refused: int
    rejected: int


class Failure(BaseModel):
    code: str
    words: str | None


class RunShape(BaseModel):
    """A run. `connection` and `stream` are null where they are gone."""

    id: UUID
    connection: str | None
    stream: str | None
    track: str
    state: State
    cause: str
    lane: str
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    not_before: datetime | None
    wait_reason: str | None
    pages: int
    records: Counts
    error: Failure | None
    merged_into: UUID | None


class EndsAs(BaseModel):
    """The run that carries on what this one was for."""

    id: UUID
    state: State
    url: str


class WholeRun(RunShape):
    """A run with its steps. `ahead` and `begins_in` (seconds) say where one stands that is queued; null: nobody knows."""

    request_id: str
    queue: str
    worker: str | None
    scope: dict[str, Any]
    steps: list[dict[str, Any]] | None
    ahead: int | None = None
    begins_in: float | None = None
    ends_as: EndsAs | None = None


class Runs(BaseModel):
    """A page of them, the newest first."""

    runs: list[RunShape]
    next: str | None


class Forecast(BaseModel):
    """What reading it takes; null: nobody can say."""

    records: int | None
    requests: int | None
    seconds: float | None


class AskedRun(BaseModel):
    """A run that does what was asked for. `joined`: it was queued before."""

    id: UUID
    stream: str
    joined: bool
    url: str
    ahead: int = Field(description="So many runs come first.")
    begins_in: float | None = Field(description="In about so many seconds; null: no worker serves its queue.")
    forecast: Forecast | None = None
    run: RunShape | None = Field(None, description="With `wait`: how it stands, or how it ended.")


class Asked(BaseModel):
    """The runs to watch."""

    connection: str
    runs: list[AskedRun]


class Cancelled(BaseModel):
    """`cancelling`: it ends at its next page."""

    id: UUID
    outcome: Literal["cancelled", "cancelling"]


class Retried(BaseModel):
    """The run that tries again; `joined`: it was queued before."""

    id: UUID
    stream: str
    joined: bool
    url: str


class FieldChanged(BaseModel):
    path: str
    before: str | None
    after: str | None


class RecordChanged(BaseModel):
    """What a run made of a record. `before` and `after` are its JSON as text; null: there was none, or nobody kept it."""

    key: str
    kind: str
    changed_since: bool
    before: str | None
    after: str | None
    fields: list[FieldChanged]


class RunChanges(BaseModel):
    """`versions` is false where the stream keeps none: then only the records whose last change it was are known."""

    run: UUID
    connection: str
    stream: str
    versions: bool
    changes: list[RecordChanged]
    more: bool
    next: str | None


class Slices(BaseModel):
    """Of a history; `total` is null as long as nobody knows how far back it goes."""

    done: int
    total: int | None


class Left(BaseModel):
    """What is still to be read; null: nobody can say."""

    records: int | None
    requests: int | None
    seconds: float | None


class HistoryShape(BaseModel):
    """How far the history of one stream is. `days` is null where all is asked for."""

    stream: str
    days: int | None
    state: str
    slices: Slices
    records: int
    requests: int
    seconds: float
    share: float | None
    since: Any
    read_back_to: Any
    left: Left
    run: UUID | None
    next_at: datetime | None
    failures: int
    error: Failure | None


class Histories(BaseModel):
    connection: str
    histories: list[HistoryShape]


class HistoryStreams(BaseModel):
    """The streams whose history stops, or goes on."""

    streams: list[str]
