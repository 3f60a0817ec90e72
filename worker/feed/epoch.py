"""Is this still the cluster that gave the places of the feed, and what happens when it isn't?

After a restore of a dump or of files, and after a failover, transaction numbers may begin lower than those in the feed, or
repeat. Then places that lie in the future are given anew, in batches, and a new epoch opens, in which old positions begin
at the beginning: a reader sees changes twice, and misses none. Until it is open nothing is served.
Emits: feed_renewing, feed_epoch_opened.
"""

import time

import psycopg
import structlog
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import Transient
from worker.feed.position import Feed, Place

log = structlog.get_logger()

LOCK = 7_433_110_913
"""Beats take turns at renewing places."""
BATCH = 2_000
PARTS = ("system", "timeline", "database", "table")
UNREADABLE = {
    "system": "this server doesn't let its users read the system identifier (pg_control_system)",
    "timeline": "this server doesn't say its timeline (pg_current_wal_lsn)",
}


def same_cluster(before: str | None, now: str) -> bool:
    """Whether two identities can be those of one cluster: what only one of them knows says nothing."""
    if before is None:
        return False
    pairs = zip(before.split("/"), now.split("/"), strict=True)
    return all(old == new or "-" in {old, new} for old, new in pairs)


def unreadable(identity: str) -> list[str]:
    """What of its identity a server keeps to itself, in words. The rest tells a restored dump all the same."""
    known = dict(zip(PARTS, identity.split("/"), strict=True))
    return [words for part, words in UNREADABLE.items() if known[part] == "-"]


def read_feed(tx: psycopg.Connection[DictRow]) -> Feed | None:
    """What the feed is in the snapshot of this transaction; None while its epoch isn't that of this cluster."""
    row = tx.execute(sql.feed_now, prepare=False).fetchone()
    assert row is not None  # noqa: S101 - the migration put it there
    if not same_cluster(row["identity"], row["cluster"]):
        return None
    epoch = row["epoch"]
    return Feed(
        epoch=epoch,
        floor=Place(row["floor_epoch"], int(row["floor_xid"]), row["floor_seq"]),
        horizon=int(row["horizon"]),
        end=Place(epoch, int(row["end_xid"]), row["end_seq"]),
    )


def keep_epoch(database: Database, *, seconds: float = 1.0) -> bool:
    """See that the epoch is that of this cluster; whether it is now. Renews places for so many seconds at most.

    Harmless twice at once: who comes second leaves it to the first.
    """
    row = database.one("SELECT identity, headrace_cluster() AS cluster FROM feed_state")
    assert row is not None  # noqa: S101 - the migration put it there
    before, cluster = row["identity"], row["cluster"]
    if same_cluster(before, cluster):
        if before != cluster and cluster.count("-") < before.count("-"):
            database.run(sql.note_identity, {"before": before, "cluster": cluster})
        return True
    until = time.monotonic() + seconds
    renewed = 0
    while more := _renew(database):
        renewed += more
        if time.monotonic() >= until:
            break
    if more == 0:
        return _open(database, before, cluster)
    if renewed:
        log.warning("feed_renewing", records=renewed)
    return False


def require_epoch(database: Database) -> None:
    """For a reader who found another epoch: open it where nothing is in the way, or ask for patience."""
    if not keep_epoch(database, seconds=0.0):
        raise renewing()


def renewing() -> Transient:
    return Transient(
        "feed_renewing", "The database was restored or moved, and the feed is being numbered anew."
    )


def raise_floor(connection: psycopg.Connection[DictRow], xid: int | str, seq: int) -> None:
    """Say that tombstones up to this place are forgotten, in the transaction that deletes them.

    `xid` and `seq` are `change_xid` and `change_seq` of the last of them in the order of the feed. Readers who have not
    come so far are told to begin again (`position_expired`).
    """
    connection.execute(sql.raise_floor, {"xid": str(xid), "seq": seq})


def _renew(database: Database) -> int | None:
    """One batch; how many got a new place. None: somebody else is at it."""
    with database.transaction() as tx:
        tx.execute(sql.by_index)
        mine = tx.execute("SELECT pg_try_advisory_xact_lock(%s) AS mine", (LOCK,)).fetchone()
        if not mine or not mine["mine"]:
            return None
        return tx.execute(sql.renew_places, {"batch": BATCH}, prepare=False).rowcount


def _open(database: Database, before: str | None, cluster: str) -> bool:
    """Open the epoch if no place is left that this cluster has yet to come to; whether it did."""
    with database.transaction() as tx:
        tx.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        left = tx.execute(sql.future_places, prepare=False).fetchone()
        if left and left["found"]:
            return False  # somebody is writing it; the next look finds it done
        opened = tx.execute(sql.open_epoch, {"before": before, "cluster": cluster}).fetchone()
    if opened and before is not None:
        log.warning("feed_epoch_opened", epoch=opened["epoch"], before=before, cluster=cluster)
    return True
