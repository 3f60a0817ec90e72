"""How do the rows become what the connections file says?

One transaction: all of it or nothing. A second apply of the same file changes nothing and says so. A dry run shows the
plan that would be carried out. Emits: connections_applied.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from scheduler.access.audit import COMMAND_LINE, Actor, note_act
from scheduler.beat.due import next_due, windowed
from scheduler.connections.current import CurrentConnection, queries, read_current
from scheduler.connections.file import Desired, read_desired
from scheduler.connections.histories import refit_histories
from scheduler.connections.plan import EFFECTIVE, Change, Plan, absent_connections, make_plan
from scheduler.connections.plan.compare import GROUPS
from scheduler.connections.plan.merge import unflatten
from scheduler.connections.plan.model import PlannedConnection, PlannedStream
from scheduler.connections.remove import delete_connections
from scheduler.connections.transactions import Transaction, execute, retrying
from scheduler.connections.upgrading.pinning import pin_new
from scheduler.connections.upgrading.redescribing import WORDS, with_refits
from scheduler.connections.upgrading.refitting import let_go
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.errors import InvalidInput
from worker.parsing.documents import Document

log = structlog.get_logger()

REACHES = ("settings", "secrets", "network", "tenant")
"""What of a connection says which system is reached, as whom, and for whom."""
SWITCHED_OFF = "The stream was switched off in the connections file."


def apply(
    database: Database,
    registry: Registry,
    document: Document,
    *,
    dry_run: bool = False,
    prune: bool = False,
    overwrite: bool = False,
    confirmed: Plan | None = None,
    actor: Actor = COMMAND_LINE,
) -> Plan:
    """Carry the file out, or only say what that would do. Raises `Problems` for a file that can't be taken.

    `confirmed` is the plan that somebody said yes to: nothing is deleted that isn't in it.
    """
    with database.transaction() as tx:
        pins = _pins(tx)
    desired = read_desired(document, registry, pins)
    if dry_run:
        with database.transaction() as tx:
            plan = _plan(tx, desired, prune=prune, overwrite=overwrite)
            return with_refits(tx, plan, registry, places_of(desired))

    def work() -> Plan:
        with database.transaction() as tx:
            now = execute(tx, queries.lock_apply)[0]["now"]
            found = _pins(tx)  # somebody may have upgraded one since the file was read
            wanted = desired if found == pins else read_desired(document, registry, found)
            plan = _plan(tx, wanted, prune=prune, overwrite=overwrite, lock=True)
            plan = with_refits(tx, plan, registry, places_of(wanted))
            _refuse_more_deletions(plan, confirmed)
            written = carry_out(tx, plan, now)
            pin_new(tx, registry, [one.system for one in plan.connections if one.current is None])
            _note(tx, plan, written, actor)
            return plan.done()

    plan = retrying(work)
    log.info(
        "connections_applied",
        file=plan.file,
        changes=sum(change.kind in EFFECTIVE for change in plan.changes),
    )
    return plan


def _pins(tx: Transaction) -> dict[tuple[str, str], str | None]:
    """A connection that is there is checked by the version that it is pinned to."""
    rows = execute(tx, queries.pins_of_files)
    return {(row["environment"], row["file_id"]): row["manifest_version"] for row in rows}


def places_of(desired: Desired) -> Callable[[PlannedConnection], str]:
    """Where in the file a planned connection stands."""
    places = {(each.environment, each.file_id): each.place for each in desired.connections}
    return lambda one: places[one.environment, one.file_id]


def _note(tx: Transaction, plan: Plan, written: Sequence[int], actor: Actor) -> None:
    """A line for each connection that became something else."""
    changed: dict[tuple[str, str], list[Change]] = {}
    for change in plan.changes:
        if change.kind in EFFECTIVE:
            changed.setdefault((change.environment, change.connection), []).append(change)
    for row in plan.deletions:
        about = {"id": row.id, "environment": row.environment, "tenant": row.tenant}
        note_act(tx, actor, "connection.delete", row.name, about=about, detail={"file": plan.file})
    for one, number in zip(plan.connections, written, strict=True):
        name = one.fields["name",]
        if changes := changed.get((one.environment, name)):
            about = {"id": number, "environment": one.environment, "tenant": one.fields["tenant",]}
            act = "connection.create" if one.current is None else "connection.change"
            detail = {"file": plan.file, **({} if one.current is None else {"changed": words_of(changes)})}
            note_act(tx, actor, act, name, about=about, detail=detail)


def words_of(changes: Sequence[Change]) -> list[str]:
    """Which fields, never their values: `settings.base_url`, `parts: schedule`."""
    said: list[str] = []
    for change in changes:
        where = f"{change.stream}: " if change.stream else ""
        said += [where + field.field for field in change.fields] or [where + change.kind]
    return said


def _plan(tx: Transaction, desired: Desired, *, prune: bool, overwrite: bool, lock: bool = False) -> Plan:
    current = read_current(tx, lock=lock)
    if prune:
        current = _with_records(tx, current, absent_connections(desired, current))
    return make_plan(desired, current, prune=prune, overwrite=overwrite)


def _refuse_more_deletions(plan: Plan, confirmed: Plan | None) -> None:
    if confirmed is None:
        return
    agreed = {row.id for row in confirmed.deletions}
    more = [row.name for row in plan.deletions if row.id not in agreed]
    if more:
        raise InvalidInput(
            "plan_changed",
            f"Since you said yes, {', '.join(more)} would be deleted, too. Nothing was changed.",
            hint="Run the command again and look at its plan.",
        )


def _with_records(
    tx: Transaction, current: Sequence[CurrentConnection], absent: Sequence[CurrentConnection]
) -> list[CurrentConnection]:
    """Count what a deletion takes along."""
    rows = execute(tx, queries.count_records, {"connections": [row.id for row in absent]})
    counts = {row["connection_id"]: row["records"] for row in rows}
    return [replace(row, records=counts.get(row.id, 0)) for row in current]


def carry_out(tx: Transaction, plan: Plan, now: datetime) -> list[int]:
    """Write what was planned; the numbers of the plan's connections, in its order."""
    if plan.deletions:
        delete_connections(tx, [row.id for row in plan.deletions])
    _end_runs(tx, plan, now)
    for one in plan.connections:
        if one.current is not None and one.refits:
            let_go(tx, one.current, one.refits, WORDS)
    renamed = [
        one.current.id for one in plan.connections if one.current and one.current.name != one.fields["name",]
    ]
    if renamed:
        execute(tx, queries.clear_names, {"connections": renamed})
    written = []
    for one in plan.connections:
        connection_id = _write_connection(tx, one)
        written.append(connection_id)
        for stream in one.streams:
            if stream.touched:
                _write_stream(tx, connection_id, stream, now)
    return written


