"""A connection goes, and what was read through it stays: readable, searched and fed as before, and never fetched again.

It is paused, its open runs end here, and its references to secrets are forgotten: those of webhooks that we registered
as soon as these are removed at the system. Given secrets again it goes on.
"""

from scheduler.access.audit import Actor, note_act
from scheduler.connections.current import queries as shared
from scheduler.connections.editing.edit import queries, read_one
from scheduler.connections.transactions import execute, retrying
from worker.db.database import Database

REASON = "The connection was disconnected."


def disconnect(database: Database, connection_id: int, actor: Actor) -> int:
    """How many streams it has. Harmless twice. Raises `NotFound`."""

    def work() -> int:
        with database.transaction() as tx:
            execute(tx, shared.lock_apply)
            row = read_one(tx, connection_id, lock=True)
            streams = [stream.id for stream in row.streams]
            execute(tx, shared.end_runs, {"streams": streams, "track": None, "reason": REASON})
            execute(tx, shared.part_registrations, {"connections": [row.id]})
            execute(tx, queries.disconnect, {"id": row.id})
            execute(tx, shared.clear_next_runs, {"connections": [row.id]})
            execute(tx, shared.end_links, {"connection": row.id})
            about = {"id": row.id, "environment": row.environment, "tenant": row.tenant}
            note_act(tx, actor, "connection.disconnect", row.name, about=about)
            return len(streams)

    return retrying(work)
