"""What was typed in and is of no use is taken out of stores, also after those who typed it, or the process that held it, are gone.

By the API, since it wrote it there, and so may take it away. Emits: typed_secrets_not_cleared.
"""

import asyncio

import structlog
from anyio import to_thread

from scheduler.connections.consent.typed import clear_left
from worker.db.database import Database

EVERY = 300.0

log = structlog.get_logger()


async def clear_for_ever(database: Database) -> None:
    """Look every few minutes, until cancelled. Several processes that find the same do no harm."""
    while True:
        try:
            await to_thread.run_sync(clear_left, database, abandon_on_cancel=True)
        except Exception as exc:  # noqa: BLE001 - whatever it is, what was left is still there the next time
            log.warning("typed_secrets_not_cleared", error=getattr(exc, "code", type(exc).__name__))
        await asyncio.sleep(EVERY)