def _end_runs(tx: Transaction, plan: Plan, now: datetime) -> None:
    """Before anything that hangs on the runs is written; see `end_runs`."""
    streams = [stream for one in plan.connections for stream in one.streams if stream.current is not None]
    off = [stream.current.id for stream in streams if stream.switched and not stream.enabled]  # type: ignore[union-attr]
    if off:
        execute(tx, queries.end_runs, {"streams": off, "track": None, "reason": SWITCHED_OFF})
    refit_histories(
        tx,
        {
            stream.current.id: stream.history_days
            for stream in streams
            if stream.current is not None and (stream.extends_history or stream.shortens_history)
        },
        now,
    )


def _write_connection(tx: Transaction, planned: PlannedConnection) -> int:
    params: dict[str, Any] = {
        "file_id": planned.file_id,
        "applied": None if planned.applied is None else Jsonb(planned.applied),
        **{
            key: Jsonb(value) if key in GROUPS else value
            for key, value in unflatten(planned.fields, groups=GROUPS).items()
        },
    }
    if planned.current is None:
        params |= {"environment": planned.environment, "system": planned.system}
        return int(execute(tx, queries.create_connection, params)[0]["id"])
    if planned.touched:
        statement = queries.change_connection if planned.changed else queries.remember_applied
        execute(tx, statement, {**params, "id": planned.current.id})
        _begin_anew(tx, planned.current, planned)
    return planned.current.id


def _begin_anew(tx: Transaction, before: CurrentConnection, planned: PlannedConnection) -> None:
    """What was refused is tried again, and nobody is let in any more by a link to what the connection was before."""
    after = unflatten(planned.fields, groups=GROUPS)
    differs = {name for name in REACHES if getattr(before, name) != after[name]}
    connection = {"connection": before.id}
    if differs - {"tenant"}:
        for statement in (queries.try_again, queries.wait_no_more, queries.register_again):
            execute(tx, statement, connection)
    if differs - {"secrets"}:
        execute(tx, queries.end_links, connection)


def _write_stream(tx: Transaction, connection_id: int, planned: PlannedStream, now: datetime) -> None:
    params: dict[str, Any] = {
        "enabled": planned.enabled,
        "schedule": Jsonb(dict(planned.schedule)),
        "history_days": planned.history_days,
        "options": Jsonb(dict(planned.options)),
    }
    if planned.current is None:
        execute(tx, queries.create_stream, {**params, "connection": connection_id, "name": planned.name})
        return
    schedule = windowed(planned.schedule, planned.options)
    due = next_due(schedule, now, stream_id=planned.current.id) if planned.rescheduled else None
    execute(
        tx,
        queries.change_stream,
        {
            **params,
            "id": planned.current.id,
            "extends_history": planned.extends_history,
            "next_run_at": due,
        },
    )
