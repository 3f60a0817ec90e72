"""What may a comparison ask the source, and what does the copy hold beside it? The IO of verify: few requests, few rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from worker.connectors.contract import Page, Position, Request, Singles, Source, Stream, Window
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.engine.fetching.details import aside, with_answers
from worker.engine.job import Job
from worker.engine.port import Engine
from worker.engine.proof.compare import Held
from worker.errors import BadRecord, SliceEnded

BATCH = 10_000


class AllowanceSpent(Exception):
    """No more may be asked: it ends a way of looking, and no run."""


@dataclass(slots=True)
class Asker:
    """Asks the source, so many times and no more. What comes is screened before anybody sees it."""

    engine: Engine
    job: Job
    source: Source
    stream: Stream
    allowance: int
    spent: int = 0
    bound: int = field(init=False)
    """What may be spent by now: second looks are kept back until the first ones are done."""
    out_of_time: bool = False
    """The run's time in one worker is up. It keeps no place, so given back it would only begin again, for ever."""

    def __post_init__(self) -> None:
        self.bound = self.allowance

    @property
    def left(self) -> int:
        return max(0, self.bound - self.spent)

    def page(
        self, window: Window, position: Position | None, *, stream: Stream | None = None
    ) -> tuple[Page, datetime]:
        """A page, and when it was asked for."""
        of = stream or self.stream
        at = self.job.run.now()
        page = of.read(self._send(of.request(window, position)), window, position)
        if page.listed is not None and page.listed.pending:
            below = page.listed.below or of
            page = with_answers(page, [self._detail(below, key) for key in page.listed.pending])
        return self.job.screened(page), at

    def _detail(self, stream: Singles, key: str) -> Page:
        try:
            request = stream.single(key)
            return Page([]) if request is None else stream.read_single(self._send(request), key)
        except BadRecord as exc:
            return aside(key, exc)

    def single(self, key: str, request: Request) -> tuple[Page, datetime]:
        """The record of this key, or the evidence that it is gone."""
        at = self.job.run.now()
        return self.job.screened(self.stream.read_single(self._send(request), key)), at

    def _send(self, request: Request) -> Any:
        if self.left < 1:
            raise AllowanceSpent
        try:
            self.job.check()
        except SliceEnded:
            self.out_of_time = True
            raise AllowanceSpent from None
        self.spent += 1
        return self.engine.sender.send(self.job.context(self.source), request)


@dataclass(frozen=True, slots=True)
class Copy:
    """The stream's records as the copy holds them."""

    engine: Engine
    job: Job

    def held(self, keys: Sequence[str]) -> dict[str, Held]:
        rows = self._all("held_records", keys=list(keys))
        return {row["key"]: _held(row) for row in rows}

    def everything(self) -> dict[str, Held]:
        """All of it, tombstones too: only of a stream that is small enough to be read whole."""
        found: dict[str, Held] = {}
        for rows in self._batches():
            found.update((row["key"], _held(row)) for row in rows)
        return found

    def _batches(self) -> Iterator[list[Any]]:
        after = ""
        while rows := self._all("held_after", after=after, batch=BATCH):
            yield rows
            after = rows[-1]["key"]

    def count(self) -> int:
        return self.counts()[0]

    def counts(self) -> tuple[int, int]:
        """Live records, and tombstones."""
        row = self._all("count_held")[0]
        return row["records"], row["tombstones"]

    def any_key(self) -> str | None:
        """A key that a record has."""
        rows = self._all("held_after", after="", batch=1)
        return rows[0]["key"] if rows else None

    def some(self, most: int, of: int, *, seed: float) -> list[Held]:
        """Some live records from all over the stream."""
        rows = self._all("some_held", most=most, share=min(1.0, 3.0 * most / max(1, of)), seed=seed)
        return [_held(row) for row in rows]

    def contents(self, keys: Sequence[str]) -> dict[str, Any]:
        """The records themselves, for the names of their fields; what can't be read is left out."""
        found: dict[str, Any] = {}
        for row in self._all("contents_of", keys=list(keys)):
            try:
                found[row["key"]] = msgspec.json.decode(row["raw"])
            except (msgspec.MsgspecError, RecursionError, ValueError):
                continue
        return found

    def _all(self, name: str, **params: Any) -> list[Any]:
        run = self.job.run
        statement = in_partition(getattr(sql, name), run.bucket)
        place: Mapping[str, Any] = {"bucket": run.bucket, "stream": run.stream_id}
        if "seed" in params:
            with self.engine.database.transaction() as connection:
                connection.execute("SELECT setseed(%s)", (params.pop("seed"),))
                return connection.execute(statement, {**place, **params}).fetchall()
        return self.engine.database.all(statement, {**place, **params})


def _held(row: Any) -> Held:
    return Held(
        row["key"], row["content_hash"].bytes, row["observed_at"], row["deleted"], row["source_updated_at"]
    )
