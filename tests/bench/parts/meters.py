"""What did Postgres and Valkey have to do for it? Read before and after, the difference is the cost."""

import threading
from dataclasses import astuple, dataclass
from typing import Any

import psutil
import psycopg
import redis

from tests.bench.parts.processes import cpu_seconds
from tests.bench.parts.world import World

_SETTLING = 1.5
"""Backends report what they did after a second at the latest."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Of the servers and the parts of a world, since they were started."""

    postgres_cpu: float
    commits: float
    wal_bytes: float
    valkey_cpu: float
    valkey_commands: float
    worker_cpu: float
    beat_cpu: float

    def per(self, before: "Reading", count: float) -> "Reading":
        """The difference, shared out."""
        pairs = zip(astuple(self), astuple(before), strict=True)
        return Reading(*((now - then) / count for now, then in pairs))


def read_meters(own: World) -> Reading:
    """All meters, after what was just done has been counted."""
    threading.Event().wait(_SETTLING)
    with psycopg.connect(own.database_url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT pg_backend_pid(), xact_commit, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8"
            " FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        assert row is not None
        postmaster = psutil.Process(row[0]).ppid()
        postgres_cpu = cpu_seconds(postmaster)
    with redis.Redis.from_url(own.broker_url) as client:
        info: dict[str, Any] = client.info()
    return Reading(
        postgres_cpu,
        row[1],
        row[2],
        info["used_cpu_user"] + info["used_cpu_sys"],
        info["total_commands_processed"],
        own.cpu("worker") if "worker" in own.parts else 0.0,
        own.cpu("beat") if "beat" in own.parts else 0.0,
    )


def valkey_calls(own: World) -> dict[str, int]:
    """How often each command was called."""
    with redis.Redis.from_url(own.broker_url) as client:
        stats: dict[str, Any] = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): found["calls"] for name, found in stats.items()}


def table_bytes(own: World, pattern: str) -> int:
    """What tables of this name take with their indexes, partitions and all."""
    row = own.one(
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint AS n FROM pg_class"
        " WHERE relname LIKE %(pattern)s AND relkind = 'r'",
        pattern=pattern,
    )
    return int(row["n"])
