"""Which pages of a run are on their way? A line of them, in the order in which they are due.

Two ways fill it. Places that are known are asked for side by side. And whoever has read the last page in line goes on
with the one that it leads to, as long as there is room: a few pages and a few megabytes, so that loading finds pages to
group, and a run that is stopped has asked for little in vain. A page whose turn comes before a thread took it up is left
to the caller, so a run never waits for others to finish theirs.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from threading import Condition

from worker.connectors.contract import Page, Position
from worker.engine.fetching.ahead import Ahead
from worker.engine.fetching.memory import Room

DEEP = 4
"""Pages ahead where each has to be read before the next is known."""
BYTES = 16 * 1024 * 1024
"""Bodies ahead of their turn."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A page as it was read."""

    page: Page
    size: int
    """Bytes of its body."""
    observed_at: datetime
    last: bool
    """Nothing in the window comes after it."""


class _State(Enum):
    WAITS = auto()
    UNDER_WAY = auto()
    ENDED = auto()


@dataclass(slots=True, eq=False)
class Entry:
    """One page in line."""

    position: Position
    room: Room
    beside: bool
    """Asked for beside others, or before a page said that it is there."""
    state: _State = _State.WAITS
    dropped: bool = False
    awaited: bool = False
    """Its turn had come before it ended."""
    answer: Answer | None = None
    error: BaseException | None = None


Fetch = Callable[[Position, Room], Answer]


class Line:
    """The pages ahead of one run. One thread takes from it."""

    def __init__(self, ahead: Ahead, fetch: Fetch) -> None:
        self._ahead = ahead
        self._fetch = fetch
        self._changed = Condition()
        self._entries: deque[Entry] = deque()
        self._named: deque[Position] = deque()
        """Places behind those in line, for whoever is free."""
        self._at_once = 1
        self._busy = self._under_way = 0
        self._hushed = False
        self.expected = 0
        """About how large the next page is."""

    def leads_to(self, position: Position) -> bool:
        """Whether what is in line goes on there."""
        with self._changed:
            return not self._entries or self._entries[0].position == position

    def ask(self, places: Sequence[Position], at_once: int) -> None:
        """See to it that these are on their way, no more than `at_once` at a time; the first is due next.

        What is in line and isn't that is dropped. A thread that is done with one goes on with the next by itself.
        """
        with self._changed:
            self._hushed = False
            if self._entries and self._entries[0].position != places[0]:
                self._drop()
            self._named = deque(places[len(self._entries) :])
            self._at_once = at_once
            while self._named and self._busy < at_once:
                if not self._start(self._named[0], beside=bool(self._entries)):
                    return
                self._named.popleft()
            if self._named:
                return
            tail = self._entries[-1] if self._entries else None
            following = self._after(tail) if tail else None
            if tail and following is not None and len(self._entries) < DEEP:
                self._start(following, beside=tail.beside)

    def take(self, position: Position) -> Entry | None:
        """The page at this position once it has ended; None: it isn't in line, or nobody has begun with it."""
        with self._changed:
            if not self._entries or self._entries[0].position != position:
                self._drop()
                return None
            entry = self._entries.popleft()
            if entry.state is _State.WAITS:
                self._leave(entry)
                return None
            entry.awaited = entry.state is _State.UNDER_WAY
            while entry.state is not _State.ENDED:
                self._changed.wait()
            return entry

    def is_here(self) -> bool:
        """Whether the page that is due next was read already, so that taking it doesn't wait."""
        with self._changed:
            return bool(self._entries) and self._entries[0].answer is not None

    def drop(self) -> None:
        """Nothing in line is wanted any more. What is under way ends by itself, and is forgotten."""
        with self._changed:
            self._drop()

    @property
    def is_busy(self) -> bool:
        """Something of this run is under way, or about to be."""
        return self._busy > 0

    def hush(self) -> None:
        """Wait until nothing of this run is under way, so that a page can be asked for alone."""
        with self._changed:
            self._hushed = True
            self._named.clear()
            while self._entries and self._entries[-1].state is _State.WAITS:
                self._leave(self._entries.pop())
            # One between them keeps its place, as those behind it are kept: whoever comes to it reads it himself.
            for entry in self._entries:
                if entry.state is _State.WAITS:
                    self._leave(entry)
            while self._under_way:
                self._changed.wait()

    def _start(self, position: Position, *, beside: bool) -> bool:
        if not self._is_room():
            return False
        room = self._ahead.memory.room_ahead(self.expected)
        if room is None:
            return False
        own = self._busy == 0
        if not own and not self._ahead.lend(self):
            room.release()
            return False
        entry = Entry(position, room, beside)
        self._entries.append(entry)
        self._busy += 1
        if not self._ahead.start(lambda: self._work(entry, lent=not own)):
            self._entries.pop()
            self._thread_is_free(lent=not own)
            room.release()
            return False
        return True

    def _is_room(self) -> bool:
        here = sum(entry.answer.size for entry in self._entries if entry.answer)
        coming = sum(self.expected for entry in self._entries if not entry.answer)
        return not self._entries or here + coming + self.expected <= BYTES

    def _work(self, entry: Entry, *, lent: bool) -> None:
        following: Entry | None = entry
        while following is not None:
            following = self._carry_out(following)
        with self._changed:
            self._thread_is_free(lent=lent)

    def _carry_out(self, entry: Entry) -> Entry | None:
        """Fetch this page; the page to go on with, where there is one."""
        with self._changed:
            if entry.dropped:
                return None
            entry.state = _State.UNDER_WAY
            entry.beside = entry.beside or self._busy > 1
            self._under_way += 1
        try:
            entry.answer = self._fetch(entry.position, entry.room)
        except BaseException as exc:  # noqa: BLE001 - raised in the thread that takes it
            entry.error = exc
        with self._changed:
            entry.state = _State.ENDED
            entry.beside = entry.beside or self._busy > 1
            self._under_way -= 1
            self._changed.notify_all()
            if entry.error:
                self._named.clear()  # what was refused once would be refused again
            if entry.dropped or entry.error:
                entry.room.release()
                return None
            return self._follower(entry)

    def _follower(self, entry: Entry) -> Entry | None:
        """What to go on with: a place that was named, or else what the last page in line leads to."""
        if self._hushed or not self._is_room():
            return None
        named = bool(self._named)
        place = self._named[0] if named else self._behind(entry)
        if place is None or (named and self._busy > self._at_once):
            return None
        room = self._ahead.memory.room_ahead(self.expected)
        if room is None:
            return None
        if named:
            self._named.popleft()
        following = Entry(place, room, beside=named or entry.beside)
        self._entries.append(following)
        return following

    def _behind(self, entry: Entry) -> Position | None:
        tail = self._entries[-1] if self._entries else entry
        return self._after(entry) if tail is entry and len(self._entries) < DEEP else None

    def _after(self, entry: Entry) -> Position | None:
        return entry.answer.page.next if entry.answer and not entry.answer.last else None

    def _drop(self) -> None:
        for entry in self._entries:
            self._leave(entry)
        self._entries.clear()
        self._named.clear()

    def _leave(self, entry: Entry) -> None:
        if not entry.dropped and entry.state is not _State.UNDER_WAY:
            entry.room.release()
        entry.dropped = True

    def _thread_is_free(self, *, lent: bool) -> None:
        self._busy -= 1
        if lent:
            self._ahead.take_back(self)
