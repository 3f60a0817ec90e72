"""How is a token made, replaced and ended? Each with its line in the audit log, in one transaction.

Promises: nobody hands out more than they have, also not by replacing a token that allows more than theirs; what is ended
makes nothing more, however close the two come; a token is replaced once. Does not promise that what a token made ends
with it: `with_made` ends that too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from scheduler.access.allowed import NotAllowed
from scheduler.access.audit import Actor, note_act
from scheduler.access.issuing.grants import Grant, grant_of, refuse_excess
from scheduler.access.issuing.lifetime import state_of
from scheduler.access.issuing.reading import queries, read_token
from scheduler.access.principal import Principal, Scope
from scheduler.access.tokens import digest_of, make_token
from worker.db.database import Database
from worker.errors import InvalidInput
from worker.telemetry.redaction import redactor

OVERLAP = 24 * 3600.0
LONGEST_OVERLAP = 30 * 24 * 3600.0

Transaction = psycopg.Connection[DictRow]


class NotValid(InvalidInput):
    """The token has ended, or was replaced already. Answered 409."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token: what is known of it, and itself, which is never seen again."""

    row: DictRow
    token: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """`changed` is False where it was revoked already. `made` are those that ended with it."""

    row: DictRow
    changed: bool
    made: Sequence[DictRow]
    warnings: Sequence[str]


def issue(
    database: Database, actor: Actor, maker: Principal | None, *, name: str, owner: str, grant: Grant
) -> Issued:
    """Make a token. `maker` None: the command line."""
    refuse_excess(maker, grant)
    with database.transaction() as tx:
        if maker is not None and tx.execute(queries.hold_maker, {"maker": maker.token_id}).fetchone() is None:
            raise _ended()
        made, token = _insert(tx, name, owner, grant, maker)
        detail = {"owner": owner, **_told(grant)}
        note_act(tx, actor, "token.create", _target(name, made), about=_about(grant), detail=detail)
    return Issued(read_token(database, made, maker), token)


def rotate(
    database: Database,
    actor: Actor,
    maker: Principal | None,
    token_id: UUID,
    *,
    overlap: float = OVERLAP,
    expires_at: datetime | None = None,
) -> Issued:
    """Replace a token by a fresh one that allows the same; the old one is good for `overlap` seconds more.

    `expires_at` is of the new one; None: as the old one would have ended. Raises `NotValid` where there is nothing to
    replace any more, and `NotFound`.
    """
    with database.transaction() as tx:
        old = _held(database, tx, maker, token_id)
        state = state_of(old, old["now"])
        if state != "valid":
            raise _not_valid(old, state)
        grant = grant_of(old)
        if expires_at is not None:
            grant = replace(grant, expires_at=expires_at)
        refuse_excess(maker, grant)
        made, token = _insert(tx, old["name"], old["owner"], grant, maker)
        tx.execute(queries.replace_token, {"id": token_id, "successor": made, "overlap": overlap})
        detail = {"replaced_by": str(made), "overlap": overlap}
        note_act(
            tx, actor, "token.rotate", _target(old["name"], token_id), about=_about(grant), detail=detail
        )
    return Issued(read_token(database, made, maker), token)


def revoke(
    database: Database, actor: Actor, maker: Principal | None, token_id: UUID, *, with_made: bool = False
) -> Revoked:
    """End a token with the next request, and if asked so all that it made. Harmless twice. Raises `NotFound`."""
    with database.transaction() as tx:
        old = _held(database, tx, maker, token_id)
        changed = tx.execute(queries.revoke_token, {"id": token_id}).fetchone() is not None
        made = _revoke_made(tx, token_id) if with_made else []
        if changed or made:
            detail = {"made": [str(row["id"]) for row in made]} if made else {}
            target = _target(old["name"], token_id)
            note_act(
                tx, actor, "token.revoke", target, about={"environment": old["environment"]}, detail=detail
            )
        left = tx.execute(queries.admins_left, {"environment": old["environment"]}).fetchone()
    return Revoked(
        read_token(database, token_id, maker),
        changed,
        made,
        _warnings(old, made, any_left=bool(left and left["any"])),
    )


def _held(database: Database, tx: Transaction, maker: Principal | None, token_id: UUID) -> DictRow:
    """The token's row, as it is under its lock. Whoever asks must still have theirs, and know of it."""
    read_token(database, token_id, maker)
    ids = {token_id} if maker is None else {token_id, maker.token_id}
    held = tx.execute(queries.hold_both, {"ids": sorted(ids)}).fetchall()
    if maker is not None and not any(row["id"] == maker.token_id and row["valid"] for row in held):
        raise _ended()
    return read_token(tx, token_id, maker)


def _insert(
    tx: Transaction, name: str, owner: str, grant: Grant, maker: Principal | None
) -> tuple[UUID, str]:
    token = make_token(grant.environment)
    redactor.add(token)
    row = tx.execute(
        queries.insert_token,
        {
            "name": name,
            "owner": owner,
            "digest": digest_of(token),
            "ending": token[-4:],
            "created_by": None if maker is None else maker.token_id,
            **_columns(grant),
        },
    ).fetchone()
    assert row is not None  # noqa: S101 - INSERT … RETURNING answers
    return row["id"], token


def _columns(grant: Grant) -> dict[str, Any]:
    return {
        "environment": grant.environment,
        "scopes": [str(scope) for scope in Scope if scope in grant.scopes],
        "connections": None if grant.connections is None else sorted(grant.connections),
        "tenants": None if grant.tenants is None else sorted(grant.tenants),
        "networks": None if grant.networks is None else list(grant.networks),
        "secret_prefixes": None if grant.secret_prefixes is None else list(grant.secret_prefixes),
        "expires_at": grant.expires_at,
    }


def _told(grant: Grant) -> dict[str, Any]:
    """For the audit log: what is limited, and how."""
    found = {name: value for name, value in _columns(grant).items() if value is not None}
    if grant.expires_at is not None:
        found["expires_at"] = grant.expires_at.isoformat()
    return found


def _revoke_made(tx: Transaction, token_id: UUID) -> list[DictRow]:
    made: list[DictRow] = []
    known = {token_id}
    while more := tx.execute(queries.revoke_made, {"ids": sorted(known)}).fetchall():
        made += more
        known |= {row["id"] for row in more}
    return made


def _warnings(old: DictRow, made: Sequence[DictRow], *, any_left: bool) -> list[str]:
    found = []
    if not any_left:
        found.append(
            f"No {old['environment']} admin token without limits is left:"
            f" make one with `headrace token create NAME --scope admin --environment {old['environment']}`."
        )
    if old["successor"] is not None and old["successor"] not in {row["id"] for row in made}:
        found.append(f"It had been replaced: {old['successor']}, which replaced it, is not revoked with it.")
    return found


def _about(grant: Grant) -> dict[str, Any]:
    return {"environment": grant.environment}


def _target(name: str, token_id: UUID) -> str:
    return f"{name} ({token_id})"


def _ended() -> NotAllowed:
    return NotAllowed("token_ended", "Your own token was ended while you asked for this.")


def _not_valid(old: DictRow, state: str) -> NotValid:
    hint = f"It was replaced by {old['successor']}." if old["successor"] else "Make a new one instead."
    return NotValid(f"token_{state}", f"This token can't be replaced: it is {state} already.", hint=hint)
