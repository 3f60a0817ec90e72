"""How do the rows differ from the file?

Connections are matched by environment and id, so a name may change. One that no file made is taken over by its name.
What is gone from the file is left alone, or deleted by `prune`; what is gone from the system is switched off.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from scheduler.connections.current import CurrentConnection, CurrentStream
from scheduler.connections.file.desired import Desired, DesiredConnection, DesiredStream, Problems
from scheduler.connections.options.schedule import DEFAULT_HISTORY_DAYS
from scheduler.connections.plan.merge import FieldChange, Key, Merged, flatten, merge, unflatten
from scheduler.connections.plan.model import Change, Kind, Plan, PlannedConnection, PlannedStream
from worker.errors import InvalidInput

GROUPS = ("labels", "settings", "secrets", "network")
COLUMNS = ("name", "tenant", "budget", *GROUPS)
STREAM_GROUPS = ("options",)
STREAM_COLUMNS = ("schedule", "history_days", "enabled", *STREAM_GROUPS)
LONGER = "only the time that is missing is read"
SHORTER = "nothing is read for it, and what was read before stays"
DRIFT = "edited elsewhere, not overwritten; --overwrite makes the file count"


def make_plan(
    desired: Desired, current: Sequence[CurrentConnection], *, prune: bool = False, overwrite: bool = False
) -> Plan:
    """Raises `Problems` for what only shows beside the rows: a name that is taken, a system that changed."""
    pairs = _pairs(desired.connections, current)
    _refuse_other_systems(desired.file, pairs)
    changes: list[Change] = []
    planned: list[PlannedConnection] = []
    for wanted, row in pairs:
        connection, said = (
            plan_creation(wanted) if row is None else plan_change(wanted, row, overwrite=overwrite)
        )
        planned.append(connection)
        changes.extend(said)
    absent = absent_connections(desired, current)
    changes.extend(_absent_change(row, prune=prune) for row in absent)
    deletions = tuple(absent) if prune else ()
    _refuse_taken_names(desired, planned, current, deletions)
    return Plan(desired.file, tuple(changes), tuple(_notes(pairs)), tuple(planned), deletions)


def absent_connections(desired: Desired, current: Sequence[CurrentConnection]) -> list[CurrentConnection]:
    """What a file made and this one doesn't name: what `prune` deletes."""
    named = {row.id for _, row in _pairs(desired.connections, current) if row is not None}
    return [row for row in current if row.file_id is not None and row.id not in named]


_Pair = tuple[DesiredConnection, CurrentConnection | None]


def _pairs(desired: Iterable[DesiredConnection], current: Iterable[CurrentConnection]) -> list[_Pair]:
    by_id: dict[tuple[str, str | None], CurrentConnection] = {
        (row.environment, row.file_id): row for row in current if row.file_id is not None
    }
    by_name = {(row.environment, row.name): row for row in current if row.file_id is None}
    return [
        (
            wanted,
            by_id.get((wanted.environment, wanted.file_id)) or by_name.get((wanted.environment, wanted.name)),
        )
        for wanted in desired
    ]


def plan_creation(wanted: DesiredConnection) -> tuple[PlannedConnection, list[Change]]:
    """A connection that isn't there yet."""
    fields = _wanted_fields(wanted)
    streams = [
        PlannedStream(None, s.name, s.schedule, s.history_days, s.enabled, s.options) for s in wanted.streams
    ]
    applied = unflatten(fields, groups=GROUPS) | {"streams": {s.name: _columns(s) for s in wanted.streams}}
    planned = PlannedConnection(
        None, wanted.file_id, wanted.environment, wanted.system, fields, applied, streams, changed=True
    )
    off = sum(not stream.enabled for stream in streams)
    note = f"{wanted.system}, {len(streams)} streams" + (f", {off} of them switched off" if off else "")
    return planned, [Change("created", wanted.environment, wanted.name, note=note)]


def plan_change(
    wanted: DesiredConnection, row: CurrentConnection, *, overwrite: bool
) -> tuple[PlannedConnection, list[Change]]:
    """One that is: what differs, field by field."""
    last = dict(row.applied or {})
    last_streams = last.pop("streams", {})
    merged = merge(
        flatten({name: getattr(row, name) for name in COLUMNS}, groups=GROUPS),
        flatten(last, groups=GROUPS),
        _wanted_fields(wanted),
        overwrite=overwrite,
    )
    where = row.environment, str(merged.fields["name",])
    changes = list(_connection_changes(merged, where))
    streams: list[PlannedStream] = []
    remembered: dict[str, Any] = {}
    for stream, applied, said in _compare_streams(wanted, row, last_streams, where, overwrite=overwrite):
        streams.append(stream)
        remembered[stream.name] = applied
        changes.extend(said)
    applied = unflatten(merged.applied, groups=GROUPS) | {"streams": remembered}
    planned = PlannedConnection(
        row,
        wanted.file_id,
        row.environment,
        row.system,
        merged.fields,
        applied,
        streams,
        changed=bool(merged.changes),
    )
    return planned, changes


_Where = tuple[str, str]
_StreamPlan = tuple[PlannedStream, Mapping[str, Any], list[Change]]


def _connection_changes(merged: Merged, where: _Where) -> Iterator[Change]:
    if merged.changes:
        moved = any(change.key[0] == "settings" for change in merged.changes)
        note = "what was read before stays in the copy" if moved else ""
        yield Change("changed", *where, fields=merged.changes, note=note)
    if merged.drift:
        yield Change("drift", *where, fields=merged.drift, note=DRIFT)


