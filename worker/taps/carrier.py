"""How do the engine's requests reach a tap? By the session that its run has in this process; a new one where it has none.

A position says which batch of which session is wanted. The last few are kept, so that one that was read ahead and dropped
can be had again; where the session is gone, with its worker or after a pause, the position's state leads a new process to
the same place. A session whose run has let go of it is ended at once, and one that nobody asks for some minutes, too.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from worker.connectors.contract import Response, Source
from worker.connectors.protocols.singer_calls import DISCOVER, Asked, Told, answer, asked_by
from worker.errors import NeedsOperator
from worker.http.carrier import Errand
from worker.http.wire.message import TooLarge
from worker.taps.house import House
from worker.taps.mailbox import Batch
from worker.taps.session import Session

BEAT = 20.0
"""Seconds after which a batch comes, empty if need be: the run then sees whether it may go on."""
IDLE = 300.0
"""A session that nobody asks for so long belongs to nobody."""
KEPT_BATCHES = 4
KEPT_BYTES = 16 * 1024 * 1024


@dataclass(eq=False)
class _Open:
    """A session, whose it is, and its last batches."""

    session: Session
    run: str
    state: str | None
    number: int = 0
    asked_at: float = 0.0
    kept: OrderedDict[int, Response] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, number: int, response: Response) -> None:
        self.kept[number] = response
        while len(self.kept) > KEPT_BATCHES or (
            len(self.kept) > 1 and sum(len(each.body) for each in self.kept.values()) > KEPT_BYTES
        ):
            self.kept.popitem(last=False)


class TapCarrier:
    """The taps of a process."""

    def __init__(self, house: House, *, beat: float = BEAT, clock: Callable[[], float] = monotonic) -> None:
        self._house = house
        self._beat = beat
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}

    def place(self, source: Source) -> str:
        """The tap."""
        return source.base_url.removeprefix("tap:") or "the tap"

    def exchange(self, errand: Errand) -> Response:
        """The batch that is asked for, or the catalog."""
        if errand.network:
            message = "A tap makes its own connections: the connection's `network` can't be kept to."
            raise NeedsOperator(
                "tap_has_no_network", message, hint="Leave `network` out, or use a native connector."
            )
        asked = asked_by(errand.request)
        errand.moments.before_sending()
        self._end_idle()
        if errand.request.method == DISCOVER:
            found = Session(self._house, asked, errand.secrets, os.environ).discovered()
            return Response(200, {}, _bounded(found, errand), "tap:")
        open_ = self._opened(errand, asked)
        with open_.lock:
            return self._batch(open_, errand, asked)

    def let_go(self, run: str) -> None:
        """The run asks for no more."""
        with self._lock:
            left = [each for each in self._open.values() if each.run == run]
            for each in left:
                del self._open[each.session.id]
        for each in left:
            each.session.close()

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            left, self._open = list(self._open.values()), {}
        for each in left:
            each.session.close()

    def _opened(self, errand: Errand, asked: Asked) -> _Open:
        """The session that this batch is of, if it lives and can still give it; else a new one from the state."""
        with self._lock:
            found = self._open.get(asked.session or "")
            if found is not None and (asked.number == found.number or asked.number in found.kept):
                found.asked_at = self._clock()
                return found
        if found is not None:
            self._forget(found)
        self.let_go(errand.run)  # whatever it had begun before, it begins anew
        session = Session(self._house, asked, errand.secrets, os.environ)
        opened = _Open(session, errand.run, asked.state, asked_at=self._clock())
        with self._lock:
            self._open[session.id] = opened
        session.start()
        return opened

    def _batch(self, open_: _Open, errand: Errand, asked: Asked) -> Response:
        is_its = asked.session == open_.session.id
        response = open_.kept.get(asked.number) if is_its else None
        if response is None:
            response = self._next(open_, errand)
        # Only now may this be refused: what was taken from the tap is kept, and can be asked for again.
        _bounded(response.body, errand)
        return response

    def _next(self, open_: _Open, errand: Errand) -> Response:
        try:
            within = min(self._beat, errand.deadline.at - monotonic())
            batch = open_.session.take(max(0.1, within))
        except BaseException:
            self._forget(open_)
            raise
        if batch.state is not None:
            open_.state = batch.state.decode()
        response = _said(open_, batch)
        open_.keep(open_.number, response)
        open_.number += 1
        open_.asked_at = self._clock()
        return response

    def _forget(self, open_: _Open) -> None:
        with self._lock:
            self._open.pop(open_.session.id, None)
        open_.session.close()

    def _end_idle(self) -> None:
        with self._lock:
            now = self._clock()
            idle = [
                each for each in self._open.values() if now - each.asked_at > IDLE and not each.lock.locked()
            ]
        for each in idle:
            self._forget(each)


def _said(open_: _Open, batch: Batch) -> Response:
    told = Told(
        session=open_.session.id,
        number=open_.number + 1,
        state=open_.state,
        done=batch.done,
        versions=batch.versions,
        odd=tuple(batch.odd),
    )
    return answer(b"[" + b",".join(batch.records) + b"]", told)


def _bounded(body: bytes, errand: Errand) -> bytes:
    if len(body) > errand.most:
        raise TooLarge
    errand.moments.comes(len(body))
    return body
