"""One connection is made, or becomes another. One transaction, with its line in the audit log.

Promises: nothing gets onto the rows that a file couldn't bring there, and nobody goes beyond their token: see `rights`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scheduler.access.allowed import NotAllowed
from scheduler.access.audit import Actor, note_act
from scheduler.access.principal import Principal
from scheduler.connections.apply import carry_out, words_of
from scheduler.connections.current import CurrentConnection, CurrentStream
from scheduler.connections.current import queries as shared
from scheduler.connections.editing.body import NAME, Body, body_of, mistaken
from scheduler.connections.editing.entry import entry_of, patched
from scheduler.connections.editing.rights import defaults_of, not_yours, refuse_changed, refuse_new
from scheduler.connections.file.desired import DesiredConnection, Problems
from scheduler.connections.file.reading import read_entry
from scheduler.connections.plan import Change, Plan, plan_change, plan_creation
from scheduler.connections.plan.compare import COLUMNS, GROUPS
from scheduler.connections.plan.merge import unflatten
from scheduler.connections.plan.model import PlannedConnection
from scheduler.connections.systems import stream_names_of
from scheduler.connections.transactions import Transaction, execute, retrying
from scheduler.connections.upgrading.pinning import pin_new
from scheduler.connections.upgrading.redescribing import with_refits
from worker.connectors.describing import DESCRIBE
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import InvalidInput, NotFound

queries = load_queries("scheduler.connections.editing", "editing.sql")


@dataclass(frozen=True, slots=True)
class Editor:
    """Who edits. Without a principal it is whoever has the database anyway."""

    actor: Actor
    who: Principal | None = None


Also = Callable[[Transaction, int], None]
"""What is done in the same transaction, for the connection of this number."""

Look = Callable[[CurrentConnection], None]
"""Looks at what is there, under the lock of the change, and may refuse it by raising."""


def create_connection(
    database: Database,
    registry: Registry,
    body: Body,
    editor: Editor,
    *,
    also: Also = lambda _tx, _id: None,
) -> int:
    """Make the connection that a body describes; its number. Raises `Mistaken` and `NotAllowed`."""
    defaults = defaults_of(editor.who) if editor.who else {}
    wanted = _read({**defaults, **body.data}, registry)
    planned, changes = plan_creation(wanted)
    planned = replace(planned, applied=None)
    if editor.who is not None:
        refuse_new(editor.who, _becomes(planned))

    def work() -> int:
        with database.transaction() as tx:
            created = _write(tx, planned, changes, editor)
            pin_new(tx, registry, [planned.system])
            also(tx, created)
            about = {"id": created, "environment": planned.environment, "tenant": wanted.tenant}
            detail = {"system": planned.system, "secrets": sorted(wanted.secrets)}
            note_act(tx, editor.actor, "connection.create", wanted.name, about=about, detail=detail)
            return created

    return retrying(work)


def change_connection(
    database: Database,
    registry: Registry,
    connection_id: int,
    patch: Mapping[str, Any],
    editor: Editor,
    *,
    look: Look = lambda _: None,
    also: Also = lambda _tx, _id: None,
) -> Sequence[Change]:
    """Let the connection become what a merge patch says; what changed. Raises as `create_connection` does."""

    def work() -> Sequence[Change]:
        with database.transaction() as tx:
            execute(tx, shared.lock_apply)
            row = read_one(tx, connection_id, lock=True)
            if editor.who is not None and not editor.who.sees({**columns_of(row), "id": row.id}):
                raise gone(connection_id)
            look(row)
            planned, changes = _refitted(tx, *_planned(row, patch, registry), registry)
            if editor.who is not None:
                refuse_changed(editor.who, columns_of(row), _becomes(planned))
            _write(tx, planned, changes, editor)
            also(tx, row.id)
            _after(tx, planned, changes, patch, editor)
            return changes

    return retrying(work)


def read_one(tx: Transaction, connection_id: int, *, lock: bool = False) -> CurrentConnection:
    """The connection's row with its streams, or `NotFound`."""
    found = execute(tx, queries.lock_one if lock else queries.read_one, {"id": connection_id})
    if not found:
        raise gone(connection_id)
    streams = execute(tx, queries.read_streams_of, {"id": connection_id})
    for stream in streams:
        del stream["connection_id"]
    return CurrentConnection(**found[0], streams=[CurrentStream(**stream) for stream in streams])


def gone(connection_id: int) -> NotFound:
    """What is said of a connection that isn't there, or not for whoever asks."""
    return NotFound("unknown_connection", f"There is no connection {str(connection_id)!r}.")


def known_streams(registry: Registry, row: CurrentConnection) -> Sequence[str]:
    """The streams that it has now; those of its rows where its system can't say, as one that isn't installed any more."""
    found = stream_names_of(registry, row.system, row.settings, row.manifest_version)
    return [stream.name for stream in row.streams] if found is None else found


def _read(data: Mapping[str, Any], registry: Registry, pin: str | None = None) -> DesiredConnection:
    try:
        return read_entry(body_of(data), registry, pin)
    except Problems as found:
        raise mistaken(found) from None


