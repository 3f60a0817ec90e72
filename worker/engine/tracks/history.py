"""How is a history read? Slice after slice, the newest first, until none is left or others have waited long enough.

A run takes up the newest slice that isn't done, wherever it stopped, and goes on to the next; each page is committed with its
slice's cursor and tally. The live cursor is never touched. What isn't cut yet is cut when its turn comes (`history.slices`):
where nothing has been read so far, the first page decides; if it is the only one, there was nothing to cut.
Emits: slice_cut, slice_done, window_restarted.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import structlog
from psycopg.types.json import Jsonb

from worker.connectors.contract import Stream
from worker.connectors.cursors import dump_cursor
from worker.db.queries import sql
from worker.engine.deletes.families import let_go
from worker.engine.ending.commit import complete
from worker.engine.ending.judged import judged
from worker.engine.fetching.extract import Extractor, Fetched
from worker.engine.fetching.groups import grouped
from worker.engine.history.begin import start_of, whole
from worker.engine.history.slices import (
    Slice,
    can_cut,
    cut,
    first_width,
    next_width,
    pending,
    slice_of,
    window_of,
)
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.planning.plan import (
    Checkpoint,
    Plan,
    checkpoint,
    go_on,
    has_history,
    has_lost_place,
    is_stale,
    plan_history,
    restart,
)
from worker.engine.port import Engine
from worker.engine.tracks.window import is_empty
from worker.engine.watching.cursor import CursorWatch
from worker.errors import LostLease, NeedsOperator
from worker.runs.claim import Stored
from worker.runs.finish import LastPage

log = structlog.get_logger()


def read_history(engine: Engine, job: Job) -> None:
    """Take what is left of the history into the copy, and end the run."""
    run = job.run
    source = engine.registry.get(run.system, run.manifest_version).bind(run.settings)
    stream = source.stream(run.stream)
    if not has_history(stream.traits):  # its manifest says so by now: the live run reads everything
        complete(engine, job, history_done=True)
        return
    job.watch = CursorWatch(engine.database, run, stream.traits)
    extractor = Extractor(engine.sender, job.context(source), stream, ahead=engine.ahead, now=run.now)
    _Reading(engine, job, stream, extractor).read()


class _Reading:
    """One run's work on the slices of its stream. Nobody else changes them meanwhile: whoever does, ends this run first."""

    def __init__(self, engine: Engine, job: Job, stream: Stream, extractor: Extractor) -> None:
        self._engine = engine
        self._job = job
        self._traits = stream.traits
        self._extractor = extractor
        self._slices = _slices(engine, job, stream)
        self._mark = time.monotonic()

    def read(self) -> None:
        """Slice after slice, and the end of the run."""
        while todo := pending(self._slices):
            piece = self._narrowed(todo[0])
            before = len(pending(self._slices))
            last = self._read(piece, only=before == 1)
            if last is not None:
                self._end_with(*last)
                return
            if 0 < len(pending(self._slices)) < before:  # and not only cut
                self._job.give_way()
        verdict = judged(self._engine, self._job, whole=False)
        complete(self._engine, self._job, verdict.state, words=verdict.words, history_done=True)

    def _end_with(self, piece: Slice, last: Fetched) -> None:
        """With a page without records, which ends the last slice."""
        verdict = judged(self._engine, self._job, whole=False)
        complete(
            self._engine,
            self._job,
            verdict.state,
            words=verdict.words,
            history_done=True,
            last=self._last_page(piece, last),
            load_last=lambda: self._load_alone(piece, last),
        )

    def _narrowed(self, piece: Slice) -> Slice:
        """The slice, or as much of it as is a few minutes' work, by what is known of those before."""
        width = next_width([each for each in self._slices if each.finished])
        if width is None or not can_cut(self._traits, piece):
            return piece
        return self._cut(piece, cut(piece, width)) or piece

    def _read(self, piece: Slice, *, only: bool) -> tuple[Slice, Fetched] | None:
        """Read a slice to its end, or cut it at its first page.

        A last page without records is handed back uncommitted where nothing else is to be read (`only`): it goes with the
        end of the run.
        """
        self._turn_to(piece)
        plan = Plan(window_of(self._traits, piece.since, piece.until))
        plan = go_on(plan, piece.position, self._traits)
        if is_stale(self._job.run, self._traits, self._job.run.now()):
            plan = restart(plan)
        pages = self._job.pages
        try:
            return self._take(piece, plan, only=only)
        except NeedsOperator as exc:
            if not has_lost_place(plan, exc, pages=self._job.pages - pages):
                raise
            log.info("window_restarted", reason=str(exc))
            return self._take(piece, restart(plan), only=only)

    def _take(self, piece: Slice, plan: Plan, *, only: bool) -> tuple[Slice, Fetched] | None:
        first = (
            can_cut(self._traits, piece)
            and plan.position is None
            and not any(each.finished for each in self._slices)
        )
        with closing(self._extractor.pages(plan)) as pages:
            for group in grouped(pages, self._extractor.next_is_here):
                if first:
                    first, counted = False, self._counted(piece, group[0])
                    if self._cut(counted, self._cut_by(counted, group[0])):
                        return None
                    piece = counted
                last = group[-1]
                held_back = only and is_empty(last)
                if to_load := group[:-1] if held_back else group:
                    piece = self._load(piece, to_load)
                if held_back:
                    return piece, last
                if last.done:
                    self._finished(piece)
                    return None
                del last, to_load  # or their records are held while the next page comes in
                self._job.give_way()
        raise AssertionError("a slice has a last page")

    def _counted(self, piece: Slice, first: Fetched) -> Slice:
        """The slice with what its first page says of all of it."""
        cursors = [record.cursor for record in first.page.records if record.cursor is not None]
        begin = None
        if piece.since is None and self._traits.ordered and cursors:
            begin = min(cursors)
        assert not isinstance(begin, int)  # noqa: S101 - a history is ordered by time
        return replace(piece, tally=replace(piece.tally, left=first.page.in_all, begin=begin))

    def _cut_by(self, piece: Slice, first: Fetched) -> tuple[Slice, Slice] | None:
        """Where the first page of all shows that more than a slice's work is there."""
        if first.done:
            return None
        width = first_width(len(first.page.records), piece.tally.left, piece.seconds)
        return None if width is None else cut(piece, width)

    def _cut(self, whole_: Slice, parts: tuple[Slice, Slice] | None) -> Slice | None:
        """Keep the two parts in place of the whole; the newer one, which is next."""
        if parts is None:
            return None
        newer, rest = parts
        rest = replace(rest, tally=whole_.tally)
        run = self._job.run
        found = self._engine.database.one(
            sql.cut_slice,
            {
                "run": run.id,
                "claim": run.claim_no,
                "slice": newer.name,
                "rest": rest.name,
                "seam": Jsonb(dump_cursor(rest.until)),
                "since": None if rest.since is None else Jsonb(dump_cursor(rest.since)),
                "newer": Jsonb(newer.tally.as_json()),
                "older": Jsonb(rest.tally.as_json()),
            },
        )
        if found is None:
            raise LostLease(run.id)
        log.info("slice_cut", since=rest.name, until=newer.name)
        self._slices = [each for each in self._slices if each.name != newer.name] + [newer, rest]
        return newer

    def _turn_to(self, piece: Slice) -> None:
        """What is committed from here on moves this slice's cursor."""
        job = self._job
        job.run = replace(job.run, cursor=_stored(piece))
        if job.loader is not None:
            job.loader.turn_to(job.run)
        self._mark = time.monotonic()

    def _load(self, piece: Slice, group: Sequence[Fetched]) -> Slice:
        """Commit these pages with the slice's place and tally; the slice as it stands then."""
        piece = self._tallied(piece, group)
        seen = let_go(
            self._engine, self._job, [Observed(fetched.page, fetched.observed_at) for fetched in group]
        )
        self._job.load(
            self._engine,
            [Observed(self._job.screened(each.page), each.at) for each in seen],
            self._checkpoint(piece, group[-1]),
        )
        return piece

    def _load_alone(self, piece: Slice, last: Fetched) -> None:
        self._load(piece, [last])

    def _tallied(self, piece: Slice, group: Sequence[Fetched]) -> Slice:
        count = sum(len(fetched.page.records) + len(fetched.page.rejected) for fetched in group)
        took, self._mark = time.monotonic() - self._mark, time.monotonic()
        return replace(piece, tally=piece.tally.plus(records=count, requests=len(group), seconds=took))

    def _checkpoint(self, piece: Slice, last: Fetched) -> Checkpoint:
        found = checkpoint(last.plan, done=last.done)
        return replace(
            found, until=dump_cursor(piece.until), watermark=piece.tally.as_json(), finished=last.done
        )

    def _last_page(self, piece: Slice, last: Fetched) -> LastPage:
        found = self._checkpoint(self._tallied(piece, [last]), last)
        return LastPage(found.since, found.until, found.watermark, piece.name)

    def _finished(self, piece: Slice) -> None:
        done = replace(piece, finished=True)
        self._slices = [done if each.name == piece.name else each for each in self._slices]
        log.info("slice_done", until=piece.name, records=piece.tally.records)


def _stored(piece: Slice) -> Stored:
    """The slice's place, as if it had come with the run."""
    return Stored(
        position=piece.position,
        since=None if piece.since is None else dump_cursor(piece.since),
        until=dump_cursor(piece.until),
        slice=piece.name,
        moved_at=piece.moved_at,
    )


def _slices(engine: Engine, job: Job, stream: Stream) -> list[Slice]:
    """What there is to read; all of it, where nobody has said so yet."""
    run, asked = job.run, {"stream": job.run.stream_id}
    rows = engine.database.all(sql.history_slices, asked)
    if not rows and run.history_done_at is None:
        window = plan_history(run, stream.traits, run.now())
        if window is not None:
            engine.database.run(sql.start_history, start_of(run.stream_id, whole(window)))
            rows = engine.database.all(sql.history_slices, asked)
    return [slice_of(row) for row in rows]
