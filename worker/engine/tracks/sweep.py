"""How is a delete noticed that nobody told of? A sweep lists what is there, for its keys alone; who is missing is suspected.

`listing` reads and stages, `judge` decides what that is worth, `asking` asks for a few by their keys, `burying` makes the
tombstones. Too many at once are held until a person decides; that decision is a run of this track, too.
Emits: sweep_judged, deletes_held, keys_requested.
"""

from dataclasses import dataclass, fields
from typing import Any

import psycopg
import structlog
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from worker.connectors.contract import Source, Stream
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.engine.deletes.asking import CONTROLS, Asked, ask
from worker.engine.deletes.burying import HERE, bury
from worker.engine.deletes.fuse import Held
from worker.engine.deletes.judge import (
    ENOUGH,
    Judged,
    Past,
    Weighed,
    allowance,
    judge,
    share_of,
    trips,
    wants_another,
)
from worker.engine.deletes.listing import Generation, fenced, read_list
from worker.engine.ending.commit import complete
from worker.engine.fetching.extract import Extractor
from worker.engine.job import Job
from worker.engine.port import Engine
from worker.errors import BadRecord, LostLease
from worker.runs.finish import Failure
from worker.runs.request import Requested, request_run
from worker.runs.states import Lane, State
from worker.runs.wakeups.publish import publish

log = structlog.get_logger()

SOON = 900.0
"""Seconds until the second look, where one is wanted."""
MOST_READ = 500
"""So many that the copy lacks are asked for after one sweep; the next finds the others."""


def sweep_stream(engine: Engine, job: Job) -> None:
    """Find what is gone at the source, or bury what a person has accepted."""
    accepted = job.run.scope.get("accept")
    if accepted is not None:
        _bury_accepted(engine, job, int(accepted))
        return
    source = engine.registry.get(job.run.system, job.run.manifest_version).bind(job.run.settings)
    stream = source.stream(job.run.stream).sweep()
    if stream is None:
        engine.database.run(sql.never_sweep, {"stream": job.run.stream_id})
        complete(engine, job)
        return
    job.begin(engine, stream.traits)
    extractor = Extractor(engine.sender, job.context(source), stream, ahead=engine.ahead, now=job.run.now)
    _Sweep(engine, job, source, read_list(engine, job, stream, extractor)).end()


@dataclass(slots=True)
class _Found:
    """What a sweep came to."""

    weighed: Weighed
    past: Past
    judged: Judged
    unread: int
    """Seen, and not in the copy."""
    unconfirmed: int = 0
    deleted: int = 0
    held: Failure | None = None


