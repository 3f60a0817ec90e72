"""Does what Headrace needs answer, and is somebody at work?

The same looks for `/readyz`, which says yes or no to a load balancer, and for `headrace doctor`, which says what to do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from psycopg.rows import DictRow

from scheduler.beat.others import silent_beats
from worker.app import celery_app
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.db.schema_version import check_schema, head
from worker.errors import HeadraceError
from worker.parsing.durations import format_duration
from worker.runs.states import queues_of

sql = load_queries("scheduler.health", "looks.sql")

BROKER_PATIENCE = 2.0

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found: a sentence, and what to do where it isn't well."""

    check: str
    level: Level
    words: str
    hint: str | None = None


def look_at_database(database: Database) -> Finding:
    """Reachable, new enough, ours, and at this version's schema."""
    try:
        check_schema(database)
        with database.connection() as connection:
            version = connection.info.parameter_status("server_version") or "?"
    except HeadraceError as exc:
        return Finding(
            "database", "fail", exc.message, exc.hint or "Is it running, and is HEADRACE_DATABASE_URL right?"
        )
    return Finding("database", "ok", f"Postgres {version.split()[0]}, schema {head()}")


def look_at_broker() -> Finding:
    """Reachable, and it accepts our password. `worker.app` must have been configured."""
    try:
        with celery_app.connection_for_write() as connection:
            connection.ensure_connection(
                max_retries=1, interval_start=0, interval_step=0, timeout=BROKER_PATIENCE
            )
    except Exception as exc:  # noqa: BLE001 - kombu and redis raise what they like; all of it means no
        words = f"The broker can't be used: {type(exc).__name__}."
        return Finding("broker", "fail", words, "Is it running, and is HEADRACE_BROKER_URL right?")
    return Finding("broker", "ok", "It answers.")


def look_at_beat(alive: Iterable[DictRow], silent: Iterable[DictRow] = ()) -> Finding:
    """Nothing becomes due without one whose rounds go on; `silent` are those whose rounds have stopped."""
    stopped = {row["name"]: row["silent"] for row in silent}
    beats = [row["name"] for row in alive if row["kind"] == "beat" and row["name"] not in stopped]
    words = ", ".join(f"{name} ({format_duration(round(since))})" for name, since in stopped.items())
    if beats and stopped:
        hint = "Restart or remove it; the others do its work meanwhile."
        return Finding("beat", "warn", f"{len(beats)} at work, and silent: {words}.", hint)
    if stopped:
        hint = "It hangs or was stopped. Restart it; what it missed is done at once."
        return Finding("beat", "fail", f"No beat is at work; silent: {words}.", hint)
    if beats:
        return Finding("beat", "ok", f"{len(beats)} at work: {', '.join(beats)}")
    return Finding("beat", "fail", "No beat was seen in the last minute.", "Start `headrace beat`.")


def look_at_workers(alive: Iterable[DictRow], systems: Iterable[str]) -> list[Finding]:
    """Every queue of every system in use needs somebody who serves it; the first missing lane of each is said."""
    workers = [row for row in alive if row["kind"] == "worker"]
    if not workers:
        return [
            Finding("workers", "fail", "No worker was seen in the last minute.", "Start `headrace worker`.")
        ]
    served = {queue for row in workers for queue in row["queues"]}
    findings = []
    for system in systems:
        missing = [queue for queue in queues_of(system) if queue not in served]
        if missing:
            lane = "bulk" if missing[0].endswith(".bulk") else "main"
            findings.append(
                Finding(
                    "workers",
                    "fail",
                    f"Nobody serves {', '.join(missing)}.",
                    f"Start `headrace worker --system {system} --lane {lane}`.",
                )
            )
    slots = sum(row["slots"] for row in workers)
    return findings or [
        Finding("workers", "ok", f"{len(workers)} at work, {slots} slots, every queue is served")
    ]


def who_is_alive(database: Database) -> list[DictRow]:
    """Processes seen within a minute."""
    return database.all(sql.alive)


def readiness(database: Database) -> list[Finding]:
    """What keeps this installation from doing its work: an empty list means it is ready."""
    found = [look_at_database(database), look_at_broker()]
    if found[0].level == "ok":
        alive = who_is_alive(database)
        found.append(look_at_beat(alive, silent_beats(database)))
        if not any(row["kind"] == "worker" for row in alive):
            found += look_at_workers(alive, [])
    return [finding for finding in found if finding.level == "fail"]
