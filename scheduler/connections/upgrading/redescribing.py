"""What becomes of a connection's streams where its settings describe its system otherwise? As by another manifest's version."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scheduler.connections.plan.merge import ABSENT, same
from scheduler.connections.plan.model import Change, Kind, Plan, PlannedConnection
from scheduler.connections.transactions import Transaction
from scheduler.connections.upgrading.compare import StreamChange, compare
from scheduler.connections.upgrading.refitting import erased_streams, touches
from worker.connectors.connector import ManifestConnector
from worker.connectors.describing import DESCRIBE
from worker.connectors.manifest.model import Manifest
from worker.connectors.registry import Registry
from worker.errors import InvalidInput

WORDS = "What the connection describes of its system became another; the next run goes by that."


def with_refits(
    tx: Transaction, plan: Plan, registry: Registry, place: Callable[[PlannedConnection], str]
) -> Plan:
    """The plan with what the streams lose that are described otherwise, and a line for each of them.

    Raises `InvalidInput` where erased records would come back under other keys; `place` is where a connection describes.
    """
    connections, said = [], []
    for one in plan.connections:
        refits = tuple(_refits(one, registry))
        if refits:
            _refuse_return(tx, one, refits, place(one))
        connections.append(replace(one, refits=refits) if refits else one)
        said += [_change(one, change) for change in refits]
    return replace(plan, connections=tuple(connections), changes=(*plan.changes, *said)) if said else plan


def _refits(one: PlannedConnection, registry: Registry) -> Iterator[StreamChange]:
    row = one.current
    after = one.fields.get(("settings", DESCRIBE), ABSENT)
    if row is None or same(row.settings.get(DESCRIBE, ABSENT), after):
        return
    connector = registry.get(row.system, row.manifest_version)
    if not isinstance(connector, ManifestConnector) or not connector.open:
        return
    settings = {} if after is ABSENT else {DESCRIBE: after}
    names = [stream.name for stream in row.streams]
    found = compare(
        _before(connector, row.settings),
        connector.manifest_of(settings),
        settings=row.settings,
        secrets=row.secrets,
        streams=names,
    )
    yield from (change for change in found.of("changed") if change.stream in names and touches(change))


def _before(connector: ManifestConnector, settings: Mapping[str, Any]) -> Manifest | None:
    """None where what was described can't be read any more: then nothing that is kept can be relied on."""
    try:
        return connector.manifest_of(settings)
    except InvalidInput:
        return None


def _refuse_return(
    tx: Transaction, one: PlannedConnection, refits: Sequence[StreamChange], place: str
) -> None:
    assert one.current is not None  # noqa: S101 - or nothing is described otherwise
    rekeyed = {change.stream for change in refits if not change.fit.key}
    if rekeyed and (lost := rekeyed & {*erased_streams(tx, one.current)}):
        raise InvalidInput(
            "erasures_lost",
            f"Records of {', '.join(sorted(lost))} were erased, and that is known by their old keys: under new ones they would"
            " come back.",
            place=place,
            hint="Describe it as a stream of another name, and erase them there by their new keys.",
        )


def _change(one: PlannedConnection, change: StreamChange) -> Change:
    kind: Kind = "re-fetched" if change.anew else "changed"
    note = " ".join(change.words)
    return Change(kind, one.environment, str(one.fields["name",]), change.stream, note=note)
