"""What is to be done about these events? Pure: many that tell of one record are one piece of work.

A webhook is a hint, so where a record can be asked for, it is, once for all that was said of it; what the system says now
is newer than all of it. A whole record is taken at its word where nothing else was said of it. A delete is believed where
the manifest says so, else only after a re-read that finds nothing. Order doesn't matter: what is told late says when it was.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

How = Literal["ask", "take", "bury", "live", "sweep"]
"""Ask for the record; take the one that came; make a tombstone; let a live run look; let a sweep find out."""


@dataclass(frozen=True, slots=True)
class Event:
    """One that waits, as it stands in `events`."""

    id: UUID
    kind: str
    key: str | None
    said_at: datetime | None
    received_at: datetime
    attempts: int
    request_id: str
    record: bytes | None = field(default=None, repr=False)

    def at(self, skew: float) -> datetime:
        """When what it tells of was so: no later than it came, whatever the system's clock says (`skew`: ahead of ours)."""
        if self.said_at is None:
            return self.received_at
        try:
            return min(self.received_at, self.said_at - timedelta(seconds=skew))
        except OverflowError:  # a placeholder such as year 1
            return min(self.received_at, self.said_at)


@dataclass(frozen=True, slots=True)
class Work:
    """What is done about all events of one record, the oldest first; or of none, with a key that is None."""

    how: How
    key: str | None
    events: Sequence[Event]

    @property
    def says_gone(self) -> bool:
        """One of them told of a delete."""
        return any(event.kind == "delete" for event in self.events)

    @property
    def newest(self) -> Event:
        return max(self.events, key=lambda event: (event.at(0.0), event.id))


def coalesce(events: Iterable[Event], *, askable: bool, believed: bool) -> list[Work]:
    """One piece of work a record, in the order in which the first of its events came.

    `askable`: the system can be asked for one record. `believed`: a delete needs no other evidence.
    """
    of_stream: list[Event] = []
    by_key: dict[str, list[Event]] = {}
    for event in events:
        if event.key is None or event.kind == "stream":
            of_stream.append(event)
        else:
            by_key.setdefault(event.key, []).append(event)
    works = [Work(_how(told, askable, believed), key, told) for key, told in by_key.items()]
    return [Work("live", None, of_stream), *works] if of_stream else works


def _how(told: Sequence[Event], askable: bool, believed: bool) -> How:
    kinds = {"record" if event.kind == "full" and event.record is None else event.kind for event in told}
    if askable:
        if kinds == {"full"}:
            return "take"
        return "bury" if kinds == {"delete"} and believed else "ask"
    newest = max(told, key=lambda event: (event.at(0.0), event.id))
    if newest.kind == "delete":
        return "bury" if believed else "sweep"
    return "take" if newest.kind == "full" and newest.record is not None else "live"
