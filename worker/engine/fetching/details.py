"""How do the records of a list come that says only their keys? Each is asked for by its key, some side by side.

A page is handed out with the records that have come: all of them, or after some seconds, or some megabytes, or before one
that can't be had now, as many of the first as are here without a gap. What is left keeps its place (`done` in the position),
so nothing is asked for twice when the run goes on, here or elsewhere. A record that isn't there is named as absent; one that
the system refuses to show is set aside, and so is one that breaks again while the system shows others. Where the keys are
those of parents, what came of each is its children, and what is set aside or isn't there is a parent: no record has its key.
Emits: detail_set_aside.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Condition

import structlog

from worker.connectors.contract import Page, Position, Rejected, Singles, Stream
from worker.engine.fetching.ahead import Ahead
from worker.errors import OF_ONE_RECORD, BadRecord, HeadraceError, NeedsOperator, Transient
from worker.http.sender import CallContext, Sender

log = structlog.get_logger()

SECONDS = 5.0
"""After so long what has come is committed."""
BYTES = 8 * 1024 * 1024
FEW = 2
"""Who breaks beyond these and those that come is no odd record: the system is away."""
DONE = "done"


def parted(position: Position | None) -> tuple[Position | None, frozenset[str]]:
    """The place in the list, and the keys there that are done."""
    if position is None or DONE not in position:
        return position, frozenset()
    place = {name: value for name, value in position.items() if name != DONE}
    return place or None, frozenset(position[DONE])


def joined(place: Position | None, done: Sequence[str] | frozenset[str]) -> Position | None:
    """The other way round."""
    return {**(place or {}), DONE: sorted(done)} if done else place


def with_answers(page: Page, answers: Sequence[Page]) -> Page:
    """The page with what came of its keys."""
    listed = page.listed
    assert listed is not None  # noqa: S101 - its entries were keys
    absent = [gone.key for answer in answers for gone in answer.gone]
    records = [record for answer in answers for record in answer.records]
    rejected = [bad for answer in answers for bad in answer.rejected]
    if listed.below is None:
        told = replace(listed, pending=(), absent=absent)
        return replace(page, records=records, rejected=[*page.rejected, *rejected], listed=told)
    parents = set(listed.pending)
    rejected = [replace(bad, key=None) if bad.key in parents else bad for bad in rejected]
    held = [answer.listed for answer in answers if answer.listed is not None]
    reached = [each.reached for each in held if each.reached is not None]
    told = replace(
        listed,
        pending=(),
        below=None,
        families=[*listed.families, *(family for each in held for family in each.families)],
        reached=max(reached, default=None),
    )
    return replace(page, records=records, rejected=[*page.rejected, *rejected], listed=told)


class Details:
    """Those of one run."""

    def __init__(self, sender: Sender, context: CallContext, ahead: Ahead, at_once: int) -> None:
        self._sender, self._context, self._ahead = sender, context, ahead
        self._at_once = at_once
        self._left: tuple[Position | None, Page] | None = None
        """A page of which some records are still to be asked for."""
        self._before: dict[str, str] = {}
        """The entries of the page before, some of which may stand on this one, too: pages overlap."""

    def listed(self, position: Position | None) -> Page | None:
        """The page of keys at this place, where it was read already."""
        place, done = parted(position)
        left, self._left = self._left, None
        return left[1] if left is not None and done and left[0] == place else None

    def filled(
        self, stream: Stream, page: Page, position: Position | None, grow: Callable[[int], None]
    ) -> tuple[Page, int]:
        """The page with its records, or the first of them, and their size. Raises where not even the first can be had."""
        assert page.listed is not None  # noqa: S101 - its entries were keys
        place, done = parted(position)
        entries = dict(page.listed.marks)
        known = {key for key in entries.keys() & self._before if entries[key] == self._before[key]}
        keys = [key for key in page.listed.pending if key not in done and key not in known]
        asking = _Asking(
            self._ask, page.listed.below or stream, keys, grow, seen=min(done | known, default=None)
        )
        answers = asking.answers(self._ahead, self._at_once)
        if keys and not answers:
            assert asking.error is not None  # noqa: S101 - or some had come
            raise asking.error
        # What the list itself held aside came with the first part of the page.
        found = with_answers(replace(page, rejected=[]) if done else page, answers)
        if len(answers) < len(keys):
            self._left = place, page
            found.next = joined(place, done | known | {*keys[: len(answers)]})
        else:
            self._before = entries
        return found, asking.size

    def _ask(self, stream: Singles, key: str, grow: Callable[[int], None]) -> tuple[Page, int]:
        """What the system says of this record."""
        try:
            request = stream.single(key)
            if request is None:
                raise NeedsOperator(
                    "no_single", f"Records of {stream.name} can't be asked for by their keys."
                )
            response = self._sender.send(self._context, request, grow)
            page = stream.read_single(response, key)
            # Each child holds fields of its parent, too.
            held = 0 if page.listed is None else sum(len(record.raw) for record in page.records)
            return page, max(len(response.body), held)
        except BadRecord as exc:
            return aside(key, exc), 0
        except NeedsOperator as exc:
            if exc.code not in OF_ONE_RECORD:
                raise
            return aside(key, exc), 0


def aside(key: str, why: HeadraceError) -> Page:
    """A record that can't be had, with what was said."""
    log.info("detail_set_aside", error_code=why.code)
    return Page([], [Rejected(json.dumps(key).encode(), why.code, why.message, key)])


