"""How much does each connection take, and when is the disk full?

Counting all rows would take minutes where there are many, so a few hundred blocks of each partition are looked at: they
say whose the rows and bytes are, and the catalog says how many there are. Small tables are read whole and told exactly.
The disk of a Postgres is seen where it runs on this machine; of another nothing but the database's size can be known.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import load_queries

sql = load_queries("scheduler.keeping", "storage.sql")

SAMPLED_BLOCKS = 400
"""Of each partition: 3 MB, read in a moment."""
LITTLE_SHARE = 0.10
SOON_DAYS = 7.0
SHORTEST_SPAN = 6 * 3600.0
"""Growth is told from samples that lie so far apart, in seconds; a first load would else be taken for the rule."""
DAY = 86400.0


@dataclass(slots=True)
class Amount:
    """Rows and the bytes that they take, indexes and all."""

    rows: int = 0
    bytes: int = 0
    exact: bool = True
    """False: told from a sample."""


@dataclass(slots=True)
class StreamStorage:
    """What one stream takes."""

    connection: str
    environment: str
    stream: str
    records: Amount = field(default_factory=Amount)
    versions: Amount = field(default_factory=Amount)
    quarantine: Amount = field(default_factory=Amount)

    @property
    def bytes(self) -> int:
        return self.records.bytes + self.versions.bytes + self.quarantine.bytes

    def as_json(self) -> dict[str, Any]:
        """For programs. `exact` is false for what was told from a sample."""
        amounts = {"records": self.records, "versions": self.versions, "quarantine": self.quarantine}
        return {
            "connection": self.connection,
            "environment": self.environment,
            "stream": self.stream,
            "bytes": self.bytes,
            **{
                name: {"rows": amount.rows, "bytes": amount.bytes, "exact": amount.exact}
                for name, amount in amounts.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Disk:
    """The volume that the database is on, where it can be seen."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Room:
    """How large the database is, and how long there is room for it."""

    bytes: int
    disk: Disk | None
    grows: float | None
    """Bytes a day; None: not known yet."""

    @property
    def days_left(self) -> float | None:
        """Until the disk is full at this pace; None: it can't be told, or isn't in sight."""
        if self.disk is None or self.grows is None or self.grows <= 0:
            return None
        return self.disk.free / self.grows

    def as_json(self) -> dict[str, Any]:
        """For programs. None: it can't be told."""
        return {
            "bytes": self.bytes,
            "bytes_a_day": None if self.grows is None else round(self.grows),
            "disk_bytes": self.disk.total if self.disk else None,
            "disk_free": self.disk.free if self.disk else None,
            "days_left": None if self.days_left is None else round(self.days_left, 1),
        }

    @property
    def is_little(self) -> bool:
        """Whether somebody should do something about it."""
        if self.disk is None:
            return False
        soon = self.days_left is not None and self.days_left < SOON_DAYS
        return soon or self.disk.free < LITTLE_SHARE * self.disk.total


def read_storage(database: Database, connection_id: int | None = None) -> list[StreamStorage]:
    """What each stream takes, of all connections or of one, in the order of the names."""
    found = {
        row["id"]: StreamStorage(row["connection"], row["environment"], row["stream"])
        for row in database.all(sql.stored_streams, {"connection": connection_id})
    }
    with database.connection() as connection:
        for stream_id, amount in _amounts(connection, "records").items():
            if stream_id in found:
                found[stream_id].records = amount
        for stream_id, amount in _amounts(connection, "record_versions").items():
            if stream_id in found:
                found[stream_id].versions = amount
        for row in connection.execute(sql.quarantined):
            if row["stream_id"] in found:
                found[row["stream_id"]].quarantine = Amount(row["rows"], row["bytes"])
    return list(found.values())


