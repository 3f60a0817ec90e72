"""Is every webhook registered as it is wanted? Looked after one by one, by whichever beat comes first.

A row is claimed for some minutes and noted at the end, if nobody asked for something else meanwhile. A beat that dies in
between leaves it to the next one.
Emits: webhook_registration, webhook_registration_failed, webhook_left_behind.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from scheduler.webhooks.registering.registrar import Kept, Registrar
from scheduler.webhooks.registering.wishes import sql
from worker.errors import HeadraceError, RateLimited
from worker.services import Services
from worker.telemetry.redaction import redactor
from worker.webhooks.registering import look_again, patience

log = structlog.get_logger()

LEASE = 300.0
MOST = 100
"""Looked after in one go."""
GIVE_UP = 14
"""A removal is tried so often, over about two days."""
UNSTABLE = 3
"""Put right so often in a row, it isn't kept by the system."""


def tend_registrations(services: Services) -> None:
    """Look after all that are due."""
    for _ in range(MOST):
        row = services.database.one(sql.claim_registration, {"lease": LEASE})
        if row is None:
            return
        tend(services, row)


def tend(services: Services, row: Mapping[str, Any]) -> None:
    """Do what one row wants, and note how it went."""
    claim = {"connection": row["connection_id"], "topic": row["topic"], "claim": row["claim_no"]}
    if row["connection"] is None:  # it went without a trace: nothing is left to remove it with
        services.database.run(sql.forget_registration, claim)
        return
    try:
        registrar = Registrar(services.sender, services.registry, row)
        if row["state"] == "removing":
            registrar.remove()
            services.database.run(sql.forget_registration, claim)
            return
        noted = as_noted(registrar.keep(), row["attempts"], registrar.every, datetime.now(UTC))
        services.database.run(sql.note_registered, claim | noted)
    except RateLimited as exc:
        services.database.run(sql.note_wait, claim | {"until": exc.resume_at})
    except HeadraceError as exc:
        _failed(services, row, claim, exc)


def as_noted(kept: Kept, attempts: int, every: float, now: datetime) -> dict[str, Any]:
    """What is noted of it. What was just put right is looked at soon, and ever later if it is put right in vain. Pure."""
    webhook = kept.webhook
    noted = {"remote_id": webhook.id, "expires_at": webhook.expires_at, "state": "active", "error": None}
    if kept.act == "keep":
        return noted | {"attempts": 0, "seconds": look_again(webhook.expires_at, now, every)}
    if attempts >= UNSTABLE:
        words = f"It was put right {attempts + 1} times ({kept.act}), and the system doesn't keep it so."
        noted |= {"state": "failing", "error": words}
    return noted | {"attempts": attempts + 1, "seconds": patience(attempts)}


def _failed(services: Services, row: Mapping[str, Any], claim: dict[str, Any], exc: HeadraceError) -> None:
    words = redactor.redact(exc.message)
    about = {"connection_id": row["connection_id"], "error_code": exc.code, "error": words}
    if row["state"] == "removing" and row["attempts"] >= GIVE_UP:
        services.database.run(sql.forget_registration, claim)
        log.warning("webhook_left_behind", remote_id=row["remote_id"], **about)
        return
    failure = {"error": words, "seconds": patience(row["attempts"])}
    services.database.run(sql.note_failure, claim | failure)
    log.warning("webhook_registration_failed", **about)
