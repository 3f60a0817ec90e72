"""Who wants webhooks registered at a system, and who no longer does? What is wanted is noted; beat does it.

Promises: what was noted is done some day, whoever dies meanwhile, and what is no longer wanted is removed at the system,
even if the connection is gone by then. Whoever asks waits for no system.
"""

from collections.abc import Iterator

from scheduler.access.audit import Actor, note_act
from scheduler.connections.current import queries as shared
from scheduler.connections.systems import source_of
from scheduler.connections.transactions import execute
from scheduler.health.looks import Finding
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import InvalidInput, NotFound

sql = load_queries("scheduler.webhooks.registering", "registrations.sql")

MOST = 10


def register_webhooks(
    database: Database, registry: Registry, connection_id: int, *, public_url: str | None, actor: Actor
) -> str:
    """Want them registered, and return the URL to which they will be sent. Harmless twice.

    Raises `InvalidInput` where that can't be: nothing says where we are reached, or how the system registers webhooks.
    """
    with database.transaction() as tx:
        row = next(iter(execute(tx, sql.read_connection, {"connection": connection_id})), None)
        if row is None:
            raise NotFound("unknown_connection", "There is no such connection any more.")
        if row["disconnected_at"] is not None:
            raise InvalidInput("connection_disconnected", f"{row['name']} was disconnected.")
        webhooks = source_of(registry, row).webhooks
        if webhooks is None or (registration := webhooks.registration) is None:
            raise InvalidInput(
                "webhooks_not_registrable",
                f"The manifest of {row['system']} doesn't say how its webhooks are registered.",
                hint="Register one at the system by hand: docs/webhooks.md tells with which URL.",
            )
        for name in filter(None, (registration.secret, registration.path_secret)):
            if name not in row["secrets"]:
                raise InvalidInput(
                    "secret_missing",
                    f"{row['name']} references no secret {name}, which proves its webhooks.",
                    place=f"secrets.{name}",
                    hint="Give the connection a reference to it first.",
                )
        base = webhook_url(public_url, row["id"])
        wanted = {"connection": row["id"], "url": base, "topics": list(registration.topics)}
        execute(tx, sql.want_registrations, wanted)
        execute(tx, sql.part_other_topics, wanted)
        note_act(tx, actor, "webhooks.register", row["name"], about=row, detail={"url": base})
        return base


def unregister_webhooks(database: Database, connection_id: int, *, actor: Actor) -> int:
    """Want none registered any more; how many there were. Harmless twice."""
    with database.transaction() as tx:
        row = next(iter(execute(tx, sql.read_connection, {"connection": connection_id})), None)
        if row is None:
            raise NotFound("unknown_connection", "There is no such connection any more.")
        parted = execute(tx, shared.part_registrations, {"connections": [connection_id]})
        if parted:
            note_act(tx, actor, "webhooks.unregister", row["name"], about=row)
        return len(parted)


def webhook_url(public_url: str | None, connection_id: int) -> str:
    """Where systems send a connection's webhooks: its number stays when it is renamed."""
    if not public_url:
        raise InvalidInput(
            "public_url_missing",
            "Nothing says under which URL systems reach this installation.",
            hint="Set HEADRACE_PUBLIC_URL, such as https://headrace.example.com, for the API and where you type commands.",
        )
    return f"{public_url.rstrip('/')}/webhooks/{connection_id}"


def look_at_registrations(database: Database) -> Iterator[Finding]:
    """Which webhooks couldn't be registered, or aren't kept by their system?"""
    for row in database.all(sql.failing_registrations, {"limit": MOST}):
        topic = f" ({row['topic']})" if row["topic"] else ""
        words = f"the webhook of {row['connection']}{topic} isn't registered: {row['error']}"
        hint = f"It is tried again. `headrace webhooks {row['connection']} --register` tries at once."
        yield Finding("webhooks", "warn", words, hint)
