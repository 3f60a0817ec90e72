"""Who used which power, as the audit log has it: for whoever may know."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from scheduler.access.principal import EVERYTHING, Principal
from scheduler.access.store import queries
from worker.db.database import Database

_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)


def list_acts(
    database: Database,
    who: Principal | None,
    *,
    limit: int,
    before: UUID | None = None,
    connection: int | None = None,
    action: str | None = None,
    actor: str | None = None,
    token: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[DictRow]:
    """The newest first. `who` None: the command line. What is about no environment is for those without limits in live."""
    whole = who is None or (who.environment == "live" and not who.limited)
    params: dict[str, Any] = {
        **(EVERYTHING if who is None else who.view),
        "whole": whole,
        "self": None if who is None else who.token_id,
        "limit": limit,
        "before": before or _LAST,
        "first": _FIRST if since is None else first_id(since),
        "connection": connection,
        "action": action,
        "actor": actor,
        "token": token,
        "since": since,
        "until": until,
    }
    rows = database.all(queries.list_acts, params)
    for row in rows:
        row["source"] = None if row["source"] is None else str(row["source"])
    return rows


def first_id(moment: datetime) -> UUID:
    """No id that was made since is smaller: UUIDv7 begins with the milliseconds since 1970."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
