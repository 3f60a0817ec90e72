"""What is kept of streams that are read otherwise from now on, and doesn't fit, is let go. In the caller's transaction.

Promises: no state is used that doesn't fit what is read by. Open runs of the streams end here, whose rows are what a worker's
fence looks for: one that still reads as before commits nothing more. A stream whose key changed begins anew, and its records
become tombstones before anything is read; one whose cursor changed begins anew with its records.
"""

from collections.abc import Iterable, Sequence

from scheduler.connections.current import CurrentConnection, CurrentStream
from scheduler.connections.current import queries as shared
from scheduler.connections.transactions import Transaction, execute
from scheduler.connections.upgrading.compare import StreamChange
from worker.connectors.registry.fitting import Fit
from worker.db.queries import load_queries

queries = load_queries("scheduler.connections.upgrading", "upgrading.sql")


def touches(change: StreamChange) -> bool:
    """Whether anything that is kept of the stream is at stake; else its runs may go on."""
    return change.kind == "removed" or (change.kind == "changed" and change.fit != Fit())


def let_go(tx: Transaction, row: CurrentConnection, changes: Iterable[StreamChange], words: str) -> list[str]:
    """End the open runs of the streams that are touched, with these words, and drop what doesn't fit; the names of those that
    were switched off.
    """
    streams = {stream.name: stream for stream in row.streams}
    touched = [change for change in changes if change.stream in streams and touches(change)]
    _end_runs(tx, row, [streams[change.stream].id for change in touched], words)
    off = [_refit(tx, streams[change.stream], change) for change in touched]
    return [name for name in off if name]


def erased_streams(tx: Transaction, row: CurrentConnection) -> list[str]:
    """Those of which records were erased."""
    found = tx.execute(
        "SELECT name FROM streams WHERE connection_id = %(id)s AND erased", {"id": row.id}
    ).fetchall()
    return [each["name"] for each in found]


def _end_runs(tx: Transaction, row: CurrentConnection, streams: Sequence[int], words: str) -> None:
    """Twice: what was asked for while the streams were not yet locked ends, too."""
    params = {"streams": list(streams), "track": None, "reason": words}
    if streams:
        execute(tx, shared.end_runs, params)
    execute(tx, queries.lock_streams, {"connection": row.id})
    if streams:
        execute(tx, shared.end_runs, params)


def _refit(tx: Transaction, stream: CurrentStream, change: StreamChange) -> str | None:
    """Let go of what doesn't fit; the stream's name, where it was switched off."""
    place = {"stream": stream.id}
    if change.kind == "removed":
        execute(tx, queries.switch_off, place)
        return stream.name if stream.enabled else None
    fit = change.fit
    if change.anew:
        execute(tx, queries.forget_cursors, {**place, "keeps_deletes": fit.key and fit.deletes})
        for statement in (queries.forget_lateness, queries.forget_doubts):
            execute(tx, statement, place)
        execute(tx, queries.begin_anew, {**place, "keys": not fit.key})
    elif not fit.place:
        execute(tx, queries.forget_positions, place)
    if not fit.deletes:
        execute(tx, queries.forget_deletes_cursor, place)
    if not fit.key:
        for statement in (queries.forget_suspects, queries.forget_sweeps):
            execute(tx, statement, place)
    if not (fit.key and fit.version):
        execute(tx, queries.refit_stream, {**place, "keys": not fit.key})
    execute(tx, queries.due_now, place)
    return None
