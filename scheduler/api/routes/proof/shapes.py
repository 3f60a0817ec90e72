"""What comparisons, deletes, drift and what was set aside look like outside. Fields are added, never changed or removed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field


class RequestedRun(BaseModel):
    """A run that does what was asked for. `joined`: it was queued before."""

    id: UUID
    stream: str
    joined: bool
    url: str


class RequestedRuns(BaseModel):
    """The runs to watch."""

    connection: str
    runs: list[RequestedRun]


class Verification(BaseModel):
    """What one comparison of a stream with its source found. `drift` is what differs still."""

    run_id: UUID
    connection: str
    stream: str
    started_at: datetime
    finished_at: datetime
    methods: list[str]
    scope: dict[str, Any]
    allowance: int
    requests: int
    checked: int
    copy_records: int
    source_records: int | None
    missing: int
    extra: int
    different: int
    pending: int
    repaired: int
    proven: bool
    words: str
    examples: list[Any]
    drift: int


class Verifications(BaseModel):
    """A page of them, the latest first."""

    verifications: list[Verification]
    next: str | None


class AsideCount(BaseModel):
    """How many records of a stream were set aside for one reason."""

    connection: str
    stream: str
    code: str
    records: int
    seen: int
    first_seen_at: datetime
    last_seen_at: datetime


class AsideCounts(BaseModel):
    """By connection, stream and reason."""

    quarantine: list[AsideCount]
    next: str | None


class AsideRecord(BaseModel):
    """A record that could not be taken, and why."""

    id: UUID
    key: str | None
    code: str
    reason: str
    run_id: UUID
    page: int
    seen: int
    first_seen_at: datetime
    last_seen_at: datetime
    retried_at: datetime | None
    bytes: int


class AsideRecords(BaseModel):
    """A page of them, the latest first."""

    records: list[AsideRecord]
    next: str | None


class WholeAside(AsideRecord):
    """One of them with what came, as text; bytes that are no UTF-8 are escaped."""

    connection: str
    stream: str
    raw: str


class Discarded(BaseModel):
    """How many were forgotten."""

    discarded: int


class AsideRetry(BaseModel):
    """The run that tries them again."""

    run: UUID
    joined: bool
    url: str


class KnownField(BaseModel):
    """A field of a stream's records, and what changed about it."""

    path: list[str]
    field: str = Field(description="The path as people write it.")
    types: list[str]
    state: str
    was: list[str] | None
    example: str | None
    seen: int
    missed: int
    first_seen_at: datetime
    last_seen_at: datetime
    changed_at: datetime


class Fields(BaseModel):
    """All fields of a stream."""

    fields: list[KnownField]


class DriftedField(KnownField):
    connection: str
    stream: str


class Drift(BaseModel):
    """What changed and nobody has accepted yet."""

    fields: list[DriftedField]
    next: str | None


class FieldsAccepted(BaseModel):
    """How many fields are known from now on."""

    accepted: int


class RecordFacts(BaseModel):
    """What is known of a record, but for itself."""

    key: str
    version: int | None
    observed_at: datetime
    source_updated_at: datetime | None
    first_seen_at: datetime
    deleted_at: datetime | None
    delete_reason: str | None
    change_kind: str
    cause_kind: str
    cause_id: UUID


class Explained(BaseModel):
    """Why a record is as it is, or isn't there."""

    key: str
    found: bool
    record: RecordFacts | None
    words: list[str]


class Suspect(BaseModel):
    """A record that is missing at the system, and what the copy holds of it."""

    key: str
    suspected_at: datetime
    missed: int
    reason: str | None
    held: bool
    source_updated_at: datetime | None
    observed_at: datetime | None
    raw: Any


class Deletes(BaseModel):
    """How it stands with the deletes of a stream. `fuse` says what is held, until somebody decides."""

    connection: str
    stream: str
    options: dict[str, Any]
    fuse: dict[str, Any] | None
    next_sweep_at: datetime | None
    history_done_at: datetime | None
    suspected: int
    confirmed: int
    held: int
    last_sweep: dict[str, Any] | None
    examples: list[Suspect] = Field(description="Those that are missing, first what is held.")
    next: str | None = Field(None, description="The `cursor` of the examples that follow.")


class HeldDeletes(BaseModel):
    """A stream whose deletes wait for a decision."""

    connection: str
    connection_id: int
    environment: str
    stream: str
    held: int
    fuse: dict[str, Any]


class HeldPage(BaseModel):
    """A page of them, in the order in which streams were made."""

    deletes: list[HeldDeletes]
    next: str | None


class Forgotten(BaseModel):
    """How many are suspected no longer."""

    forgotten: int


class DeletesAccepted(BaseModel):
    """The run that deletes them."""

    run: UUID
    count: int
    url: str
