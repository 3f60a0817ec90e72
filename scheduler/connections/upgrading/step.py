"""How does a connection go from one version of its system's manifest to another? In one transaction, or not at all.

Promises: no state is used by a version that it doesn't fit. Open runs of the streams that change end here, whose rows are
what a worker's fence looks for: one that still reads by the old version commits nothing more. A stream whose key changed
begins anew, and its records become tombstones before anything is read; one whose cursor changed begins anew with its records.
Emits: connection_upgraded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from scheduler.access.audit import Actor, note_act
from scheduler.connections.current import CurrentConnection
from scheduler.connections.current import queries as shared
from scheduler.connections.editing.edit import Editor, columns_of, read_one
from scheduler.connections.editing.rights import refuse_changed
from scheduler.connections.file.secrecy import secret_paths
from scheduler.connections.transactions import Transaction, execute, retrying
from scheduler.connections.upgrading.compare import Difference, compare
from scheduler.connections.upgrading.pinning import keep
from scheduler.connections.upgrading.refitting import erased_streams, let_go, queries
from worker.connectors.manifest.model import Manifest
from worker.connectors.registry import Edition, Registry
from worker.connectors.registry.registry import Pinned
from worker.db.database import Database
from worker.errors import InvalidInput
from worker.secrets import check_reference

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Given:
    """What the other version needs and the connection doesn't have yet."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    despite_erasures: bool = False
    """Erased records may come back under other keys."""


@dataclass(frozen=True, slots=True)
class Step:
    """One connection's way from a version to another."""

    row: CurrentConnection
    before: str
    target: Edition
    difference: Difference
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    refused: InvalidInput | None = None
    """Why it can't be done as things are."""

    @property
    def changes(self) -> bool:
        return self.before != self.target.version

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        told = self.difference
        return {
            "connection": self.row.name,
            "environment": self.row.environment,
            "system": self.row.system,
            "from": self.before,
            "to": self.target.version,
            "streams": [change.as_json() for change in told.streams],
            "words": list(told.words),
            "settings": {"lacking": list(told.lacking_settings), "dropped": list(told.needless_settings)},
            "secrets": {"lacking": list(told.lacking_secrets), "dropped": list(told.needless_secrets)},
            "refused": None
            if self.refused is None
            else {"code": self.refused.code, "words": str(self.refused)},
        }


def plan_step(
    registry: Registry, row: CurrentConnection, target: Edition, given: Given, erased: Sequence[str]
) -> Step:
    """What going to `target` would be. `erased` are the streams of which records were erased."""
    before = pinned_of(registry, row)
    settings, secrets = {**row.settings, **given.settings}, {**row.secrets, **given.secrets}
    old = before.manifest
    difference = compare(
        _as_described(old, row.settings, before),
        target.connector.manifest_of(settings),
        settings=settings,
        secrets=secrets,
        streams=[stream.name for stream in row.streams],
    )
    needless = {*difference.needless_settings} - {*given.settings}
    kept = {name: value for name, value in settings.items() if name not in needless}
    held = {name: value for name, value in secrets.items() if name not in difference.needless_secrets}
    refused = _wrong_in(given, difference, row.environment) or _refusal(
        row, target, difference, kept, may_return=given.despite_erasures, erased=erased
    )
    return Step(row, before.version, target, difference, kept, held, refused)


def pinned_of(registry: Registry, row: CurrentConnection) -> Pinned:
    """The version that the connection is read by."""
    return registry.pinned(row.system, row.manifest_version)


def take_step(
    database: Database,
    registry: Registry,
    connection_id: int,
    target: Edition,
    *,
    given: Given,
    editor: Editor,
) -> Step:
    """Go there. Harmless twice, and beside others who do the same: what is there already changes nothing.

    Raises `InvalidInput` where it can't be done, and `NotAllowed` where what is given leads a secret elsewhere that the
    editor's token isn't good for; then nothing has changed.
    """

    def work() -> Step:
        with database.transaction() as tx:
            execute(tx, shared.lock_apply)
            row = read_one(tx, connection_id, lock=True)
            before = execute(tx, queries.before_of, {"id": row.id})[0]["manifest_before"] or {}
            step = plan_step(registry, row, target, given, erased_streams(tx, row))
            if step.refused is not None:
                raise step.refused
            if step.changes:
                _refuse_beyond(editor, step, given)
                _carry_out(tx, step, before)
                _note(tx, step, editor.actor)
            return step

    step = retrying(work)
    if step.changes:
        log.info(
            "connection_upgraded", connection=step.row.name, version=step.target.version, before=step.before
        )
    return step


