"""How is a whole Headrace put up for a measurement, and how is it known that its copy is right?

A database with any number of connections and streams, made in bulk; workers and beats as users start them, as processes
of their own that are ended by their pid; and a comparison of the copy with the source, byte for byte.
"""

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg.rows import DictRow

from scheduler.beat.due import place
from scheduler.embedded.supervisor.parts import headrace_command, part_environment
from scheduler.embedded.supervisor.processes import Child, spawn
from tests.bench.parts.processes import Watch, cpu_seconds
from tests.bench.parts.servers import Source, fresh_database
from worker.app import configure
from worker.config import load_settings
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.migrate import migrate
from worker.db.queries import sql
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.services import all_queues
from worker.views.streams import described_all

CONNECTOR = Path(__file__).with_name("connector")
IDLE_STREAMS = tuple(f"idle_{number}" for number in range(10))
_pause = threading.Event()


class World:
    """One database, one broker, and the processes that work on them."""

    def __init__(self, folder: Path, database_url: str, broker_url: str) -> None:
        self.home, self.secrets = folder / "home", folder / "secrets"
        self.home.mkdir()
        self.secrets.mkdir()
        self.database_url = database_url
        self.broker_url = broker_url
        self.connectors = self.home / "connectors"
        self.parts: dict[str, Child] = {}
        self.add_system("bench")
        self.database = Database(database_url, name="bench", pool=4)
        migrate(self.database)

    # --- What there is to do

    def add_system(self, system: str, **changes: Any) -> None:
        """The benchmark's manifest under a name, with keys of it replaced: `limits={"requests": 10, "per": "1s"}`."""
        manifest = yaml.safe_load((CONNECTOR / "bench" / "manifest.yaml").read_text())
        target = self.connectors / system / "manifest.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(yaml.safe_dump(manifest | {"system": system} | changes))

    def add_connections(
        self,
        base_url: str,
        *,
        system: str = "bench",
        count: int = 1,
        streams: Sequence[str] = IDLE_STREAMS,
        every: float = 300.0,
        first_due: float | None = 0.0,
        spread: float | None = None,
        done: bool = True,
        labelled: bool = False,
    ) -> None:
        """Connections, each with these streams, in one statement each: 100,000 streams take seconds.

        `first_due`: seconds from now at which the first is due (None: not scheduled), the others spread evenly over
        `spread` (one interval). `done`: their first sync is behind them, so that a run finds nothing to catch up on.
        `labelled`: each connection's requests arrive at the source under the connection's name.
        """
        spread = every if spread is None else spread
        with self.database.transaction() as connection:
            made = connection.execute(
                """INSERT INTO connections (name, system, settings)
                   SELECT n, %(system)s, jsonb_build_object('base_url',
                          %(url)s || CASE WHEN %(labelled)s THEN '/at/' || n ELSE '' END)
                     FROM (SELECT %(system)s || '-' || g AS n FROM generate_series(
                              (SELECT count(*) FROM connections) + 1,
                              (SELECT count(*) FROM connections) + %(count)s) g) names
                RETURNING id""",
                {"system": system, "url": base_url, "count": count, "labelled": labelled},
            ).fetchall()
            connection.execute(
                """WITH made AS (
                       INSERT INTO streams (connection_id, name, bucket, schedule, history_done_at, next_run_at)
                       SELECT c, s, (row_number() OVER ()) %% 32, jsonb_build_object('every', %(every)s::float8),
                              CASE WHEN %(done)s THEN now() END,
                              now() + make_interval(secs => %(due)s + %(spread)s * ((row_number() OVER ()) - 1)
                                      / (cardinality(%(ids)s::bigint[]) * cardinality(%(names)s::text[])))
                         FROM unnest(%(ids)s::bigint[]) c CROSS JOIN unnest(%(names)s::text[]) s
                    RETURNING id)
                   INSERT INTO cursors (stream_id, track, watermark)
                   SELECT id, 'live', to_jsonb(to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                     FROM made WHERE %(done)s""",
                {
                    "ids": [row["id"] for row in made],
                    "names": list(streams),
                    "every": every,
                    "due": first_due,
                    "spread": spread,
                    "done": done,
                },
            )
        if done:
            self._keep_views(made)
        self._analyze()

    def _keep_views(self, connections: Sequence[DictRow]) -> None:
        """Streams that were read before have their views; ten thousand real ones would take minutes and nobody reads them."""
        ids = [row["id"] for row in connections]
        registry = Registry.load([self.connectors])
        found = self.database.all(sql.streams_of_connections_for_views, {"connections": ids[:1]})
        known = [stream for _, stream in described_all(self.database, found, registry)]
        bases = {stream.name: stream.basis for stream in known}
        self.database.run(
            """INSERT INTO stream_views (stream_id, connection_id, bucket, name, signature, basis, looked_at, counted_at)
               SELECT s.id, s.connection_id, s.bucket, 'bench_' || s.id, '', b.basis, now(), now()
                 FROM streams s JOIN unnest(%(names)s::text[], %(bases)s::text[]) AS b (name, basis) ON b.name = s.name
                WHERE s.connection_id = ANY (%(ids)s)""",
            {"names": list(bases), "bases": list(bases.values()), "ids": ids},
        )

    def come_to_pace(self) -> None:
        """Every stream with a schedule falls due at its own point from now on, as after its first run."""
        rows = self.database.all("SELECT id FROM streams WHERE next_run_at IS NOT NULL")
        streams = [row["id"] for row in rows]
        self.database.run(
            "UPDATE streams s SET place = p.place, next_run_at = headrace_next_point(s.schedule, p.place, now())"
            "  FROM unnest(%(streams)s::bigint[], %(places)s::bigint[]) AS p (id, place) WHERE s.id = p.id",
            {"streams": streams, "places": [place(stream) for stream in streams]},
        )
        self._analyze()

    def _analyze(self) -> None:
        """What autovacuum would have done by the time that so many rows were made by hand."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE connections, streams, cursors, runs")

    def request(self, stream: str = "work_orders") -> None:
        """Ask for a run of each stream of this name, as `headrace sync` does, and wake a worker."""
        self.publisher()
        streams = self.database.all(
            "SELECT s.id, c.system FROM streams s JOIN connections c ON c.id = s.connection_id WHERE s.name = %(stream)s",
            {"stream": stream},
        )
        from worker.runs.wakeups.publish import publish  # noqa: PLC0415 - after Celery knows its broker

        with self.database.transaction() as connection:
            asked = [
                request_run(
                    connection,
                    stream_id=row["id"],
                    system=row["system"],
                    lane=Lane.ON_DEMAND,
                    cause="cli",
                    request_id="bench",
                )
                for row in streams
            ]
        publish([(requested.id, requested.queue) for requested in asked])

    def publisher(self) -> Registry:
        """Make this process publish to this world's broker."""
        registry = Registry.load([self.connectors])
        assert not registry.problems(), registry.problems()
        settings = load_settings(broker_url=self.broker_url, database_url=self.database_url, home=self.home)
        configure(settings, all_queues(registry.systems()), publisher=True)
        return registry

    def sync(self, stream: str = "work_orders", timeout: float = 300.0) -> float:
        """Ask for a run of each stream of this name and wait for all that follows from it; seconds by Postgres' clock."""
        before = self.one("SELECT clock_timestamp() AS at")["at"]
        self.request(stream)
        self.wait(self._is_idle, timeout, what="the end of all runs")
        took = self.one(
            "SELECT extract(epoch FROM max(finished_at) - min(created_at))::float8 AS seconds,"
            " count(*) FILTER (WHERE state <> 'succeeded') AS failed FROM run_history WHERE created_at >= %(before)s",
            before=before,
        )
        if took["failed"] or took["seconds"] is None:
            raise RuntimeError(f"Not every run succeeded: {self.outcomes()}\n{self.tails()}")
        return float(took["seconds"])

    # --- Who does it

    def start(self, name: str, *arguments: str, **settings: object) -> Child:
        """`headrace <arguments>` under a name of yours, with HEADRACE_<SETTING> for each keyword. Doesn't wait."""
        return self.start_program(name, *headrace_command(*arguments)[1:], **settings)

    def start_program(self, name: str, *arguments: str, **settings: object) -> Child:
        """The same for any program of our Python: `-m`, a module, its arguments."""
        environment = {f"HEADRACE_{key.upper()}": str(value) for key, value in settings.items()}
        environment = {
            "HEADRACE_LOG_FORMAT": "json",
            "HEADRACE_DATABASE_URL": self.database_url,
            "HEADRACE_BROKER_URL": self.broker_url,
            "HEADRACE_CONNECTORS": str(self.connectors),
            **environment,
        }
        with (self.home / f"{name}.log").open("ab") as log:
            child = spawn(
                (sys.executable, *arguments),
                log=log,
                env=part_environment(os.environ, self.home, environment),
                folder=self.home,
            )
        self.parts[name] = child
        return child

    def start_worker(self, name: str = "worker", *arguments: str, **settings: object) -> Child:
        """`headrace worker`, once all of its processes are among the living."""
        before = self._living("worker")
        child = self.start(name, "worker", *arguments, **settings)

        def all_living() -> bool:
            return self._living("worker") - before >= max(1, len(child.process.children()))

        self.wait(all_living, 60, what=f"the start of {name}", every=0.1)
        return child

    def start_beat(self, name: str = "beat", **settings: object) -> Child:
        """`headrace beat`, once it is among the living."""
        before = self._living("beat")
        child = self.start(name, "beat", **settings)
        self.wait(lambda: self._living("beat") > before, 60, what=f"the start of {name}")
        return child

    def stop(self, *names: str) -> None:
        """Ask them to end, all at once; kill whoever takes longer than a quarter of a minute. All, if none is named."""
        chosen = [self.parts.pop(name) for name in (names or tuple(self.parts))]
        for child in chosen:
            child.send(signal.SIGTERM)
        deadline = time.monotonic() + 15
        for child in chosen:
            child.wait(max(0.0, deadline - time.monotonic()))
            child.kill()

    def watch(self, *names: str) -> Watch:
        """CPU and memory of these parts during a block."""
        return Watch(*(self.parts[name].pid for name in (names or tuple(self.parts))))

    def cpu(self, *names: str) -> float:
        """CPU seconds of these parts so far."""
        return cpu_seconds(*(self.parts[name].pid for name in (names or tuple(self.parts))))

    # --- What came of it

    def one(self, statement: str, **params: Any) -> DictRow:
        row = self.database.one(statement, params)
        assert row is not None
        return row

    def ended(self) -> int:
        """How many runs are over."""
        return int(self.one("SELECT count(*) AS n FROM run_history")["n"])

    def wait_ended(self, count: int, timeout: float = 90.0) -> None:
        """Until so many runs are over."""
        self.wait(lambda: self.ended() >= count, timeout, what=f"the end of {count} runs")

    def wait_idle(self, timeout: float = 90.0) -> None:
        """Until no run is open."""
        self.wait(self._is_idle, timeout, what="the end of all runs")

    def raise_failures(self) -> None:
        """Say why, instead of waiting, when runs are tried again and again."""
        row = self.database.one("SELECT error FROM runs WHERE wait_reason = 'retry' LIMIT 1")
        if row is not None:
            raise RuntimeError(f"A run failed: {row['error']}\n{self.tails()}")

    def _is_idle(self) -> bool:
        self.raise_failures()
        return bool(self.one("SELECT NOT EXISTS (SELECT FROM runs) AS idle")["idle"])

    def wait(self, condition: Any, timeout: float, *, what: str, every: float = 0.02) -> None:
        """Until it holds; an error that holds the end of every log if it doesn't in time, or if a part ended."""
        deadline = time.monotonic() + timeout
        while not condition():
            dead = [name for name, child in self.parts.items() if not child.alive]
            if dead or time.monotonic() > deadline:
                why = f"{', '.join(dead)} ended" if dead else f"it took more than {timeout:.0f} s"
                raise RuntimeError(f"No {what}: {why}.\n{self.tails()}")
            _pause.wait(every)

    def outcomes(self) -> dict[str, int]:
        """How the runs ended."""
        rows = self.database.all("SELECT state, count(*) AS n FROM run_history GROUP BY state")
        return {row["state"]: row["n"] for row in rows}

    def tails(self, lines: int = 8) -> str:
        """The ends of all logs."""
        found = []
        for log in sorted(self.home.glob("*.log")):
            text = log.read_text(errors="replace").splitlines()[-lines:]
            found.append(f"--- {log.name}\n" + "\n".join(_ends(line) for line in text))
        return "\n".join(found)

    def close(self) -> None:
        self.stop()
        self.database.close()

    def _living(self, kind: str) -> int:
        return int(self.one("SELECT count(*) AS n FROM processes WHERE kind = %(kind)s", kind=kind)["n"])


