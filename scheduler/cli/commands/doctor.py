"""What is wrong, and what is to be done about it? Each look ends in a line: ok, warn or fail."""

import shutil
from collections.abc import Iterator

import typer

from scheduler.access.issuing.looks import look_at_tokens
from scheduler.beat.others import silent_beats
from scheduler.cli.errors import Exit
from scheduler.cli.output import AsJson, print_json, print_table
from scheduler.cli.session import command_settings, open_publisher, open_registry
from scheduler.feed.changes import look_at_feed
from scheduler.feed.subscriptions import look_at_subscriptions
from scheduler.health.looks import (
    Finding,
    Level,
    look_at_beat,
    look_at_broker,
    look_at_database,
    look_at_workers,
    sql,
    who_is_alive,
)
from scheduler.health.secrets import look_at_reach, look_at_secrets, look_at_troubles
from scheduler.health.trust import look_at_trust
from scheduler.keeping.storage import in_words, look_at_room
from scheduler.runs.lists import SHORT_ID
from scheduler.webhooks.registering.wishes import look_at_registrations
from worker.config import Settings
from worker.db.database import Database
from worker.errors import HeadraceError
from worker.parsing.durations import format_duration

GIGABYTE = 1024**3
LEAST_SPACE = GIGABYTE // 2
LITTLE_SPACE = 2 * GIGABYTE


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(doctor)


def doctor(as_json: AsJson = False) -> None:
    """Look at everything and say what is wrong and what to do. The exit code is 1 if something failed.

    Example: headrace doctor
    """
    found = list(examine())
    if as_json:
        print_json([{"check": f.check, "level": f.level, "words": f.words, "hint": f.hint} for f in found])
    else:
        print_table(
            ["", "what", "found", "what to do"],
            ([f.level, f.check, f.words, f.hint or ""] for f in found),
            empty="",
        )
    if any(f.level == "fail" for f in found):
        raise typer.Exit(Exit.FAILED)


def examine() -> Iterator[Finding]:
    """Look after look; what can't be asked without the database is left out when it is away."""
    try:
        settings = command_settings()
        url = settings.require_database_url()
    except HeadraceError as exc:
        yield Finding("settings", "fail", exc.message, exc.hint)
        return
    yield Finding("settings", "ok", f"home {settings.home}")
    yield look_at_space(settings)
    yield from _look_at_systems(settings)
    broker = _look_at_broker(settings)
    database = Database(url, name="doctor", pool=1)
    try:
        first = look_at_database(database)
        yield from (first, broker)
        if first.level == "ok":
            yield from _look_inside(database, settings)
    finally:
        database.close()


def look_at_space(settings: Settings) -> Finding:
    """Room where embedded servers and logs are. What is there is enough for a copy of a few million records, or it isn't."""
    place = settings.home if settings.home.exists() else settings.home.parent
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    words = f"{free / GIGABYTE:.1f} GB free at {place}"
    if free < LEAST_SPACE:
        return Finding("disk", "fail", words, "Free some space: a full disk stops Postgres.")
    if free < LITTLE_SPACE:
        return Finding("disk", "warn", words, "Free some space soon.")
    return Finding("disk", "ok", words)


def _look_at_systems(settings: Settings) -> Iterator[Finding]:
    registry = open_registry(settings)
    for path, error in registry.problems():
        told = str(error) if str(path) in str(error) else f"{path}: {error}"
        yield Finding("systems", "fail", told, "Mend the manifest; all other systems work.")
    yield Finding("systems", "ok", ", ".join(registry.systems()))


def _look_at_broker(settings: Settings) -> Finding:
    try:
        open_publisher(settings)
    except HeadraceError as exc:
        return Finding("broker", "fail", exc.message, exc.hint)
    return look_at_broker()


def _look_inside(database: Database, settings: Settings) -> Iterator[Finding]:
    yield look_at_storage(database)
    alive = who_is_alive(database)
    yield look_at_beat(alive, silent_beats(database))
    yield from look_at_workers(alive, [row["system"] for row in database.all(sql.systems_in_use)])
    yield from _look_at_schedule(database)
    yield from _look_at_failures(database)
    yield from look_at_secrets(database)
    yield from look_at_troubles(alive, settings)
    yield from look_at_reach(database, settings)
    yield from look_at_feed(database)
    yield from look_at_subscriptions(database)
    yield from look_at_registrations(database)
    yield from look_at_trust(database)
    yield from look_at_tokens(database)


def look_at_storage(database: Database) -> Finding:
    """Room for the copy where Postgres keeps it, as far as that can be seen from here."""
    room = look_at_room(database)
    level: Level = "warn" if room.is_little else "ok"
    hint = "Free some space, or keep less: docs/retention.md." if room.is_little else None
    return Finding("storage", level, in_words(room), hint)


def _look_at_schedule(database: Database) -> Iterator[Finding]:
    overdue = database.all(sql.overdue_streams)
    for row in overdue:
        where = f"{row['connection']} / {row['stream']}"
        words = f"{where} is overdue by {format_duration(row['late'])}"
        yield Finding("schedule", "fail", words, "Is a beat running?")
    if not overdue:
        yield Finding("schedule", "ok", "no stream is overdue")
    waiting = database.all(sql.waiting_runs)
    for row in waiting:
        words = f"{row['connection']} / {row['stream']} waits for {format_duration(row['waiting'])} in {row['queue']}"
        hint = f"Are there enough workers? See `headrace runs show {str(row['id'])[:SHORT_ID]}`."
        yield Finding("runs", "warn", words, hint)
    if not waiting:
        yield Finding("runs", "ok", "no run waits for a worker")


def _look_at_failures(database: Database) -> Iterator[Finding]:
    failing = database.all(sql.failing_streams)
    for row in failing:
        times = "once" if row["failures"] == 1 else f"{row['failures']} times in a row"
        words = f"{row['connection']} / {row['stream']} failed {times}: {row['last_error'] or row['last_error_code']}"
        hint = f"See `headrace runs --connection {row['connection']} --stream {row['stream']}`."
        yield Finding("streams", "fail", words, hint)
    if not failing:
        yield Finding("streams", "ok", "none fails")
