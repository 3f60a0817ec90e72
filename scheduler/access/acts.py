"""Who used which power, as the audit log has it: for whoever may know.

By what each row itself says: a connection that went to another customer leaves its past with the one who had it. Ids grow
with time, and partitions are cut by them: a look at the last week opens those of a week. Whoever sees only some tenants or
connections has the newest of each looked for by its own index, and the newest of those.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from sqlalchemy import ColumnElement, Select, Text, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from scheduler.access.principal import Principal
from scheduler.access.store import queries
from worker.db.database import Database, database_errors
from worker.db.newest import newest_of_each
from worker.db.tables.access import audit

_SHOWN = (
    "id", "at", "actor", "token_id", "environment", "tenant", "action", "target", "connection_id", "request_id", "source",
    "detail",
)  # fmt: skip


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
    tenant: str | None = None,
    of: Sequence[int] | Select[Any] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[DictRow]:
    """The newest first. `who` None: the command line. What is about no environment is for those without limits in live.

    `of`: only what is about these connections; the statement that finds them, where they are many.
    """
    actions = None if action is None else _actions(database, action)
    rows = select(*(audit.c[name] for name in _SHOWN)).order_by(audit.c.id.desc()).limit(limit)
    named = {"connection_id": connection, "actor": actor, "token_id": token, "tenant": tenant}
    for column, value in named.items():
        if value is not None:
            rows = rows.where(audit.c[column] == value)
    if since is not None:
        rows = rows.where(audit.c.at >= since, audit.c.id >= first_id(since))
    if until is not None:
        rows = rows.where(audit.c.at < until)
    if before is not None:
        rows = rows.where(audit.c.id < before)
    if isinstance(of, Select):
        rows = rows.where(audit.c.connection_id.in_(of))
    elif of is not None:
        return _newest(database, [_of_few(rows, who, actions, of)], limit)
    alone = actions is not None and all(value is None for value in named.values())
    return _newest(database, _seen(rows, who, actions, alone=alone), limit)


def _actions(database: Database, prefix: str) -> list[str]:
    return [row["action"] for row in database.all(queries.actions, {"prefix": prefix})]


def _seen(
    rows: Select[Any], who: Principal | None, actions: Sequence[str] | None, *, alone: bool
) -> list[Select[Any]]:
    """What they may know of, as statements of which each has an index. `alone`: nothing else narrows them than actions."""
    if who is not None and who.limited:
        chosen = rows if actions is None else rows.where(_one_of(actions))
        return [chosen.where(audit.c.token_id == who.token_id), _of_each(chosen, who)]
    if who is not None:
        rows = rows.where(_in_environment(who))
    if actions is None:
        return [rows]
    if alone:
        # One by one: some are by far the most, others rare, and no one plan is good for both.
        return [rows.where(audit.c.action == each) for each in actions]
    return [rows.where(_one_of(actions))]


def _of_few(
    rows: Select[Any], who: Principal | None, actions: Sequence[str] | None, of: Sequence[int]
) -> Select[Any]:
    """What they may know of, of these connections."""
    if actions is not None:
        rows = rows.where(_one_of(actions))
    if who is not None:
        rows = rows.where(_theirs(who) if who.limited else _in_environment(who))
    return newest_of_each(rows, audit.c.connection_id, of)


def _in_environment(who: Principal) -> ColumnElement[bool]:
    theirs = or_(audit.c.environment == who.environment, audit.c.token_id == who.token_id)
    return or_(theirs, audit.c.environment.is_(None)) if who.environment == "live" else theirs


def _theirs(who: Principal) -> ColumnElement[bool]:
    """What a limited one did, or what is about the tenants and connections that they see."""
    about = audit.c.environment == who.environment
    if who.tenants is not None:
        about &= audit.c.tenant == func.any(_texts(sorted(who.tenants)))
    if who.connections is not None:
        about &= audit.c.connection_id.in_(sorted(who.connections))
    return or_(audit.c.token_id == who.token_id, about)


def _one_of(actions: Sequence[str]) -> ColumnElement[bool]:
    return audit.c.action == func.any(_texts(actions))


def _of_each(rows: Select[Any], who: Principal) -> Select[Any]:
    """What is about the tenants or connections that they see."""
    rows = rows.where(audit.c.environment == who.environment)
    if who.connections is None:
        return newest_of_each(rows, audit.c.tenant, sorted(who.tenants or ()))
    if who.tenants is not None:
        rows = rows.where(audit.c.tenant == func.any(_texts(sorted(who.tenants))))
    return newest_of_each(rows, audit.c.connection_id, sorted(who.connections))


def _texts(values: Sequence[str]) -> Any:
    return cast(list(values), ARRAY(Text))


def _newest(database: Database, statements: Sequence[Select[Any]], limit: int) -> list[DictRow]:
    found: dict[UUID, DictRow] = {}
    with database_errors(), database.engine.connect() as db:
        for statement in statements:
            found |= {row["id"]: dict(row) for row in db.execute(statement).mappings()}
    rows = sorted(found.values(), key=lambda row: row["id"], reverse=True)[:limit]
    for row in rows:
        row["source"] = None if row["source"] is None else str(row["source"])
    return rows


def first_id(moment: datetime) -> UUID:
    """No id that was made since is smaller: UUIDv7 begins with the milliseconds since 1970."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
