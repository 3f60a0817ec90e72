"""What was typed in and is of no use is taken out of stores, also after those who typed it, or the process that held it, are gone.

By the API, since it wrote it there, and so may take it away.
"""

import asyncio
from contextlib import suppress

from anyio import to_thread

from scheduler.connections.consent.typed import clear_left
from worker.db.database import Database
from worker.errors import HeadraceError

EVERY = 300.0


async def clear_for_ever(database: Database) -> None:
    """Look every few minutes, until cancelled. Several processes that find the same do no harm."""
    while True:
        with suppress(HeadraceError):  # it is still there the next time
            await to_thread.run_sync(clear_left, database, abandon_on_cancel=True)
        await asyncio.sleep(EVERY)
