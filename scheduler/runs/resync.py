"""What is to be read again? A scope is checked against what its system can be asked for, reckoned, and made a run.

A few records by their keys go before what is scheduled; all else is long work and goes to the bulk lane.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from scheduler.access.audit import Actor
from scheduler.runs.history import sql
from scheduler.runs.syncs import Wanted, refuse_paused, request_one
from worker.connectors.contract import Stream
from worker.connectors.cursors import dump_cursor, load_cursor
from worker.db.database import Database
from worker.engine.history.forecast import Forecast, Wait, forecast
from worker.engine.history.slices import Tally
from worker.engine.tracks.records import can_be_asked
from worker.errors import InvalidInput
from worker.parsing.durations import parse_duration
from worker.runs.states import Lane

MOST_IDS = 10_000
FEW_IDS = 200
"""More than so many requests in a row would hold a place of the live queue for long."""
LONGEST_ID = 1000
MOST_FILTERS = 20
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be read again: everything, or what one of these says. `since` and `until` go together."""

    since: datetime | None = None
    until: datetime | None = None
    filters: Mapping[str, str] | None = None
    ids: Sequence[str] | None = None

    def as_json(self) -> dict[str, Any]:
        """As it stands on the run; the same request has the same scope."""
        if self.ids is not None:
            return {"ids": sorted(set(self.ids))}
        if self.filters:
            return {"filters": dict(sorted(self.filters.items()))}
        if self.since or self.until:
            bounds = {"since": self.since, "until": self.until}
            return {name: dump_cursor(bound) for name, bound in bounds.items() if bound is not None}
        return {"all": True}


def scope_of(
    *,
    since: str | None = None,
    until: str | None = None,
    filters: Mapping[str, str] | None = None,
    ids: Iterable[str] | None = None,
    everything: bool = False,
    now: datetime,
) -> Scope:
    """The scope that these words mean; `InvalidInput` where they mean none, or two."""
    named = [key for key in ids if key] if ids is not None else None
    chosen = sum((bool(since or until), bool(filters), named is not None, everything))
    if chosen != 1:
        message = "Say what is to be read again." if not chosen else "Only one of these can be meant."
        hint = "A range of dates (since, until), filters, ids, or all."
        raise InvalidInput("bad_scope", message, place="scope", hint=hint)
    if named is not None:
        _check_ids(named)
    if filters and len(filters) > MOST_FILTERS:
        raise InvalidInput("bad_scope", f"More than {MOST_FILTERS} filters.", place="filters")
    scope = Scope(_time(since, "since", now), _time(until, "until", now), filters or None, named)
    if scope.since and scope.until and scope.since > scope.until:
        raise InvalidInput("bad_scope", "since is later than until.", place="since")
    return scope


def check_scope(stream: Stream, scope: Scope) -> None:
    """`InvalidInput` where the system can't be asked so."""
    traits = stream.traits
    if (scope.since or scope.until) and not (traits.incremental and traits.timestamps):
        raise InvalidInput(
            "no_date_range",
            f"The system can't be asked for {stream.name} of a range of dates.",
            place="since",
            hint="Read all of it again, or some of it by ids.",
        )
    stream.filtered(scope.filters or {})


def forecast_of(
    database: Database, row: Mapping[str, Any], stream: Stream, scope: Scope, wait: Wait
) -> Forecast:
    """What reading it takes, by what the copy holds and what the last runs took. `row` is the stream's."""
    paid = database.one(sql.paid_lately, {"stream": row["id"]})
    tally = Tally(**paid) if paid else Tally()
    if scope.ids is not None and can_be_asked(stream):
        count = len(set(scope.ids))
        allowed = wait(count)
        at_pace = count * tally.seconds / max(1, tally.requests)
        return Forecast(count, count, at_pace if allowed is None else max(allowed, at_pace))
    if scope.filters:
        return Forecast(None, None, None)
    bounds = {
        "since": scope.since,
        "until": scope.until if stream.traits.bounded or stream.traits.ordered else None,
    }
    found = database.one(sql.count_between, {"bucket": row["bucket"], "stream": row["id"], **bounds})
    return forecast(0 if found is None else found["records"], tally, wait)


def request_resync(
    database: Database,
    connection: Mapping[str, Any],
    row: Mapping[str, Any],
    stream: Stream,
    scope: Scope,
    *,
    cause: Literal["api", "cli"],
    request_id: str,
    actor: Actor,
) -> Wanted:
    """Ask for it; a queued run for the same scope is joined. `connection` and `row` are the rows of both."""
    few = scope.ids is not None and len(set(scope.ids)) <= FEW_IDS and can_be_asked(stream)
    refuse_paused(connection)
    run = request_one(
        database,
        connection,
        row,
        lane=Lane.ON_DEMAND if few else Lane.BACKFILL,
        cause=cause,
        request_id=request_id,
        track="records",
        scope=scope.as_json(),
        actor=actor,
    )
    return Wanted(run.id, row["id"], row["name"], run.created)


def _check_ids(ids: Sequence[str]) -> None:
    if not ids:
        raise InvalidInput("bad_scope", "There is no id.", place="ids")
    if len(set(ids)) > MOST_IDS:
        raise InvalidInput(
            "too_many_ids",
            f"{len(set(ids)):,} ids are more than {MOST_IDS:,}.",
            place="ids",
            hint="Read them in parts, or all of the stream.",
        )
    if wrong := next((key for key in ids if len(key) > LONGEST_ID or not key.isprintable()), None):
        raise InvalidInput("bad_scope", f"{ascii(wrong)[:60]} can be no id.", place="ids")


def _time(text: str | None, place: str, now: datetime) -> datetime | None:
    """`2026-03-01`, `2026-03-01T08:00:00Z`, or so long ago: `30d`. A whole day ends with its last moment."""
    if text is None:
        return None
    try:
        return now - timedelta(seconds=parse_duration(text))
    except (InvalidInput, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
        if place == "until" and _DAY.match(text):
            found += timedelta(days=1) - timedelta(microseconds=1)
        stored = load_cursor(dump_cursor(found), timestamps=True)
    except (ValueError, OverflowError):
        raise InvalidInput(
            "bad_time",
            f"{ascii(text)[:40]} is no time.",
            place=place,
            hint="Write it like 2026-03-01, 2026-03-01T08:00:00Z, or 30d for so long ago.",
        ) from None
    assert isinstance(stored, datetime)  # noqa: S101 - a time was written
    return stored
