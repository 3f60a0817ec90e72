"""What is a plan made of? Changes for people to read, and the rows as they are to be for `apply` to write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from scheduler.connections.current import CurrentConnection, CurrentStream
from scheduler.connections.plan.merge import ABSENT, FieldChange, Fields, same
from scheduler.connections.upgrading.compare import StreamChange

Kind = Literal[
    "created",
    "changed",
    "re-fetched",
    "switched on",
    "switched off",
    "deleted",
    "drift",
    "left alone",
]
EFFECTIVE: frozenset[Kind] = frozenset(
    {"created", "changed", "re-fetched", "switched on", "switched off", "deleted"}
)
"""The kinds that change something; the others are said only."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan. `stream` is None where the whole connection is meant."""

    kind: Kind
    environment: str
    connection: str
    stream: str | None = None
    fields: tuple[FieldChange, ...] = ()
    note: str = ""
    records: int = 0
    """How many records a deletion takes along."""


@dataclass(frozen=True, slots=True)
class PlannedStream:
    """A stream's row as it is to be. `current` is None for a new one."""

    current: CurrentStream | None
    name: str
    schedule: Mapping[str, Any]
    history_days: int | None
    enabled: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    extends_history: bool = False
    shortens_history: bool = False

    @property
    def switched(self) -> bool:
        return self.current is not None and self.current.enabled != self.enabled

    @property
    def rescheduled(self) -> bool:
        return self.current is not None and not same(self.current.schedule, self.schedule)

    @property
    def touched(self) -> bool:
        current = self.current
        return (
            current is None
            or self.switched
            or self.rescheduled
            or self.extends_history
            or current.history_days != self.history_days
            or not same(current.options, self.options)
        )


@dataclass(frozen=True, slots=True)
class PlannedConnection:
    """A connection's row as it is to be. `fields` are the columns, keyed as in `merge`."""

    current: CurrentConnection | None
    file_id: str | None
    environment: str
    system: str
    fields: Fields
    applied: Mapping[str, Any] | None
    streams: Sequence[PlannedStream]
    changed: bool
    refits: Sequence[StreamChange] = ()
    """What of streams that are described otherwise doesn't fit any more."""

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the connection, as they are to be."""
        return {
            key[1]: value
            for key, value in self.fields.items()
            if key[0] == "settings" and value is not ABSENT
        }

    @property
    def touched(self) -> bool:
        """Whether the row must be written, be it only to remember the file's last word."""
        current = self.current
        return (
            current is None
            or self.changed
            or current.file_id != self.file_id
            or not same(current.applied, self.applied)
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """`changes` is for people, the rest is for `apply`. `applied` says whether it was carried out."""

    file: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    connections: tuple[PlannedConnection, ...] = field(repr=False)
    deletions: tuple[CurrentConnection, ...] = field(repr=False)
    applied: bool = False

    @property
    def changes_something(self) -> bool:
        return any(change.kind in EFFECTIVE for change in self.changes)

    @property
    def deletes(self) -> tuple[Change, ...]:
        """What must be confirmed."""
        return tuple(change for change in self.changes if change.kind == "deleted")

    @property
    def lengthened(self) -> tuple[tuple[CurrentConnection, PlannedStream], ...]:
        """Streams whose history is to go back further than what was asked for so far."""
        return tuple(
            (planned.current, stream)
            for planned in self.connections
            for stream in planned.streams
            if planned.current is not None and stream.current is not None and stream.extends_history
        )

    def done(self) -> "Plan":
        return replace(self, applied=True)