class _Asking:
    """One after the other by several threads, in the order of the list; what has come without a gap counts."""

    def __init__(
        self,
        ask: Callable[[Singles, str, Callable[[int], None]], tuple[Page, int]],
        stream: Singles,
        keys: Sequence[str],
        grow: Callable[[int], None],
        seen: str | None,
    ) -> None:
        """`seen`: a record that came before."""
        self._seen = seen
        self._ask, self._stream, self._keys, self._grow = ask, stream, keys, grow
        self._ends = time.monotonic() + SECONDS
        self._came: dict[int, Page] = {}
        self._broken: dict[int, HeadraceError] = {}
        self._next = self._busy = 0
        self._changed = Condition()
        self.size = 0
        self.error: BaseException | None = None

    def answers(self, ahead: Ahead, at_once: int) -> list[Page]:
        """Those of the first keys, as many as have come."""
        for _ in range(min(at_once, len(self._keys)) - 1):
            if not ahead.lend(self):
                break
            if not ahead.start(lambda: self._work(ahead)):
                ahead.take_back(self)
                break
        self._work(None)
        with self._changed:
            while self._busy:
                self._changed.wait()
        self._try_again()
        count = next((at for at in range(len(self._keys)) if at not in self._came), len(self._keys))
        return [self._came[at] for at in range(count)]

    def _work(self, lender: Ahead | None) -> None:
        try:
            while (at := self._take()) is not None:
                self._one(at)
        finally:
            if lender is not None:
                lender.take_back(self)

    def _take(self) -> int | None:
        with self._changed:
            is_over = self._next > 0 and (time.monotonic() > self._ends or self.size > BYTES)
            if self.error is not None or is_over or self._next >= len(self._keys):
                return None
            self._next += 1
            self._busy += 1
            return self._next - 1

    def _one(self, at: int) -> None:
        try:
            page, size = self._ask(self._stream, self._keys[at], self._more)
            with self._changed:
                self._came[at] = page
                self.size += size
        except Transient as exc:
            with self._changed:
                self._broken[at] = exc
                if len(self._broken) > len(self._came) + FEW:
                    self.error = self.error or exc
        except BaseException as exc:  # noqa: BLE001 - raised in the thread of the run
            with self._changed:
                self.error = self.error or exc
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _more(self, size: int) -> None:
        self._grow(self.size + size)

    def _try_again(self) -> None:
        """Who broke is asked for once more. Who breaks again does so alone if the system still shows another."""
        for at in sorted(self._broken):
            if self.error is not None:
                return
            try:
                self._came[at], size = self._ask(self._stream, self._keys[at], self._more)
                self.size += size
            except Transient as exc:
                if not any(later > at for later in self._came) and not self._shows_another():
                    self.error = exc
                    return
                self._came[at] = aside(self._keys[at], exc)
            except BaseException as exc:  # noqa: BLE001 - raised where nothing has come
                self.error = exc

    def _shows_another(self) -> bool:
        key = self._keys[max(self._came)] if self._came else self._seen
        try:
            return key is not None and self._ask(self._stream, key, self._more)[0].found
        except HeadraceError:
            return False