def _amounts(connection: "psycopg.Connection[DictRow]", table: str) -> Mapping[int, Amount]:
    """Rows and bytes of each stream in all parts of a table."""
    amounts: dict[int, Amount] = defaultdict(Amount)
    for part in connection.execute(sql.parts_of, {"table": table}).fetchall():
        share = min(1.0, SAMPLED_BLOCKS / max(1, part["blocks"]))
        sampled = _sample(connection, part["name"], share)
        for stream_id, rows, size in _spread(sampled, part["bytes"], share):
            amount = amounts[stream_id]
            amount.rows += rows
            amount.bytes += size
            amount.exact = amount.exact and share == 1.0
    return amounts


def _sample(connection: "psycopg.Connection[DictRow]", part: str, share: float) -> Sequence[DictRow]:
    """`part` is a name that Postgres itself has quoted. Always the same blocks, so that two looks compare."""
    sample = "" if share == 1.0 else f" TABLESAMPLE SYSTEM ({share * 100:.6f}) REPEATABLE (0)"
    statement = (
        f"SELECT stream_id, count(*) AS rows, sum(pg_column_size(t.*))::bigint AS bytes FROM {part} t{sample}"  # noqa: S608
        " GROUP BY stream_id"
    )
    return connection.execute(statement).fetchall()


def _spread(sampled: Sequence[Mapping[str, Any]], size: int, share: float) -> Iterator[tuple[int, int, int]]:
    """Each stream's rows, and its part of the bytes of the whole: indexes and what is dead are everybody's."""
    whole = sum(row["bytes"] for row in sampled)
    for row in sampled:
        yield row["stream_id"], round(row["rows"] / share), round(size * row["bytes"] / max(1, whole))


def look_at_room(database: Database) -> Room:
    """How large the database is, how it grows, and what its disk has left."""
    row = database.one(sql.database_size)
    assert row is not None  # noqa: S101 - SELECT answers
    disk = _disk(row["folder"]) if row["same_host"] else None
    return Room(row["bytes"], disk, growth([(s["at"], s["bytes"]) for s in database.all(sql.samples)]))


def keep_sample(database: Database) -> Room:
    """Remember how large it is now, and forget what is too old to say anything."""
    room = look_at_room(database)
    database.run(
        sql.take_sample,
        {
            "bytes": room.bytes,
            "free": room.disk.free if room.disk else None,
            "disk": room.disk.total if room.disk else None,
        },
    )
    database.run(sql.forget_samples)
    return room


def growth(samples: Sequence[tuple[float, int]]) -> float | None:
    """Bytes a day, as the line that fits the samples best has it; None: they are too few, or lie too close together."""
    if len(samples) < 3 or samples[-1][0] - samples[0][0] < SHORTEST_SPAN:
        return None
    middle = sum(at for at, _ in samples) / len(samples)
    mean = sum(size for _, size in samples) / len(samples)
    spread = sum((at - middle) ** 2 for at, _ in samples)
    return DAY * sum((at - middle) * (size - mean) for at, size in samples) / spread


def _disk(folder: str | None) -> Disk | None:
    """None: nobody told us where the data is, or it isn't on this machine."""
    try:
        usage = shutil.disk_usage(folder) if folder else None
    except OSError:
        return None
    return None if usage is None else Disk(usage.total, usage.free)


def in_words(room: Room) -> str:
    """For a person: `database 1.2 GB, 30.1 GB (12 %) free, full in about 9 days at this pace`."""
    words = [f"database {size(room.bytes)}"]
    if room.disk is None:
        words.append("the disk of its server can't be seen from here")
    else:
        words.append(
            f"{size(room.disk.free)} ({100 * room.disk.free / max(1, room.disk.total):.0f} %) of its disk free"
        )
    if room.days_left is not None:
        words.append(f"full in about {room.days_left:.0f} days at this pace")
    elif room.grows is not None and room.grows > 0:
        words.append(f"grows by {size(room.grows)} a day")
    return ", ".join(words)


def size(count: float) -> str:
    """`512 B`, `1.5 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"
