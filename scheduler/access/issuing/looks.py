"""Do tokens want looking after? For `headrace doctor`."""

from psycopg.rows import DictRow

from scheduler.access.issuing.grants import grant_of
from scheduler.access.issuing.lifetime import warnings_of
from scheduler.access.issuing.reading import list_tokens
from scheduler.access.principal import Scope
from scheduler.health.looks import Finding
from worker.db.database import Database

MOST = 1000


def look_at_tokens(database: Database) -> list[Finding]:
    """Who should rotate theirs, and can somebody still make new ones?"""
    rows = list_tokens(database, None, limit=MOST)
    findings = []
    if not any(_is_whole_admin(row) for row in rows):
        hint = "`headrace token create NAME --scope admin` makes one."
        findings.append(Finding("tokens", "warn", "nobody has an admin token of live without limits", hint))
    for row in rows:
        for warning in warnings_of(row, row["now"]):
            if warning.code != "replaced":
                words = f"{row['name']} ({row['owner']}): {warning.words}"
                hint = f"`headrace token rotate {row['id']}`, and give its owner the fresh one."
                findings.append(Finding("tokens", "warn", words, hint))
    return findings or [Finding("tokens", "ok", f"{len(rows)} are good")]


def _is_whole_admin(row: DictRow) -> bool:
    grant = grant_of(row)
    limited = grant.connections is not None or grant.tenants is not None
    return grant.environment == "live" and Scope.ADMIN in grant.scopes and not limited
