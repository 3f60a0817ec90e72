"""How does a browser stay logged in? With a cookie that stands for a token, is no more than it, and dies with it."""

import hashlib
import secrets
from datetime import datetime

from scheduler.access.audit import Actor, note_act
from scheduler.access.principal import Principal
from scheduler.access.store import admitted
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.telemetry.redaction import redactor

queries = load_queries("scheduler.access.door", "sessions.sql")

LASTS = 12 * 3600
IDLE = 2 * 3600
MOST = 50
"""Of one token."""


def open_session(database: Database, actor: Actor, who: Principal) -> tuple[str, datetime]:
    """The cookie's value, which is never seen again, and until when it is good."""
    value = secrets.token_urlsafe(32)
    redactor.add(value)
    with database.transaction() as tx:
        params = {"digest": digest_of_session(value), "token": who.token_id, "lasts": LASTS, "most": MOST}
        row = tx.execute(queries.open_session, params).fetchone()
        tx.execute(queries.close_oldest, params)
        note_act(tx, actor, "session.open", str(who.token_id))
    assert row is not None  # noqa: S101 - INSERT … RETURNING answers
    return value, row["expires_at"]


def find_session(database: Database, value: str, source: str | None) -> Principal | None:
    """Who is logged in with this cookie, from this address; None where it is no good, for whatever reason."""
    digest = digest_of_session(value)
    row = database.one(queries.find_session, {"digest": digest, "idle": IDLE})
    who = None if row is None else admitted(database, row, source)
    if row is not None and who is not None and row["seen"]:
        database.run(queries.see_session, {"digest": digest})
    return who


def close_session(database: Database, actor: Actor, value: str) -> None:
    """Log out. Harmless twice."""
    with database.transaction() as tx:
        row = tx.execute(queries.close_session, {"digest": digest_of_session(value)}).fetchone()
        if row is not None:
            note_act(tx, actor, "session.close", str(row["token_id"]))


def prune_sessions(database: Database, batch: int) -> int:
    """Forget a batch of those that ended; how many went."""
    return database.run(queries.prune_sessions, {"idle": IDLE, "batch": batch})


def digest_of_session(value: str) -> bytes:
    """By which it is stored and found."""
    return hashlib.sha256(b"session:" + value.encode()).digest()
