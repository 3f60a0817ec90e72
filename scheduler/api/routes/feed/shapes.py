"""What the feed, its readers, subscriptions and models look like outside. Fields are added, never changed or removed."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field


class Cause(BaseModel):
    kind: str
    id: str


class Change(BaseModel):
    """A change of one record. `record` is what it is now, as its system sent it; left out with `content=false`."""

    position: str
    kind: Literal["created", "updated", "deleted"]
    connection: str | None
    environment: str | None
    stream: str | None
    key: str
    version: int | None
    time: datetime
    source_updated_at: datetime | None
    deleted_at: datetime | None
    delete_reason: str | None
    run: str | None
    cause: Cause
    record: Any = None


class Changes(BaseModel):
    """Some of the feed, in its order. `next` is what to give as `after` for what follows; `more`: there is some now."""

    changes: list[Change]
    next: str
    more: bool


class Behind(BaseModel):
    """How much a reader has before it; `at_least`: counting stopped there."""

    changes: int | None
    at_least: bool
    seconds: float | None


class ConsumerShape(BaseModel):
    """A reader whose position is kept."""

    name: str
    position: str
    created_at: datetime
    committed_at: datetime
    behind: Behind
    expired: bool
    view: dict[str, Any]


class Consumers(BaseModel):
    """Readers whose position is kept here."""

    consumers: list[ConsumerShape]
    next: str | None


class Waiting(BaseModel):
    """What a subscription has still to be told, and what was given up."""

    records: int
    given_up: int
    next_at: datetime | None


class SubscriptionShape(BaseModel):
    """Who is told of what. `secret` is a reference; `view` says of which connections."""

    id: Any
    name: str
    url: str
    secret: str
    connection: str | None
    stream: str | None
    kinds: list[str] | None
    view: dict[str, Any]
    state: str
    reason: str | None
    position: str
    replays_since: datetime | None
    delivered: int
    waiting: Waiting
    last_error: str | None
    created_at: datetime
    last_success_at: datetime | None
    last_failure_at: datetime | None
    failing_since: datetime | None
    next_at: datetime | None


class Subscriptions(BaseModel):
    """Those that tell of nothing but what the token sees."""

    subscriptions: list[SubscriptionShape]
    next: str | None


class Tried(BaseModel):
    """Whether a test message was taken, or why not."""

    taken: bool
    words: str | None


class ModelShape(BaseModel):
    """A model, and its fields."""

    name: str
    fields: list[str]
    lines: list[Any]


class Models(BaseModel):
    """All models."""

    models: list[ModelShape]


class ModelPage(BaseModel):
    """Records of a model, in the order in which they changed."""

    records: list[dict[str, Any]]
    next: str = Field(
        description="What to give as `cursor` for what follows, also when there is nothing more now."
    )
    more: bool
