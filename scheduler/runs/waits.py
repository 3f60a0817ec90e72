"""How long until runs that were just asked for begin? By their place in the queue, and by what their account may send."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from worker.config import Settings
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.errors import HeadraceError
from worker.limits.budget import Budgets
from worker.limits.policy import Call
from worker.limits.quotas.stored import StoredQuotas
from worker.runs.estimate import Estimate, Place, estimate, places


def waits_of(
    database: Database,
    settings: Settings,
    registry: Registry,
    connection: Mapping[str, Any],
    runs: Sequence[UUID],
) -> dict[UUID, Estimate]:
    """Those of the connection's runs that are still queued. The connection is a row of `lists`."""
    found = places(database, runs)
    if not found:
        return {}
    budgets = Budgets(
        settings.require_broker_url(), short_wait=settings.short_wait, quotas=StoredQuotas(database)
    )
    try:
        return {
            run: estimate(place, limit=_until_it_may_send(budgets, registry, connection, place))
            for run, place in found.items()
        }
    finally:
        budgets.close()


def _until_it_may_send(
    budgets: Budgets, registry: Registry, connection: Mapping[str, Any], place: Place
) -> float:
    """At least a request for each of its own runs that come first. 0 where nobody can say: it's an estimate."""
    try:
        limits = registry.get(connection["system"]).bind(connection["settings"]).limits
        call = Call(str(connection["id"]))
        seconds = budgets.estimate(place.account, limits, place.earlier + 1, call=call)
    except HeadraceError:
        return 0.0
    return seconds if seconds != float("inf") else 0.0
