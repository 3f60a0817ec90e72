"""Tokens as rows: who is it that shows this one?"""

from psycopg.rows import DictRow

from scheduler.access.door.sources import is_within
from scheduler.access.issuing.grants import grant_of
from scheduler.access.issuing.lifetime import warnings_of
from scheduler.access.principal import Principal
from scheduler.access.tokens import digest_of, environment_of
from worker.db.database import Database
from worker.db.queries import load_queries

queries = load_queries("scheduler.access", "access.sql")


def find_principal(database: Database, token: str, source: str | None) -> Principal | None:
    """Who shows this token from this address; None where it is no good, for whatever reason."""
    if environment_of(token) is None:
        return None
    row = database.one(queries.find_principal, {"digest": digest_of(token)})
    return None if row is None else admitted(database, row, source)


def admitted(database: Database, row: DictRow, source: str | None) -> Principal | None:
    """Who they are whose token's row this is, and that they were here; None from an address that it isn't good for."""
    grant = grant_of(row)
    if not is_within(source, grant.networks):
        return None
    if row["used"]:
        database.run(queries.note_use, {"id": row["id"], "source": source})
    return Principal(
        token_id=row["id"],
        owner=row["owner"],
        environment=grant.environment,
        scopes=grant.scopes,
        connections=grant.connections,
        tenants=grant.tenants,
        secret_prefixes=grant.secret_prefixes,
        networks=grant.networks,
        expires_at=grant.expires_at,
        warning=" ".join(warning.words for warning in warnings_of(row, row["now"])) or None,
    )
