"""Which systems does this installation know, and what may their accounts send? For those who are given a database alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from worker.config import Settings, load_settings
from worker.connectors.contract import Limits, Source
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.engine.history.forecast import Wait, at_rate
from worker.errors import HeadraceError
from worker.limits.budget import Budgets
from worker.limits.policy import Call
from worker.limits.quotas.stored import StoredQuotas


@lru_cache(maxsize=1)
def known_systems() -> Registry:
    """All systems, read once a process."""
    return Registry.load(load_settings().connectors)


def source_of(registry: Registry, connection: Mapping[str, Any]) -> Source:
    """The system of a connection, a row of `lists`, bound to its settings."""
    return registry.get(connection["system"]).bind(connection["settings"])


@contextmanager
def allowances(
    database: Database, settings: Settings, registry: Registry, connection: Mapping[str, Any]
) -> Iterator[Wait]:
    """How long until the connection's account may have sent so many requests; None where nobody can say.

    By what is known of the account now; where Valkey can't be asked, by its limits alone.
    """
    try:
        limits = source_of(registry, connection).limits
        budgets = Budgets(
            settings.require_broker_url(), short_wait=settings.short_wait, quotas=StoredQuotas(database)
        )
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
