"""For how long is everything kept that piles up, and how does it go? One table; old rows go in bounded batches.

What is partitioned by time is dropped by partition (`partitions`). Everything else goes here: beat does a batch of each at
a time, goes on in its next round where a batch was full, and looks again an hour later where it was not. A batch is a
transaction of its own and short, since beat has streams to dispatch, and a long transaction holds back the change feed.
Emits: rows_pruned, removal_finished, disk_filling.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from scheduler.access.door.sessions import prune_sessions
from scheduler.access.repeats.keys import KEEP_DAYS, prune_keys
from scheduler.beat.upkeep.partitions import Kept, keep_partitions
from scheduler.keeping.storage import in_words, keep_sample
from scheduler.webhooks.events import prune_event_keys, prune_refusals
from worker.config import Settings
from worker.db.database import Database
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.feed.epoch import raise_floor
from worker.services import Services

log = structlog.get_logger()

BATCH = 2000
REMOVED_AT_ONCE = 5000
REMOVAL_SECONDS = 0.5
LOOK_EVERY = 3600.0
WARN_EVERY = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept of one kind, in words for the docs, and how a batch of it goes."""

    name: str
    what: str
    setting: str | None
    """Which setting says for how many days; None: each stream says it."""
    prune: Callable[[Database, int], int]
    """Deletes at most a batch of what is older than so many days; how many rows went."""


def _pruned_by(statement: str) -> Callable[[Database, int], int]:
    return lambda database, days: database.run(statement, {"days": days, "batch": BATCH})


def prune_tombstones(database: Database, days: int) -> int:
    """Forget tombstones, and say in the same transaction how far the feed has forgotten."""
    with database.transaction() as connection:
        rows = connection.execute(sql.prune_tombstones, {"days": days, "batch": BATCH}).fetchall()
        if rows:
            xid, seq = max((int(row["xid"]), row["change_seq"]) for row in rows)
            raise_floor(connection, xid, seq)
        return len(rows)


def prune_versions(database: Database, days: int) -> int:
    """Each stream says itself for how long. Partition by partition, until a batch is full."""
    del days
    pruned = 0
    for statement in _in_parts(database, sql.prune_versions):
        pruned += database.run(statement, {"batch": BATCH - pruned})
        if pruned == BATCH:
            break
    return pruned


def _in_parts(database: Database, statement: str) -> list[str]:
    """The statement for each partition of the versions, by its name as Postgres itself quotes it."""
    parts = database.all(sql.version_parts)
    return [statement.replace("record_versions_NN", row["name"]) for row in parts]


RETENTIONS = (
    Retention("tombstones", "records that are gone at their system", "keep_tombstones", prune_tombstones),
    Retention("versions", "what records were before they changed", None, prune_versions),
    Retention(
        "quarantine", "records that were set aside", "keep_quarantine", _pruned_by(sql.prune_quarantine)
    ),
    Retention(
        "deliveries", "deliveries that were given up", "keep_deliveries", _pruned_by(sql.prune_deliveries)
    ),
    Retention(
        "verifications", "results of comparisons", "keep_verifications", _pruned_by(sql.prune_verifications)
    ),
    Retention(
        "event keys",
        "which events of webhooks came before",
        "keep_event_keys",
        lambda database, days: prune_event_keys(database, days, BATCH),
    ),
    Retention(
        "refusals",
        "webhooks that were not taken",
        "keep_refusals",
        lambda database, days: prune_refusals(database, days, BATCH),
    ),
    Retention(
        "idempotency",
        "answers to requests that may come again",
        None,
        lambda database, _days: prune_keys(database, KEEP_DAYS, BATCH),
    ),
    Retention(
        "sessions", "log-ins of browsers", None, lambda database, _days: prune_sessions(database, BATCH)
    ),
)


class Pruning:
    """Beat's own memory of what is to be pruned when."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}
        self._warned = float("-inf")

    def prune(self, services: Services) -> None:
        """A batch of each kind whose time has come."""
        self.prune_with(services.database, services.settings)

    def prune_with(self, database: Database, settings: Settings) -> Mapping[str, int]:
        """How many rows went, by kind."""
        pruned = {}
        for retention in RETENTIONS:
            if self._clock() < self._next.get(retention.name, 0.0):
                continue
            days = 0 if retention.setting is None else getattr(settings, retention.setting)
            count = pruned[retention.name] = retention.prune(database, days)
            if count < BATCH:
                self._next[retention.name] = self._clock() + LOOK_EVERY
            if count:
                log.info("rows_pruned", kind=retention.name, rows=count)
        return pruned

    def watch_room(self, services: Services) -> None:
        """Remember how the database grows, and say when its disk will soon be full."""
        room = keep_sample(services.database)
        if room.is_little and self._clock() - self._warned >= WARN_EVERY:
            self._warned = self._clock()
            log.warning(
                "disk_filling",
                words=in_words(room),
                free_bytes=room.disk.free if room.disk else None,
                days_left=room.days_left,
            )


def partitions_kept(database: Database, settings: Settings) -> tuple[Kept, ...]:
    """The partitioned tables, with the days that the settings and the streams say."""
    row = database.one(sql.longest_keep)
    return (
        Kept("run_history_eventful", settings.keep_runs),
        Kept("run_history_uneventful", settings.keep_idle_runs),
        Kept("events", settings.keep_events),
        Kept("audit", settings.keep_audit, sealed=True),
        Kept("record_versions", row["days"] if row else 0, column="valid_to", monthly=True),
    )


def keep_all_partitions(services: Services) -> None:
    """Make the partitions ahead, drop those behind."""
    keep_partitions(services.database, partitions_kept(services.database, services.settings))


def finish_removals(database: Database, *, seconds: float = REMOVAL_SECONDS) -> int:
    """Delete records of connections that are gone, for a moment; how many went."""
    gone, ends = 0, time.monotonic() + seconds
    for stream in database.all(sql.removed_streams):
        params = {"stream": stream["stream_id"], "bucket": stream["bucket"], "batch": REMOVED_AT_ONCE}
        records = in_partition(sql.remove_records, stream["bucket"])
        for statement in (records, *_in_parts(database, sql.remove_versions)):
            while (count := database.run(statement, params)) > 0:
                gone += count
                if count == REMOVED_AT_ONCE and time.monotonic() >= ends:
                    return gone
        database.run(sql.removal_done, params)
        log.info("removal_finished", stream_id=stream["stream_id"])
        if time.monotonic() >= ends:
            break
    return gone