def _refuse_beyond(editor: Editor, step: Step, given: Given) -> None:
    """A settings' value says where secrets are sent: see `editing.rights`."""
    if editor.who is not None and (given.settings or given.secrets):
        before = columns_of(step.row)
        refuse_changed(editor.who, before, {**before, "settings": step.settings, "secrets": step.secrets})


def _as_described(old: Manifest | None, settings: Mapping[str, Any], before: Pinned) -> Manifest | None:
    """The manifest with what the connection's settings describe; without, where that can't be read any more."""
    if before.edition is None:
        return old
    try:
        return before.edition.connector.manifest_of(settings)
    except InvalidInput:
        return old


def _wrong_in(given: Given, difference: Difference, environment: str) -> InvalidInput | None:
    """What can't be given: a secret that is none of the version's, one that may not be used, or one among the settings."""
    for name, reference in given.secrets.items():
        if name in difference.needless_secrets:
            return InvalidInput(
                "unknown_secret", f"The version knows no secret {name!r}.", place=f"secrets.{name}"
            )
        try:
            check_reference(reference, environment=environment, name=name)
        except InvalidInput as exc:
            exc.place = exc.place or f"secrets.{name}"
            return exc
    for path in secret_paths(given.settings):
        name = ".".join(map(str, path))
        words = f"{name} sounds like a secret, and settings are stored as they are."
        return InvalidInput(
            "secret_in_settings", words, place=f"settings.{name}", hint="Give it as a secret, by a reference."
        )
    return None


def _refusal(
    row: CurrentConnection,
    target: Edition,
    difference: Difference,
    settings: Mapping[str, Any],
    *,
    may_return: bool,
    erased: Sequence[str],
) -> InvalidInput | None:
    where = f"Version {target.version} of {row.system}"
    if names := difference.lacking_settings:
        hint = " ".join(f"--set {name}=…" for name in names)
        return InvalidInput(
            "missing_key", f"{where} needs the setting {', '.join(names)}.", hint=f"Give it: {hint}."
        )
    if names := difference.lacking_secrets:
        hint = " ".join(f"--secret {name}=env://…" for name in names)
        return InvalidInput(
            "missing_key", f"{where} needs the secret {', '.join(names)}.", hint=f"Give it: {hint}."
        )
    try:
        target.connector.check_settings(settings)
    except InvalidInput as exc:
        return exc
    lost = [change.stream for change in difference.streams if not change.fit.key and change.stream in erased]
    if lost and not may_return:
        return InvalidInput(
            "erasures_lost",
            f"Records of {', '.join(lost)} were erased, and that is known by their old keys: under new ones they would come back.",
            hint="Go on with --despite-erasures, and erase them anew by their new keys as soon as they are there.",
        )
    return None


def _carry_out(tx: Transaction, step: Step, before: Mapping[str, Any]) -> None:
    streams = {stream.name: stream for stream in step.row.streams}
    words = f"The connection went over to version {step.target.version} of {step.row.system}; the next run goes by that."
    off = let_go(tx, step.row, step.difference.streams, words)
    if (
        before.get("version") == step.target.version
    ):  # back again: what only went for want of a manifest comes back
        for name in before.get("off", ()):
            if name in streams and name in step.target.connector.manifest_of(step.settings).streams:
                execute(tx, queries.switch_on, {"stream": streams[name].id})
    keep(tx, step.target)
    execute(
        tx,
        queries.change_version,
        {
            "id": step.row.id,
            "version": step.target.version,
            "before": Jsonb({"version": step.before, "off": off}),
            "settings": Jsonb(dict(step.settings)),
            "secrets": Jsonb(dict(step.secrets)),
        },
    )


def _note(tx: Transaction, step: Step, actor: Actor) -> None:
    row = step.row
    detail = {
        "from": step.before,
        "to": step.target.version,
        "read_again": [change.stream for change in step.difference.streams if change.anew],
    }
    about = {"id": row.id, "environment": row.environment, "tenant": row.tenant}
    note_act(tx, actor, "connection.upgrade", row.name, about=about, detail=detail)
