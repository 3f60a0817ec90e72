"""Is what the copy holds what the source shows? Pure: a record against a row, twice, and what the difference means.

A difference counts only after a second look, and only if the copy was due to know: what changed at the source behind the
place up to which every change has been read, or was written into the copy since, is pending and no drift. Where a record
says no time at all, a difference counts once it has outlived a whole sync.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from worker.connectors.contract import CursorValue, Record

Kind = Literal["missing", "extra", "different"]


@dataclass(frozen=True, slots=True)
class Held:
    """A record as the copy holds it, without its content."""

    key: str
    digest: bytes
    observed_at: datetime
    deleted: bool
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What the first look found. `record` is what the source showed; None: nothing."""

    kind: Kind
    key: str
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """What the copy is due to know."""

    began: datetime
    """When the comparison began, by the database's clock."""
    before: CursorValue | None
    """Every change up to here has been read; None: nothing tells."""
    by_update: bool = False
    """That place is a time of the source's, though the stream has no cursor: records go by when they were updated."""
    swept: bool = False
    """What goes without a trace is found by sweeps, and not before the next one."""
    all_in: bool = True
    """False: the first history is still being read, so nothing can be missed yet."""

    def knows(self, record: Record) -> bool | None:
        """Whether the copy should hold the record as it is; None where its time isn't known."""
        at: CursorValue | None = record.updated_at if self.by_update else record.cursor
        if at is None or self.before is None:
            return None
        return at < self.before  # type: ignore[operator]


def compare(shown: Mapping[str, Record], held: Mapping[str, Held]) -> list[Difference]:
    """What of the records shown the copy holds otherwise."""
    found: list[Difference] = []
    for key, record in shown.items():
        row = held.get(key)
        live = row is not None and not row.deleted
        if record.deleted:
            if live:
                found.append(Difference("extra", key, record))
        elif not live:
            found.append(Difference("missing", key, record))
        elif row is not None and row.digest != record.digest:
            found.append(Difference("different", key, record))
    return found


def not_shown(shown: Mapping[str, object], held: Mapping[str, Held], began: datetime) -> list[Difference]:
    """What the copy holds and the source didn't show, where it showed everything."""
    return [
        Difference("extra", key)
        for key, row in held.items()
        if key not in shown and not row.deleted and row.observed_at < began
    ]


Verdict = Literal["equal", "pending", "waiting", "counts"]
"""`waiting`: its time isn't known, so it counts once it has outlived a sync, or a sweep where it is gone."""


def judge_again(first: Difference, again: Record | None, held: Held | None, due: Due) -> Verdict:
    """What a second look at one difference says. `again` is what the source shows now, None for nothing; `held` is what the
    copy holds by then.
    """
    there = again is not None and not again.deleted
    live = held is not None and not held.deleted
    same = again is not None and held is not None and held.digest == again.digest
    if (there and live and same) or not (there or live):
        return "equal"
    came_since = held is not None and held.observed_at >= due.began
    if came_since or (first.kind == "missing" and not due.all_in):
        return "pending"
    if first.kind == "extra":
        return "pending" if there else _if_due(again, due)
    if not there or again is None or (first.record is not None and again.digest != first.record.digest):
        return "pending"  # it changes as we look
    knows = due.knows(again)
    return "waiting" if knows is None else "counts" if knows else "pending"


def _if_due(tombstone: Record | None, due: Due) -> Verdict:
    """What went without a trace is a sweep's to find; a tombstone says when it went."""
    if tombstone is None:
        return "waiting" if due.swept else "counts"
    return "pending" if due.knows(tombstone) is False else "counts"


def outlived(key: str, digest: bytes, before: Mapping[str, str], *, synced_since: bool) -> bool:
    """Whether a difference without a time was there at the comparison before, and no sync since has mended it."""
    return synced_since and before.get(key) == digest.hex()


def differing_fields(one: object, other: object, *, deep: int = 1) -> list[str]:
    """The names of the fields that two records don't share, as people write them; never what is in them."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return []
    names: list[str] = []
    for name in dict.fromkeys([*one, *other]):
        left, right = one.get(name, _NOTHING), other.get(name, _NOTHING)
        if left == right and type(left) is type(right):
            continue
        below = differing_fields(left, right, deep=deep - 1) if deep else []
        names += [f"{name}.{each}" for each in below] or [str(name)]
    return names


_NOTHING = object()


def by_key(records: Sequence[Record]) -> dict[str, Record]:
    return {record.key: record for record in records}