class _Sweep:
    """A list that was read to its end, and what follows from it."""

    def __init__(self, engine: Engine, job: Job, source: Source, generation: Generation) -> None:
        self._engine = engine
        self._job = job
        self._source = source
        self._all_history = job.run.history_days is None
        self._place: dict[str, Any] = {
            "stream": job.run.stream_id,
            "bucket": job.run.bucket,
            "generation": generation.number,
            "started": generation.started_at,
        }

    def end(self) -> None:
        """Judge, confirm, hold or bury; and end the run with what came of it."""
        found = self._weigh()
        if found.judged.verdict == "complete":
            self._suspect(found)
            self._decide(found)
        else:
            with fenced(self._engine, self._job) as connection:
                connection.execute(sql.clear_seen, self._place)
        self._close(found)

    def _weigh(self) -> _Found:
        with self._engine.database.transaction() as connection:
            connection.execute(sql.plan_by_size)
            row = connection.execute(self._in_partition(sql.weigh_sweep), self._place).fetchone()
            past = connection.execute(sql.past_sweeps, self._place).fetchone()
        if row is None or past is None:
            raise LostLease(self._job.run.id)  # a later claim has begun anew
        weighed = Weighed(**{each.name: row[each.name] for each in fields(Weighed)})
        judged = judge(weighed, before := Past(**past))
        log.info("sweep_judged", verdict=judged.verdict, **{n: row[n] for n in ("seen", "held", "missing")})
        unread = row["risen"] + (row["unknown"] if self._all_history else 0)
        return _Found(weighed, before, judged, unread)

    def _suspect(self, found: _Found) -> None:
        """Note who is missing, and ask for a few of them."""
        if not found.weighed.missing:
            with fenced(self._engine, self._job) as connection:
                connection.execute(sql.clear_all_suspects, self._place)
            return
        with fenced(self._engine, self._job) as connection:
            connection.execute(sql.plan_by_size)
            connection.execute(self._in_partition(sql.note_missing), self._place)
        most = allowance(self._job.run.pages + self._job.pages)
        asked = self._ask(most)
        if asked.refutes:
            words = (
                f"{len(asked.found):,} of {len(asked.found) + len(asked.absent):,} records that weren't listed are there: "
                "the list leaves some out, so its silence counts for nothing."
            )
            found.judged = Judged("refuted", "sweep_refuted", words)
        self._confirm(asked)

    def _ask(self, most: int) -> Asked:
        database = self._engine.database
        keys, seen = (
            [row["key"] for row in database.all(statement, {**self._place, "most": count})]
            for statement, count in ((sql.suspects_to_ask, most), (sql.seen_keys, CONTROLS))
        )
        asked = ask(self._engine, self._job, self._source, keys, seen)
        if asked.found:
            self._job.load(self._engine, asked.found, HERE)
        return asked

    def _confirm(self, asked: Asked) -> None:
        absent = {"keys": list(asked.absent), "times": list(asked.absent.values())}
        with fenced(self._engine, self._job) as connection:
            connection.execute(sql.clear_suspects, {**self._place, "keys": asked.found_keys})
            connection.execute(sql.confirm_absent, self._place | absent)
            if asked.refutes:
                connection.execute(sql.withdraw_sweep, self._place)
            else:
                connection.execute(sql.confirm_missed, {**self._place, "enough": ENOUGH})

    def _decide(self, found: _Found) -> None:
        """Bury who is confirmed, unless so many are suspected that a person has to look at them first."""
        database, run = self._engine.database, self._job.run
        count = database.one(sql.count_suspects, self._place)
        assert count is not None  # noqa: S101 - it counts
        found.unconfirmed = count["suspected"] - count["confirmed"]
        share = share_of(run.options)
        if not trips(
            count["suspected"], found.past, held=found.weighed.held, share=share, ask=found.judged.ask
        ):
            if count["fuse"]:
                with fenced(self._engine, self._job) as connection:
                    connection.execute(sql.lift_fuse, self._place)
            found.deleted = bury(self._engine, self._job)
            return
        held = Held.of(run, count["suspected"], found.weighed.held, share, found.judged.words)
        found.held = Failure("deletes_held", held.words)
        log.warning("deletes_held", suspected=count["suspected"], records=found.weighed.held)
        if not count["fused"]:  # what a person may be looking at already stays as it is
            with fenced(self._engine, self._job) as connection:
                fuse = Jsonb(held.as_json(run, self._place["generation"], run.now()))
                connection.execute(sql.set_fuse, {**self._place, "fuse": fuse})

    def _close(self, found: _Found) -> None:
        judged = found.judged
        failure = found.held or (Failure(judged.code, judged.words) if judged.verdict != "complete" else None)
        wanted = None
        with fenced(self._engine, self._job) as connection:
            if found.unread and judged.verdict in {"complete", "refuted"}:
                wanted = self._request_unread(connection)
            connection.execute(
                sql.end_sweep,
                {
                    **self._place,
                    "verdict": judged.verdict,
                    **{name: getattr(found.weighed, name) for name in ("seen", "held", "missing")},
                    "unread": found.unread,
                    "deleted": found.deleted,
                    "again": wants_another(judged, found.past, unconfirmed=found.unconfirmed),
                    "soon": SOON,
                    "words": failure and failure.words,
                },
            )
        if wanted is not None:
            publish([(wanted.id, wanted.queue)])
        complete(self._engine, self._job, _outcome(found), words=failure)

    def _request_unread(self, connection: psycopg.Connection[DictRow]) -> Requested | None:
        """Have those read that the copy lacks, where the system can be asked for them by their keys."""
        run = self._job.run
        asked = {**self._place, "unknown": self._all_history, "most": MOST_READ}
        connection.execute(sql.plan_by_size)
        keys = [row["key"] for row in connection.execute(self._in_partition(sql.keys_to_read), asked)]
        log.warning("keys_requested", keys=len(keys))
        if not keys or not _can_ask(self._source.stream(run.stream), keys[0]):
            return None
        return request_run(
            connection,
            stream_id=run.stream_id,
            system=run.system,
            lane=Lane.BACKFILL,
            cause="sweep",
            request_id=run.request_id,
            track="records",
            scope={"ids": keys},
        )

    def _in_partition(self, statement: str) -> str:
        return in_partition(statement, self._job.run.bucket)


def _can_ask(stream: Stream, key: str) -> bool:
    try:
        return stream.single(key) is not None
    except BadRecord:
        return True


def _outcome(found: _Found) -> State:
    if found.judged.code == "sweep_empty":
        return State.SUSPICIOUS_EMPTY
    return State.PARTIAL if found.held or found.judged.verdict != "complete" else State.SUCCEEDED


def _bury_accepted(engine: Engine, job: Job, number: int) -> None:
    """All that the fuse of that number held when a person looked, and is still missing."""
    place = {"stream": job.run.stream_id}
    row = engine.database.one(sql.read_fuse, place)
    if row is not None and row["fuse"] is not None and row["fuse"]["number"] == number:
        bury(engine, job, fuse=number)
        with fenced(engine, job) as connection:
            connection.execute(sql.lift_fuse, place)
    complete(engine, job)
