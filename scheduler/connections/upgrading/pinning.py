"""By which version does a connection read its system? By the one that it was made with, until somebody upgrades it.

A connection without a pin is one that an older Headrace has made: it is pinned to what it runs with. A folder of somebody's
own is followed while its release stays the same and what is kept of the streams still fits. What connections are pinned to
is kept with its texts, so a pin outlives the file.
"""

from collections.abc import Sequence

from scheduler.connections.transactions import Transaction, execute
from worker.connectors.registry import Edition, Registry
from worker.db.database import Database
from worker.db.manifests import manifest_row
from worker.db.queries import sql
from worker.errors import HeadraceError


def pin_new(tx: Transaction, registry: Registry, systems: Sequence[str]) -> None:
    """Pin connections that are made in this transaction, and keep what they are pinned to."""
    for system in sorted(set(systems)):
        _pin(tx, registry.edition(system), followed=[])


def tend_pins(database: Database, registry: Registry) -> int:
    """Pin what isn't pinned, and let the pins of people's own folders go along with them; how many connections that are."""
    changed = 0
    used = {row["system"] for row in database.all(sql.systems_of_connections)}
    for edition in registry.editions():
        if edition.system not in used:
            continue
        rows = database.all(sql.pins_of_system, {"system": edition.system})
        pins = {row["version"] for row in rows}
        followed = [pin for pin in pins if pin is not None and _follows(registry, edition, pin)]
        if not (followed or None in pins or edition.version in pins):
            continue
        with database.transaction() as tx:
            changed += _pin(tx, edition, followed=followed)
    return changed


def keep(tx: Transaction, edition: Edition) -> None:
    """Keep the texts of a version, so that it can be used when its files are gone."""
    kept = edition.kept
    execute(tx, sql.keep_manifest, manifest_row(kept.system, kept.version, kept.digest, kept.files))


def _pin(tx: Transaction, edition: Edition, *, followed: Sequence[str]) -> int:
    keep(tx, edition)
    row = {"system": edition.system, "version": edition.version, "followed": list(followed)}
    return tx.execute(sql.pin_connections, row).rowcount


def _follows(registry: Registry, current: Edition, pin: str) -> bool:
    if pin == current.version:
        return False
    try:
        return registry.edition(current.system, pin) is current
    except HeadraceError:
        return False