@contextmanager
def world(postgres: str, valkey: str) -> Iterator[World]:
    """A world in a database of its own; its processes are ended and its broker is emptied in the end."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder, fresh_database(postgres) as url:
        found = World(Path(folder), url, valkey)
        try:
            yield found
        finally:
            found.close()
            _empty(valkey)


def _ends(line: str, most: int = 300) -> str:
    """A traceback in a line of a log says what matters at its end."""
    return line if len(line) < 2 * most else f"{line[:most]} ... {line[-most:]}"


def _empty(valkey: str) -> None:
    import redis  # noqa: PLC0415

    with redis.Redis.from_url(valkey) as client:
        client.flushdb()


def differences(world: World, source: Source, stream: str = "work_orders") -> list[str]:
    """In what way the copies of this stream differ from the source; nothing if they are the same, byte for byte."""
    expected = source.content()
    found = []
    for row in world.database.all(
        "SELECT id FROM streams WHERE name = %(stream)s ORDER BY id", {"stream": stream}
    ):
        copied = world.database.all(
            "SELECT key, raw::text AS raw FROM records WHERE stream_id = %(id)s AND deleted_at IS NULL",
            {"id": row["id"]},
        )
        found += _compare(row["id"], expected, {each["key"]: each["raw"] for each in copied})
    return found


def _compare(stream: int, expected: Mapping[str, tuple[str, str]], copied: Mapping[str, str]) -> list[str]:
    missing = expected.keys() - copied.keys()
    extra = copied.keys() - expected.keys()
    wrong = [key for key, raw in copied.items() if key in expected and raw != expected[key][1]]
    counts = {"missing": len(missing), "too many": len(extra), "different": len(wrong)}
    return [f"stream {stream}: {count} {what}" for what, count in counts.items() if count]
