"""One stream's copy in memory, read as a worker reads: planned, page by page, with a cursor that is JSON between pages.

A reading may end after any page (`pages`), as a process that is killed; whoever goes on knows the cursors alone. Equal
plans are made as for a run, so look-back, caps, marks and lost places are what they are in production.
"""

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from scheduler.connectors.check.driving.account import Account
from worker.connectors.contract import TOKEN_EXPIRED, CursorValue, Page, Rejected, Stream, Window
from worker.engine.fetching.extract import Extractor, Fetched
from worker.engine.history.slices import window_of
from worker.engine.planning.plan import (
    Plan,
    afresh,
    checkpoint,
    go_on,
    has_history,
    has_lost_place,
    is_stale,
    plan_run,
    restart,
)
from worker.engine.watching.skew import skew_after
from worker.errors import NeedsOperator
from worker.runs.claim import Run, Stored

NOBODY = UUID(int=0)
Track = str
"""`live`, `history` or `tombstones`: each has a cursor of its own."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record of the copy."""

    raw: Any
    cursor: CursorValue | None
    version: int | None


@dataclass
class Clock:
    """What is known of the source's clock, by its answers."""

    now: Any
    skew: float = 0.0

    def heard(self, headers: Any, sent: datetime, received: datetime) -> None:
        self.skew = skew_after(headers, self.skew, sent=sent, received=received)


