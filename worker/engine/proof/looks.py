"""How is the copy held against the source? All of it where that is small enough; else by ids, by slices, one by one.

These are first looks: what differs is noted, and judged by `second` after another one.
"""

from dataclasses import dataclass, field
from datetime import datetime
from random import Random

import msgspec

from worker.connectors.contract import CursorValue, Page, Record, Request, Stream, Window
from worker.engine.proof.asking import AllowanceSpent, Asker, Copy
from worker.engine.proof.compare import Difference, Due, Held, by_key, compare, not_shown
from worker.engine.proof.report import Findings
from worker.engine.proof.sample import beginnings, fits, share
from worker.errors import BadRecord, RateLimited

MOST_WHOLE = 500_000
"""Records of which keys and hashes are held in memory; a larger stream is looked at in samples, whatever the allowance."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A first difference, and where it was seen."""

    difference: Difference
    window: Window | None = None
    """The slice on whose page it was."""


@dataclass(slots=True)
class Looks:
    """The first looks of one comparison."""

    asker: Asker
    copy: Copy
    due: Due
    found: Findings
    dice: Random
    everything: Window
    """Asks for all that is to be in the copy."""
    since: CursorValue | None = None
    """What changed before is in the copy or isn't: the history goes back so far."""
    suspects: dict[str, Suspect] = field(default_factory=dict)
    pages: int = 0
    """Of the whole stream, where it was read, or of its beginning."""
    in_part: bool = False
    """No more than those pages was read."""
    total: int | None = None
    """What the system says there is, where that is to be in the copy."""

    def first_looks(self) -> None:
        """Look in every way that the stream knows and the allowance has room for."""
        try:
            if self.whole():
                return
            self._by_ids()
            self._by_sample()
        except AllowanceSpent:
            return

    def whole(self) -> bool:
        """Compare all of it, keys and hashes; False where it doesn't fit, and the first page was a sample."""
        page = self._first_page()
        self.found.source_records = page.in_all
        count = self.copy.count()
        per_page = max(1, len(page.records) + len(page.rejected))
        size = max(page.in_all or 0, count)
        if page.next is not None and (
            size > MOST_WHOLE or not fits(size / per_page, self.asker.allowance, singles=self._singles)
        ):
            self._take(page.records, self.everything)
            self.found.used("beginning")
            self.total = None if self.since is not None else page.in_all
            if not (self._slices or self._singles):
                self._further(page)
            return False
        shown, others = self._read_on(page)
        self.pages = self.asker.spent
        held = self.copy.everything()
        self._compare(shown, held)
        for difference in not_shown({**shown, **others}, held, self.due.began):
            self.suspects[difference.key] = Suspect(difference)
        self.found.complete = self.due.all_in
        self.found.source_records = sum(not record.deleted for record in shown.values()) + len(others)
        self.found.aside = len(others)
        self.found.used("complete")
        return True

    def _first_page(self) -> Page:
        """Without a filter, so that a broken one is found; but where nothing tells how much older than the history there is,
        only for what is to be in the copy.
        """
        page, _ = self.asker.page(self.everything, None)
        if page.next is None or page.in_all is not None or self.since is None:
            return page
        self.everything = Window(self.since)
        return self.asker.page(self.everything, None)[0]

    def _read_on(self, page: Page) -> tuple[dict[str, Record], dict[str, None]]:
        """Every record from this page on, without its content; and the keys of what can't be read."""
        shown: dict[str, Record] = {}
        others: dict[str, None] = {}
        while True:
            shown.update((record.key, _lean(record)) for record in page.records)
            others.update((bad.key or f"\0{len(others)}", None) for bad in page.rejected)
            if page.next is None:
                return shown, others
            try:
                page, _ = self.asker.page(self.everything, page.next)
            except (
                AllowanceSpent,
                RateLimited,
            ):  # there is more than could be asked for: what came is a sample
                self._compare(shown, self.copy.held(list(shown)))
                raise

    def _further(self, page: Page) -> None:
        """What follows the first page, where no other place can be asked for: half of the allowance, as the rest looks again."""
        self.pages, self.in_part = 1, True
        while page.next is not None and self.pages < self.asker.allowance // 2:
            page, _ = self.asker.page(self.everything, page.next)
            self._take(page.records, None)
            self.pages += 1

    def _by_ids(self) -> None:
        """All keys, where the system lists them cheaply."""
        sweep = self.asker.stream.sweep()
        if sweep is None:
            return
        page, _ = self.asker.page(Window(), None, stream=sweep)
        size = max(page.in_all or 0, self.copy.count())
        more = size / max(1, len(page.records)) - 1
        if page.next is not None and (size > MOST_WHOLE or more > self.asker.left / 2):
            return
        keys = self._keys(sweep, page)
        held = self.copy.everything()
        for difference in not_shown(keys, held, self.due.began):
            self.suspects.setdefault(difference.key, Suspect(difference))
        if self.since is None:  # else what is older than the history is there, and not here
            for key in keys:
                if key not in held or held[key].deleted:
                    self.suspects.setdefault(key, Suspect(Difference("missing", key)))
        self.found.source_records = len(keys)
        self.found.used("ids")

    def _keys(self, sweep: Stream, page: Page) -> dict[str, None]:
        keys: dict[str, None] = {}
        while True:
            keys.update((record.key, None) for record in page.records if not record.deleted)
            keys.update((bad.key, None) for bad in page.rejected if bad.key is not None)
            if page.next is None:
                return keys
            page, _ = self.asker.page(Window(), page.next, stream=sweep)

    def _by_sample(self) -> None:
        shares = share(self.asker.left, slices=self._slices, singles=self._singles)
        most = 2 * max(shares.slices, shares.singles)
        sample = self.copy.some(most, self.copy.count(), seed=self.dice.uniform(-1.0, 1.0)) if most else []
        until = self.due.before if isinstance(self.due.before, datetime) else None
        times = [row.updated_at for row in sample if row.updated_at is not None]
        for since in beginnings(times, shares.slices, until, self.dice):
            window = Window(since, until)
            page, _ = self.asker.page(window, None)
            self._take(page.records, window)
            self.found.used("slices")
        for row in sample[: shares.singles]:
            self._single(row)

    def _take(self, records: list[Record], window: Window | None) -> None:
        """Compare a page that is a sample."""
        shown = {key: _lean(record) for key, record in by_key(records).items()}
        self._compare(shown, self.copy.held(list(shown)), window)

    def _compare(self, shown: dict[str, Record], held: dict[str, Held], window: Window | None = None) -> None:
        for difference in compare(shown, held):
            if difference.record is not None and not self._older(difference, held):
                self.suspects[difference.key] = Suspect(difference, window)
        self.found.checked.update(shown)

    def _older(self, difference: Difference, held: dict[str, Held]) -> bool:
        """Missing, and from before the history: it isn't to be in the copy."""
        record = difference.record
        at = None if record is None else record.cursor
        if difference.kind != "missing" or self.since is None or difference.key in held or at is None:
            return False
        return at < self.since  # type: ignore[operator]

    def _single(self, row: Held) -> None:
        if (request := single_of(self.asker.stream, row.key)) is None:
            return
        page, _ = self.asker.single(row.key, request)
        self.found.used("single")
        self.found.checked.add(row.key)
        if page.gone:
            self.suspects.setdefault(row.key, Suspect(Difference("extra", row.key)))
        self._take(page.records, None)

    @property
    def _slices(self) -> bool:
        """Whether the stream can be asked for what changed since some time."""
        traits = self.asker.stream.traits
        return traits.incremental and not traits.token and isinstance(self.due.before, datetime)

    @property
    def _singles(self) -> bool:
        """Whether records can be asked for one by one; a key that is one tells."""
        key = self.copy.any_key()
        return key is not None and single_of(self.asker.stream, key) is not None


def single_of(stream: Stream, key: str) -> Request | None:
    """The request for one record; None where it can't be asked for."""
    try:
        return stream.single(key)
    except BadRecord:
        return None


def _lean(record: Record) -> Record:
    """Without its content, which the first look doesn't need."""
    return msgspec.structs.replace(record, raw=b"", exact=None)