def _planned(
    row: CurrentConnection, patch: Mapping[str, Any], registry: Registry
) -> tuple[PlannedConnection, Sequence[Change]]:
    for fixed in ("system", "environment"):
        if fixed in patch and patch[fixed] != getattr(row, fixed):
            raise InvalidInput(
                f"{fixed}_changed",
                f"The {fixed} of a connection can't change.",
                place=f"body.{fixed}",
                hint="Make another connection.",
            )
    describes = "settings" in patch and (DESCRIBE in row.settings or _says(patch, DESCRIBE))
    known = _still_known(row, patch, registry) if describes else known_streams(registry, row)
    entry = patched(entry_of(row, known), patch)
    planned, changes = plan_change(_read(entry, registry, row.manifest_version), row, overwrite=True)
    streams = planned.streams
    if row.file_id is not None and not describes:  # what its system gained or lost is for the file to say
        mine = set(entry["streams"]) & {stream.name for stream in row.streams}
        streams = [stream for stream in streams if stream.name in mine]
        changes = [change for change in changes if change.stream is None or change.stream in mine]
    return replace(planned, file_id=row.file_id, applied=row.applied, streams=streams), changes


def _says(patch: Mapping[str, Any], name: str) -> bool:
    settings = patch["settings"]
    return isinstance(settings, Mapping) and name in settings


def _still_known(row: CurrentConnection, patch: Mapping[str, Any], registry: Registry) -> Collection[str]:
    """Of the streams that it has, those that it has when it describes its system as the patch says."""
    before = known_streams(registry, row)
    settings = patched({"settings": row.settings, "streams": {}}, {"settings": patch["settings"]})["settings"]
    after = stream_names_of(registry, row.system, settings, row.manifest_version)
    return before if after is None else [name for name in before if name in after]


def _refitted(
    tx: Transaction, planned: PlannedConnection, changes: Sequence[Change], registry: Registry
) -> tuple[PlannedConnection, Sequence[Change]]:
    """With what becomes of streams that it describes otherwise."""
    plan = Plan("", tuple(changes), (), (planned,), ())
    plan = with_refits(tx, plan, registry, lambda _: f"{NAME}.settings.{DESCRIBE}")
    return plan.connections[0], plan.changes


def _write(tx: Transaction, planned: PlannedConnection, changes: Sequence[Change], editor: Editor) -> int:
    now = execute(tx, shared.lock_apply)[0]["now"]
    at = 0 if planned.current is None else planned.current.id
    for kind in ("name", "budget"):
        word = planned.fields.get((kind,))
        if planned.current is None or getattr(planned.current, kind) != word:
            refuse_another_tenants(tx, editor.who, planned.fields["tenant",], kind, word)
    refuse_taken(tx, planned.environment, planned.fields["name",], at)
    _refuse_budget(tx, planned, editor)
    [written] = carry_out(tx, Plan("", tuple(changes), (), (planned,), ()), now)
    return written


def refuse_another_tenants(
    tx: Transaction, who: Principal | None, tenant: str | None, kind: str, word: str | None
) -> None:
    """Raise where what somebody limited to `acme` wants begins with `acme-north`, and that is a tenant whom they don't see."""
    if who is None or who.tenants is None or tenant is None or word is None:
        return
    if execute(tx, queries.named_after_another, {"word": word, "tenant": tenant, "tenants": [*who.tenants]}):
        raise not_yours(who, kind, tenant)


def refuse_taken(tx: Transaction, environment: str, name: str, of: int = 0) -> None:
    """Raise where another connection than `of` has the name."""
    if execute(tx, queries.name_taken, {"environment": environment, "name": name, "id": of}):
        raise InvalidInput(
            "name_taken",
            f"The name {name!r} belongs to another connection.",
            place="body.name",
            hint="Choose another name.",
        )


def _refuse_budget(tx: Transaction, planned: PlannedConnection, editor: Editor) -> None:
    budget, current = planned.fields.get(("budget",)), planned.current
    if editor.who is None or budget is None or (current is not None and current.budget == budget):
        return
    shared_with = {"system": planned.system, "budget": budget, **editor.who.view}
    if editor.who.limited and execute(tx, queries.budget_of_others, shared_with):
        raise NotAllowed(
            "budget_not_yours",
            "Your token may not join this budget.",
            place="body.budget",
            hint="Choose another, or leave it out for a budget of its own.",
        )


def _after(
    tx: Transaction,
    planned: PlannedConnection,
    changes: Sequence[Change],
    patch: Mapping[str, Any],
    editor: Editor,
) -> None:
    row = planned.current
    assert row is not None  # noqa: S101 - it is a change
    if "secrets" in patch:
        execute(tx, queries.reconnect, {"id": row.id})
    if not changes:
        return
    if not planned.changed:
        execute(tx, queries.touch, {"id": row.id})
    about = {"id": row.id, "environment": row.environment, "tenant": planned.fields["tenant",]}
    note_act(
        tx, editor.actor, "connection.change", row.name, about=about, detail={"changed": words_of(changes)}
    )


def columns_of(row: CurrentConnection) -> dict[str, Any]:
    """What `rights` looks at."""
    return {name: getattr(row, name) for name in ("environment", "system", *COLUMNS)}


def _becomes(planned: PlannedConnection) -> dict[str, Any]:
    columns = unflatten(planned.fields, groups=GROUPS)
    return {"environment": planned.environment, "system": planned.system, **columns}