@dataclass
class Copy:
    """What a stream's readings came to."""

    account: Account
    stream: str
    records: dict[str, Kept] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    """Keys that are gone, and why we think so."""
    rejected: list[Rejected] = field(default_factory=list)
    came: list[str] = field(default_factory=list)
    """Keys of all records, in the order in which they came, as often as they came."""
    pages: int = 0
    cursors: dict[Track, str] = field(default_factory=dict)
    """As they were committed, in JSON."""
    commits: list[str] = field(default_factory=list)
    """All cursors that ever were committed."""
    cut_at: datetime | None = None
    """Where the history ends and the live runs begin."""

    def __post_init__(self) -> None:
        self.account.shrink(self.stream)

    @property
    def described(self) -> Stream:
        """The stream as the connector has it."""
        return self.account.source.stream(self.stream)

    def go_on_in(self, account: Account) -> None:
        """Another process takes over: it has the cursors and records that were committed."""
        self.account.close()
        self.account = account
        account.shrink(self.stream)

    def load(self) -> None:
        """All there is: the first live run, its history, and what the system says was deleted."""
        self.sync()
        self.history()
        self.read_tombstones()

    def sync(self, pages: int | None = None) -> bool:
        """One live run, or its first pages; whether it came to its end."""
        stream, now = self.described, self.account.double.now
        if self.cut_at is None:
            self.cut_at = now
        run = self._run("live", stream, now)
        plan = plan_run(run, stream.traits, now)
        if plan.starts_cursor:
            self._commit("live", plan, done=True)
        return self._through("live", stream, plan, pages)

    def history(self, pages: int | None = None) -> bool:
        """What is older than the first live run; nothing where that reads everything."""
        stream, now = self.described, self.account.double.now
        if not has_history(stream.traits):
            return True
        plan = Plan(window_of(stream.traits, None, self.cut_at or now))
        stored = self._stored("history")
        if stored.moved_at is not None:
            if stored.position is None:
                return True
            run = self._run("history", stream, now)
            plan = plan if is_stale(run, stream.traits, now) else go_on(plan, stored.position, stream.traits)
        return self._through("history", stream, plan, pages)

    def window(self, window: Window) -> list[Page]:
        """The pages of any window, kept nowhere."""
        return list(self.through(window))

    def through(self, window: Window) -> Iterator[Page]:
        """The same, one at a time."""
        for fetched in self._fetched(self.described, Plan(window)):
            yield fetched.page

    def read_tombstones(self) -> bool:
        """The system's own list of deletes; False: it has none."""
        listed = self.described.tombstones()
        if listed is None:
            return False
        now = self.account.double.now
        plan = plan_run(self._run("tombstones", listed, now), listed.traits, now)
        for fetched in self._fetched(listed, plan):
            self._bury({each.key: each.reason for each in fetched.page.gone})
            self.rejected += fetched.page.rejected
            self._commit("tombstones", fetched.plan, done=fetched.done)
        return True

    def sweep(self) -> set[str] | None:
        """The keys that are there, read as a sweep does; None: they can't be listed. Who is missing is buried."""
        listed = self.described.sweep()
        if listed is None:
            return None
        seen = {key for fetched in self._fetched(listed, Plan(Window())) for key in fetched.page.keys}
        self._bury({key: "sweep" for key in self.records if key not in seen})
        return seen

    def ask(self, key: str) -> Page | None:
        """One record by its key; None: it can't be asked for so."""
        stream = self.described
        request = stream.single(key)
        if request is None:
            return None
        answer = self.account.sender.send(self.account.context(self.stream), request)
        return stream.read_single(answer, key)

    def cursor(self, track: Track = "live") -> Any:
        """The watermark as it was committed."""
        return self._stored(track).watermark

    def _through(self, track: Track, stream: Stream, plan: Plan, most: int | None) -> bool:
        before = self.pages
        try:
            return self._take(track, stream, plan, most)
        except NeedsOperator as exc:
            if plan.window.token is not None and exc.code == TOKEN_EXPIRED:
                plan = afresh(plan)
            elif has_lost_place(plan, exc, pages=self.pages - before):
                plan = restart(plan)
            else:
                raise
        return self._take(track, stream, plan, most)

    def _take(self, track: Track, stream: Stream, plan: Plan, most: int | None) -> bool:
        taken = 0
        with closing(self._fetched(stream, plan)) as pages:
            for fetched in pages:
                self._keep(fetched.page)
                self._commit(track, fetched.plan, done=fetched.done)
                taken += 1
                if fetched.done or taken == most:
                    return fetched.done
        return True

    def _fetched(self, stream: Stream, plan: Plan) -> Generator[Fetched, None, None]:
        account = self.account
        extractor = Extractor(
            account.sender,
            account.context(self.stream),
            stream,
            ahead=account.ahead,
            now=lambda: account.double.now,
            clock=Clock(lambda: account.double.now),
        )
        with closing(extractor.pages(plan)) as pages:
            for fetched in pages:
                self.pages += 1
                yield fetched

    def _keep(self, page: Page) -> None:
        for record in page.records:
            self.came.append(record.key)
            if record.deleted:
                self._bury({record.key: "flag"})
                continue
            self.gone.pop(record.key, None)
            self.records[record.key] = Kept(json.loads(record.raw), record.cursor, record.version)
        self.rejected += page.rejected
        self._bury({each.key: each.reason for each in page.gone})
        self._bury_families(page)

    def _bury_families(self, page: Page) -> None:
        """Who isn't on the page and belongs to a parent that is."""
        families, here = page.listed.families if page.listed else (), set(page.keys)
        for family in families:
            lost = [key for key in self.records if key.startswith(family.stem) and key not in here]
            self._bury(dict.fromkeys(lost, family.reason))
        self._bury(dict.fromkeys(page.listed.absent if page.listed else (), "not_found"))

    def _bury(self, keys: dict[str, str]) -> None:
        for key, reason in keys.items():
            self.records.pop(key, None)
            self.gone.setdefault(key, reason)

    def _commit(self, track: Track, plan: Plan, *, done: bool) -> None:
        point = checkpoint(plan, done=done)
        self.cursors[track] = json.dumps(
            {
                "watermark": point.watermark,
                "position": point.position,
                "since": point.since,
                "until": point.until,
                "moved_at": self.account.double.now.isoformat(),
            }
        )
        self.commits.append(self.cursors[track])

    def _stored(self, track: Track) -> Stored:
        if track not in self.cursors:
            return Stored()
        kept = json.loads(self.cursors[track])
        return replace(Stored(**kept), moved_at=datetime.fromisoformat(kept["moved_at"]))

    def _run(self, track: Track, stream: Stream, now: datetime) -> Run:
        return Run(
            id=NOBODY, claim_no=1, stream_id=1, connection_id=1, account="check", track=track, scope={}, lane=2,
            cause="check", attempt=1, request_id="check", steps={}, pages=0, records_rejected=0, alone=False,
            waited=0.0, stream=stream.name, bucket=0, history_days=None, history_done_at=None, connection="check",
            system=self.account.connector.system, settings=self.account.settings, secrets=self.account.secrets,
            cursor=self._stored(track), claimed_at=now,
        )  # fmt: skip
