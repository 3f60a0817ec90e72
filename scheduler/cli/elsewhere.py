"""What do commands do where HEADRACE_URL is set? They ask the API there, with the token that HEADRACE_TOKEN is or leads to.

What comes back is brought into the form of the rows that a database gives, so that a command shows both alike.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import dropwhile, islice, takewhile
from threading import Event
from typing import TYPE_CHECKING, Any

from scheduler.runs.lists import id_range
from worker.config import Settings
from worker.errors import HeadraceError, InvalidInput, NotFound
from worker.runs.states import Lane, State
from worker.secrets import open_secret
from worker.telemetry.redaction import redactor

if TYPE_CHECKING:
    from scheduler.client import AskedRun, Client, Connection, Record, Run, Stream, Sync

RESTING = frozenset({"done", "paused", "failed", "off"})
LOOK_EVERY = 2.0
WAIT = 20.0
MOST_LOOKED_AT = 10_000
ATTEMPTS = 3
"""A person is waiting."""
UNKNOWN_TOKEN = 401
HINT = "HEADRACE_TOKEN must be a token that is good there, or a reference that leads to one here."

_never = Event()


@contextmanager
def elsewhere(settings: Settings) -> "Iterator[Client | None]":
    """The API that is to be asked; None: this installation's database is."""
    if settings.url is None:
        yield None
        return
    from scheduler.client import Client, Denied  # noqa: PLC0415 - brings httpx, which most commands don't need

    if settings.token is None:
        raise InvalidInput(
            "no_token",
            "HEADRACE_URL is set, and no token for it.",
            hint="Set HEADRACE_TOKEN to the token, or to a reference such as file:///run/secrets/headrace.",
        )
    with Client(settings.url, _token(settings.token.get_secret_value()), attempts=ATTEMPTS) as client:
        try:
            yield client
        except Denied as exc:
            if exc.status == UNKNOWN_TOKEN:
                exc.hint = HINT
            raise


def list_connections(client: "Client", *, limit: int, after: str, **filters: Any) -> list[dict[str, Any]]:
    """As `connections` shows them."""
    found = dropwhile(lambda each: bool(after) and each.name <= after, client.connections(**filters))
    return [asdict(each) for each in islice(found, limit)]


def list_runs(client: "Client", *, limit: int, **wanted: Any) -> list[dict[str, Any]]:
    """As `runs` shows them."""
    return [run_row(each) for each in islice(client.runs(**wanted), limit)]


def find_run(client: "Client", text: str) -> "Run":
    """The run whose id is or begins with this, among the latest; `NotFound`, or `InvalidInput` where several do."""
    low, high = id_range(text)
    if low == high:
        return client.run(low)
    latest = takewhile(lambda run: run.id >= low, islice(client.runs(), MOST_LOOKED_AT))
    found = [run for run in latest if run.id <= high]
    if len(found) > 1:
        raise InvalidInput(
            "ambiguous_run", f"{len(found)} runs begin with {text}.", hint="Give more of the id."
        )
    if not found:
        raise NotFound(
            "unknown_run",
            f"None of the latest {MOST_LOOKED_AT:,} runs begins with {text}.",
            hint="`headrace runs` lists the latest; of an older one give the whole id.",
        )
    return client.run(found[0].id)


def run_row(run: "Run") -> dict[str, Any]:
    """As a row of the ledger is."""
    counts = {f"records_{name}": value for name, value in asdict(run.records).items()}
    left_out = {"records", "error", "lane", "ends_as", "ahead", "begins_in"}
    row = {name: value for name, value in asdict(run).items() if name not in left_out}
    failure = run.error
    return row | counts | {
        "lane": Lane[run.lane.upper()],
        "records_total": None,
        "error_code": failure.code if failure else None,
        "error": (failure.words or failure.code) if failure else None,
    }  # fmt: skip


def wait_for(client: "Client", sync: "Sync", say: Callable[[str], None]) -> list[dict[str, Any]]:
    """How the runs of a sync ended, once the histories of their streams have come to rest, too."""
    ended = [run_row(_ended(client, asked, say)) for asked in sync.runs]
    streams = {asked.stream for asked in sync.runs}
    while any(
        each.stream in streams and each.state not in RESTING for each in client.histories(sync.connection)
    ):
        _never.wait(LOOK_EVERY)
    return ended


def record_rows(found: "Iterator[Record]") -> Iterator[dict[str, Any]]:
    """As the copy's rows are."""
    for record in found:
        yield {
            "key": record.key,
            "version": record.version,
            "source_updated_at": record.source_updated_at,
            "observed_at": record.observed_at,
            "deleted_at": record.deleted_at,
            "raw": record.raw,
        }


def connection_facts(found: "Connection") -> dict[str, Any]:
    """What `connections show` tells of one."""
    return {
        "connection": found.name,
        "number": str(found.id),
        "system": found.system,
        "environment": found.environment,
        "tenant": found.tenant,
        "budget": found.budget or "its own",
        "paused since": found.paused_at,
        **{f"setting {name}": value for name, value in found.settings.items()},
        **{f"secret {name}": reference for name, reference in found.secrets.items()},
        **{f"network {name}": value for name, value in found.network.items()},
        **{f"label {name}": value for name, value in found.labels.items()},
    }


def connection_json(found: "Connection", streams: "Sequence[Stream]") -> dict[str, Any]:
    """The same for programs."""
    return {**asdict(found), "streams": [asdict(stream) for stream in streams]}


def _ended(client: "Client", asked: "AskedRun", say: Callable[[str], None]) -> "Run":
    """A merged run is nobody's result: its successor is waited for instead."""
    run = asked.run or client.run(asked.id)
    said = ""
    while True:
        if run.state == State.MERGED and (run.merged_into or run.ends_as):
            run = client.run(run.merged_into or (run.ends_as.id if run.ends_as else asked.id))
            continue
        if run.state != said:
            said = run.state
            say(f"{run.stream}: {run.state}")
        if not run.open:
            return run
        run = client.run(run.id, wait=WAIT)


def _token(given: str) -> str | Callable[[], str]:
    if "://" in given:
        return lambda: _opened(given)
    redactor.add(given, keep=True)
    return given


def _opened(reference: str) -> str:
    try:
        return open_secret(reference).reveal()
    except HeadraceError as exc:
        exc.hint = HINT  # theirs is about workers
        raise
