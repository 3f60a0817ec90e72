"""Can the copy be trusted? What comparisons, held deletes, quarantine and fields say, as looks of `headrace doctor`."""

from collections.abc import Iterator

from scheduler.health.looks import Finding
from scheduler.proof import drift, quarantine
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.engine.watching.drift import shown

sql = load_queries("scheduler.health", "trust.sql")

MOST = 10


def look_at_trust(database: Database) -> Iterator[Finding]:
    """What differs from the source, is suspiciously empty, waits for a decision, was set aside, or has other fields."""
    found = [
        *_differs(database),
        *_is_empty(database),
        *_holds_deletes(database),
        *_is_aside(database),
        *_has_drifted(database),
    ]
    yield from found or [Finding("copy", "ok", "no comparison found a difference, and nothing is set aside")]


def _differs(database: Database) -> Iterator[Finding]:
    for row in database.all(sql.drifting_streams):
        where = f"{row['connection']} / {row['stream']}"
        hint = f"Mend it with `headrace verify {row['connection']} {row['stream']} --repair`."
        yield Finding(
            "copy", "warn", f"{where} differs from its source: {row['words'] or row['drift']}", hint
        )


def _is_empty(database: Database) -> Iterator[Finding]:
    for row in database.all(sql.empty_streams):
        words = f"{row['connection']} / {row['stream']} was suspiciously empty: {row['last_error']}"
        yield Finding("copy", "warn", words)


def _holds_deletes(database: Database) -> Iterator[Finding]:
    from scheduler.proof.deletes import held_deletes  # noqa: PLC0415 - brings Celery

    for row in held_deletes(database, limit=MOST):
        if row["fuse"].get("accepted_at"):
            continue
        words = f"{row['connection']} / {row['stream']}: {row['held']:,} deletes wait for a decision"
        hint = f"Look at them with `headrace deletes {row['connection']} {row['stream']} --review`."
        yield Finding("deletes", "warn", words, hint)


def _is_aside(database: Database) -> Iterator[Finding]:
    for row in quarantine.summary(database, None, limit=MOST):
        words = f"{row['connection']} / {row['stream']}: {row['records']:,} set aside ({row['code']})"
        hint = f"See `headrace quarantine {row['connection']} {row['stream']}`."
        yield Finding("quarantine", "warn", words, hint)


def _has_drifted(database: Database) -> Iterator[Finding]:
    for row in drift.drifted(database, limit=MOST):
        words = (
            f"{row['connection']} / {row['stream']}: the field {shown(row['path'])} is {row['state']} "
            f"({drift.what_happened(row)})"
        )
        hint = f"Take note with `headrace drift {row['connection']} {row['stream']} --accept`."
        yield Finding("fields", "warn", words, hint)
