"""A connection's account is asked what it shows of a connector: by the means of a worker, under its budget, reading only."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from scheduler.connections.resolve import find_connection
from scheduler.connections.trial.trial import Candidate, context_of, trial_sender
from scheduler.connectors.check.checking import manifest_of, tried_on
from scheduler.connectors.check.live import SENTENCES, Live, most_requests
from scheduler.connectors.check.report import Report, rows_of
from worker.config import Settings
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Request, Response
from worker.db.database import Database
from worker.errors import InvalidInput


def check_connection(
    database: Database,
    settings: Settings,
    folder: Path,
    connection: str,
    *,
    streams: Sequence[str] = (),
    may: Callable[[int], bool],
) -> Report:
    """The report of the manifest in this folder and the account of this connection, if `may` allows so many requests."""
    manifest = manifest_of(folder)
    row = find_connection(database, connection)
    if row["system"] != manifest.system:
        message = f"{row['name']} is a connection of {row['system']}, not of {manifest.system}."
        raise InvalidInput("other_system", message, hint="Name one of the system in this folder.")
    candidate = Candidate.of(database, row)
    connector = ManifestConnector(manifest)
    source = connector.bind(candidate.settings)
    names = list(streams or source.stream_names)
    if not may(most_requests(names)):
        raise InvalidInput("not_allowed", "Nothing was asked of the account.")
    context = context_of(source, candidate, f"check-{uuid4()}")
    with trial_sender(database, settings) as sender:

        def send(request: Request, stream: str) -> Response:
            return sender.send(replace(context, stream=stream), request)

        whole = connector.manifest_of(candidate.settings)
        outcomes = list(Live(whole, source, send, datetime.now(UTC)).outcomes(names))
    return Report(manifest.system, manifest.title, "live", rows_of(SENTENCES, outcomes), tried_on(manifest))
