"""What would going to another version be, for each of some connections, and what would it cost to read again?"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from scheduler.connections.current import CurrentConnection
from scheduler.connections.editing.edit import read_one
from scheduler.connections.upgrading.refitting import erased_streams, queries
from scheduler.connections.upgrading.step import Given, Step, plan_step
from scheduler.connections.view import EVERYTHING
from worker.config import Settings
from worker.connectors.contract import Source
from worker.connectors.registry import Edition, Registry
from worker.connectors.registry.registry import newest
from worker.db.database import Database
from worker.db.queries import sql
from worker.engine.history.forecast import Forecast
from worker.errors import HeadraceError, InvalidInput


@dataclass(frozen=True, slots=True)
class Planned:
    """One connection's step, with what its streams cost that are read again."""

    step: Step
    costs: Mapping[str, Forecast] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    """Records in the copy of the streams that are read again."""


def chosen(
    database: Database, *, system: str | None = None, view: Mapping[str, Any] = EVERYTHING
) -> list[Mapping[str, Any]]:
    """The connections of a system, or with labels: `view` says what whoever asks sees."""
    return list(database.all(queries.connections_to_upgrade, {**EVERYTHING, **view, "system": system}))


def target_of(registry: Registry, row: Mapping[str, Any], to: str | None) -> Edition:
    """The version to go to: this one, or the one that new connections get."""
    return registry.edition(row["system"]) if to is None else registry.exact(row["system"], to)


def before_of(registry: Registry, row: Mapping[str, Any]) -> Edition:
    """The version that a connection had before its last step. Raises `InvalidInput` where there was none."""
    before = row["manifest_before"]
    if before is None:
        raise InvalidInput(
            "never_upgraded",
            f"{row['name']} has been in one version only: {row['manifest_version'] or 'the current one'}.",
            hint="`headrace connectors upgrade --to VERSION` goes to any version that is kept.",
        )
    return registry.exact(row["system"], before["version"])


def plan(
    database: Database,
    settings: Settings,
    registry: Registry,
    row: Mapping[str, Any],
    target: Edition,
    *,
    given: Given,
) -> Planned:
    """What the step would be. Nothing is changed."""
    with database.transaction() as tx:
        current = read_one(tx, row["id"])
        step = plan_step(registry, current, target, given, erased_streams(tx, current))
    anew = {change.stream for change in step.difference.streams if change.anew}
    bind = partial(step.target.connector.bind, step.settings)
    costs = costs_of(database, settings, registry, current, anew=anew, bind=bind)
    streams = {stream.name: stream for stream in current.streams}
    held = {name: _held(database, streams[name]) for name in sorted(anew) if name in streams}
    return Planned(step, costs, held)


def costs_of(
    database: Database,
    settings: Settings,
    registry: Registry,
    row: CurrentConnection,
    *,
    anew: Collection[str],
    bind: Callable[[], Source],
) -> dict[str, Forecast]:
    """Of the streams that are read again: by what the copy holds, what their last runs took, and what the account may send.

    `bind` gives what they are read by then; what is wrong with that is told as the reason why it can't be done.
    """
    from scheduler.runs.resync import Scope, forecast_of  # noqa: PLC0415 - brings Celery
    from scheduler.runs.waits import allowances  # noqa: PLC0415

    streams = [each for each in row.streams if each.name in anew]
    if not streams:
        return {}
    try:
        source = bind()
    except HeadraceError:
        return {}
    with allowances(database, settings, registry, _as_row(row)) as wait:
        return {
            each.name: forecast_of(
                database, {"id": each.id, "bucket": each.bucket}, source.stream(each.name), Scope(), wait
            )
            for each in streams
        }


def _as_row(row: CurrentConnection) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "system": row.system,
        "manifest_version": row.manifest_version,
        "settings": row.settings,
    }


def _held(database: Database, stream: Any) -> int:
    found = database.one(queries.records_of_stream, {"bucket": stream.bucket, "stream": stream.id})
    return 0 if found is None else int(found["records"])


def versions_of(
    database: Database, registry: Registry, system: str, view: Mapping[str, Any] = EVERYTHING
) -> list[Mapping[str, Any]]:
    """The versions of a system that are kept, or are current, from the newest to the oldest. Raises `NotFound`."""
    kept = {row["version"]: row["seen_at"] for row in database.all(sql.versions_kept, {"system": system})}
    pins = [row["manifest_version"] for row in chosen(database, system=system, view=view)]
    try:
        current: str | None = registry.edition(system).version
    except InvalidInput:
        if not kept:
            raise
        current = None
    known = {*kept, *(pin for pin in pins if pin is not None), *([] if current is None else [current])}
    return [
        {
            "version": version,
            "current": version == current,
            "connections": pins.count(version) + (pins.count(None) if version == current else 0),
            "seen_at": kept.get(version),
        }
        for version in newest(known)
    ]


def in_use(database: Database, registry: Registry) -> Sequence[Mapping[str, Any]]:
    """Every system with connections or a manifest: what is current, which versions are in use, how many are behind."""
    used: dict[str, dict[str, int]] = {}
    for row in database.all(queries.versions_in_use):
        used.setdefault(row["system"], {})[row["version"]] = row["connections"]
    return [_of(registry, system, used.get(system, {})) for system in sorted({*used, *registry.named()})]


def _of(registry: Registry, system: str, versions: Mapping[str, int]) -> Mapping[str, Any]:
    try:
        current: str | None = registry.edition(system).version
        problem = None
    except InvalidInput as exc:
        current, problem = None, str(exc)
    behind = 0
    for version, count in versions.items():
        if version and registry.pinned(system, version).version != current:
            behind += count
    return {
        "system": system,
        "current": current,
        "versions": {version or current or "?": count for version, count in versions.items()},
        "connections": sum(versions.values()),
        "behind": behind,
        "problem": problem,
    }
