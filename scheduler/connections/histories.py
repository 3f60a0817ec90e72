"""What becomes of a history whose length was changed in the connections file?

A longer one gets a slice for the time that is missing, and nothing is read twice. A shorter one reads no further than it
says; what was read before stays. Runs of the history end first, under whose hands nothing may change; they are asked for
again by the next live run and go on where they stopped.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from scheduler.connections.current import queries
from scheduler.connections.transactions import Transaction, execute
from worker.connectors.cursors import dump_cursor
from worker.db.queries import sql
from worker.engine.history.begin import start_of
from worker.engine.history.slices import Slice, missing, pending, slice_of, trimmed

CHANGED = "The history was made longer or shorter in the connections file; it goes on from where it was."


def refit_histories(tx: Transaction, streams: Mapping[int, int | None], now: datetime) -> None:
    """Let the slices of these streams reach back so many days, None for ever."""
    if not streams:
        return
    execute(tx, queries.end_runs, {"streams": list(streams), "track": "history", "reason": CHANGED})
    for stream, days in streams.items():
        slices = [slice_of(row) for row in execute(tx, sql.history_slices, {"stream": stream})]
        since = None if days is None else now - timedelta(days=days)
        if since is not None:
            _shorten(tx, stream, slices, since)
        if (lacking := missing(slices, since)) is not None:
            execute(tx, sql.add_slice, start_of(stream, lacking))
    execute(tx, sql.settle_histories, {"streams": list(streams)})


def _shorten(tx: Transaction, stream: int, slices: list[Slice], since: datetime) -> None:
    for each in pending(slices):
        left = trimmed(each, since)
        if left is None:
            execute(tx, sql.drop_slice, {"stream": stream, "slice": each.name})
        elif left is not each:
            bound = Jsonb(dump_cursor(since))
            execute(tx, sql.trim_slice, {"stream": stream, "slice": each.name, "window_since": bound})
