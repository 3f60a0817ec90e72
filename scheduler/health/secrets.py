"""Are secrets where their references lead, can workers reach them, and who may point a connection at which?

For `headrace doctor`. No byte of a secret is shown.
"""

from collections.abc import Iterable, Iterator

from psycopg.rows import DictRow

from scheduler.access.issuing.grants import grant_of
from scheduler.access.issuing.reading import list_tokens
from scheduler.access.principal import Scope
from scheduler.health.looks import Finding, sql
from scheduler.health.references import connection_references
from worker.config import Settings
from worker.db.database import Database
from worker.errors import HeadraceError
from worker.parsing.durations import format_duration
from worker.secrets import StoreUnavailable, allowed_prefixes, open_secret

MOST_TOKENS = 1000
SHOWN = 3
FIRST = ("bootstrap", "operator")
"""Name and owner of the tokens that were there first: they lie where only whoever runs Headrace can read them."""


def look_at_secrets(database: Database) -> Iterator[Finding]:
    """Opened here and forgotten. A worker may have another environment, so it is a warning and no more."""
    broken, away = False, set[str]()
    for row in database.all(sql.secret_references):
        for name, reference in connection_references(row):
            try:
                open_secret(reference, environment=row["environment"])
            except StoreUnavailable as exc:
                broken = True
                if exc.store not in away:  # it is one finding, however many references it holds
                    away.add(exc.store)
                    held = (
                        "Workers go on with what they hold of it, for as long as HEADRACE_SECRET_KEEP says."
                    )
                    yield Finding("secrets", "warn", exc.message, held)
            except HeadraceError as exc:
                broken = True
                words = f"{row['name']}: {name} can't be opened here: {exc.message}"
                yield Finding("secrets", "warn", words, exc.hint)
    if not broken:
        yield Finding("secrets", "ok", "every reference can be opened here")


def look_at_troubles(alive: Iterable[DictRow], settings: Settings) -> Iterator[Finding]:
    """What processes say of the secrets that they use: each trouble once, with who has it."""
    names: dict[tuple[str, str], list[str]] = {}
    words: dict[tuple[str, str], str] = {}
    for row in alive:
        for trouble in row["troubles"]:
            known = trouble.get("code", ""), trouble.get("what", "")
            names.setdefault(known, []).append(row["name"])
            words[known] = trouble.get("why", "")
    for (code, what), who in names.items():
        if code == "replaced_secret_unwritten":
            yield Finding(
                "secrets",
                "fail",
                f"{_few(who)} has the only copy of what a system gave instead of the secret at {what}: its store can't be written.",
                "Let it be written again, and don't kill that process before: it tries every few seconds, and when it is stopped.",
            )
        elif code == "secret_store_away":
            yield Finding(
                "secrets",
                "warn",
                f"{_few(who)} goes on with what it holds of the secret store {what}: {words[code, what]}",
                f"Let it answer again: what was read is used for {format_duration(round(settings.secret_keep))}, and other runs fail.",
            )


def look_at_reach(database: Database, settings: Settings) -> Iterator[Finding]:
    """Who may have any file sent to a host of their choice that workers may read?"""
    if settings.secret_files:
        return
    found = [
        f"{row['name']} ({row['owner']})"
        for row in list_tokens(database, None, limit=MOST_TOKENS)
        if (row["name"], row["owner"]) != FIRST and _reaches_any_file(row, settings)
    ]
    if found:
        yield Finding(
            "secrets",
            "warn",
            f"{_few(found)} may point a connection at any file that workers may read",
            "Set HEADRACE_SECRET_FILES to the folders in which secrets lie, or give tokens secret prefixes: docs/secrets.md#which-files.",
        )


def _reaches_any_file(row: DictRow, settings: Settings) -> bool:
    grant = grant_of(row)
    prefixes = allowed_prefixes(grant.environment, settings)
    open_to_all = not prefixes or any(prefix in {"file://", "file:///"} for prefix in prefixes)
    return Scope.ADMIN in grant.scopes and grant.secrets is None and open_to_all


def _few(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
