"""How long until a run begins, and until an account may have sent what it needs? For those who are given a database alone."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from scheduler.connections.systems import source_of
from worker.config import Settings
from worker.connectors.contract import Limits
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.engine.history.forecast import Wait, at_rate
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
    """Those of the connection's runs that are still queued. `connection` is its row."""
    found = places(database, runs)
    if not found:
        return {}
    budgets = _budgets(database, settings)
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
        limits = source_of(registry, connection).limits
        call = Call(str(connection["id"]))
        seconds = budgets.estimate(place.account, limits, place.earlier + 1, call=call)
    except HeadraceError:
        return 0.0
    return seconds if seconds != float("inf") else 0.0


@contextmanager
def allowances(
    database: Database, settings: Settings, registry: Registry, connection: Mapping[str, Any]
) -> Iterator[Wait]:
    """How long until the connection's account may have sent so many requests; None where nobody can say.

    By what is known of the account now; where Valkey can't be asked, by its limits alone.
    """
    try:
        limits = source_of(registry, connection).limits
        budgets = _budgets(database, settings)
    except HeadraceError:
        yield lambda _: None
        return
    account = _account(database, connection["id"])
    try:
        yield lambda requests: _wait(budgets, account, limits, str(connection["id"]), requests)
    finally:
        budgets.close()


def _wait(budgets: Budgets, account: str, limits: Limits, connection: str, requests: int) -> float | None:
    try:
        seconds = budgets.estimate(account, limits, requests, call=Call(connection))
    except HeadraceError:
        return at_rate(limits, requests)
    return at_rate(limits, requests) if seconds == float("inf") else seconds


def _account(database: Database, connection: int) -> str:
    row = database.one(
        "SELECT headrace_account(c) AS account FROM connections c WHERE c.id = %(id)s", {"id": connection}
    )
    return "" if row is None else str(row["account"])


def _budgets(database: Database, settings: Settings) -> Budgets:
    return Budgets(
        settings.require_broker_url(), short_wait=settings.short_wait, quotas=StoredQuotas(database)
    )