def _compare_streams(
    wanted: DesiredConnection,
    row: CurrentConnection,
    last: Mapping[str, Mapping[str, Any]],
    where: _Where,
    *,
    overwrite: bool,
) -> Iterator[_StreamPlan]:
    existing = {stream.name: stream for stream in row.streams}
    for stream in wanted.streams:
        if (found := existing.pop(stream.name, None)) is None:
            new = PlannedStream(None, stream.name, **_columns(stream))
            said = [Change("created", *where, stream.name, note="" if stream.enabled else "switched off")]
            yield new, _columns(stream), said
        else:
            yield _compare_stream(stream, found, last.get(stream.name, {}), where, overwrite=overwrite)
    for gone in existing.values():
        yield _retire(gone, last.get(gone.name), where)


def _compare_stream(
    wanted: DesiredStream,
    current: CurrentStream,
    last: Mapping[str, Any],
    where: _Where,
    *,
    overwrite: bool,
) -> _StreamPlan:
    before, after, applied = (
        flatten(columns, groups=STREAM_GROUPS) for columns in (_columns(current), _columns(wanted), last)
    )
    merged = merge(before, applied, after, overwrite=overwrite)
    history = next((change for change in merged.changes if change.key == ("history_days",)), None)
    planned = PlannedStream(
        current,
        current.name,
        **unflatten(merged.fields, groups=STREAM_GROUPS),
        extends_history=history is not None and _enlarged(history),
        shortens_history=history is not None and not _enlarged(history),
    )
    said = list(_stream_changes(merged, where, current.name))
    return planned, unflatten(merged.applied, groups=STREAM_GROUPS), said


def _stream_changes(merged: Merged, where: _Where, stream: str) -> Iterator[Change]:
    plain: list[FieldChange] = []
    for change in merged.changes:
        if change.key == ("enabled",):
            yield Change("switched on" if change.new else "switched off", *where, stream)
        elif change.key == ("history_days",):
            longer = _enlarged(change)
            kind: Kind = "re-fetched" if longer else "changed"
            yield Change(kind, *where, stream, (change,), LONGER if longer else SHORTER)
        else:
            plain.append(change)
    if plain:
        yield Change("changed", *where, stream, tuple(plain))
    if merged.drift:
        yield Change("drift", *where, stream, merged.drift, DRIFT)


def _retire(stream: CurrentStream, last: Mapping[str, Any] | None, where: _Where) -> _StreamPlan:
    """The system lost the stream. Its records stay; remembered as our doing, so its return switches it on again."""
    columns = _columns(stream) | {"enabled": False}
    planned = PlannedStream(stream, stream.name, **columns)
    if not stream.enabled:
        return planned, last if last is not None else columns, []
    note = "the system no longer has it; its records stay"
    return planned, columns, [Change("switched off", *where, stream.name, note=note)]


def _enlarged(change: FieldChange) -> bool:
    """None is everything."""
    return change.old is not None and (change.new is None or change.new > change.old)


def _columns(stream: CurrentStream | DesiredStream) -> dict[str, Any]:
    return {name: getattr(stream, name) for name in STREAM_COLUMNS}


def _wanted_fields(wanted: DesiredConnection) -> dict[Key, Any]:
    return flatten({name: getattr(wanted, name) for name in COLUMNS}, groups=GROUPS)


def _absent_change(row: CurrentConnection, *, prune: bool) -> Change:
    if prune:
        return Change("deleted", row.environment, row.name, records=row.records)
    note = "not in the file; --prune deletes it with its records"
    return Change("left alone", row.environment, row.name, note=note)


def _refuse_other_systems(file: str, pairs: Iterable[_Pair]) -> None:
    problems = [
        InvalidInput(
            "system_changed",
            f"{wanted.file_id!r} is a connection to {row.system}, and the file says {wanted.system}.",
            place=wanted.place,
            hint="Give the other system's connection an id and a name of its own.",
        )
        for wanted, row in pairs
        if row is not None and row.system != wanted.system
    ]
    if problems:
        raise Problems(file, problems)


def _refuse_taken_names(
    desired: Desired,
    planned: Sequence[PlannedConnection],
    current: Iterable[CurrentConnection],
    deletions: Iterable[CurrentConnection],
) -> None:
    """Names as they will be, drift and all, against the rows that the file doesn't touch and each other."""
    places = {(wanted.environment, wanted.file_id): wanted.place for wanted in desired.connections}
    free = {row.id for row in deletions} | {one.current.id for one in planned if one.current}
    taken = {(row.environment, row.name) for row in current if row.id not in free}
    problems = []
    for one in planned:
        name = one.environment, one.fields["name",]
        if name in taken:
            problems.append(
                InvalidInput(
                    "name_taken",
                    f"The name {name[1]!r} belongs to another connection.",
                    place=places[one.environment, one.file_id],
                    hint="`headrace connections` shows it; choose another name here, or rename that one.",
                )
            )
        taken.add(name)
    if problems:
        raise Problems(desired.file, problems)


def _notes(pairs: Iterable[_Pair]) -> Iterator[str]:
    pairs = list(pairs)
    silent = [wanted.name for wanted, row in pairs if row is None and wanted.history_by_default]
    if silent:
        yield (
            f"No history is given for {', '.join(silent)}: the last {DEFAULT_HISTORY_DAYS} days are read. "
            "`history: all` reads everything."
        )
    for wanted, row in pairs:
        if row is not None and row.file_id is None:
            yield f"{wanted.name} was made elsewhere; from here on this file owns it."
