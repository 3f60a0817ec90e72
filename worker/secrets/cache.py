"""For how long is an opened secret used before its store is asked again?

Promises: a value is read once however many threads want it. While a store is away, what was read before stays in use,
for so long and no longer, and that is said; a store that is away is tried by one thread at a time, and not at every
request. What a store refuses is forgotten at once. A system's 401 has the value read again at once, but a storm of them
asks the store once. A 403 may mean the same, and mostly doesn't: so it has the value read no more often than age does.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

import structlog

from worker.errors import NeedsOperator
from worker.secrets.stores.port import StoreUnavailable
from worker.secrets.value import Secret

MOST = 10_000
REFUSED_FOR = 5.0
"""Seconds for which a refusal is repeated without asking."""
AWAY_FOR = 5.0
"""Seconds for which a store that gave no answer is left alone."""
AGAIN_AFTER = 15.0
"""Seconds between two readings because of a 401, and the least between two because of a 403."""
SAID_EVERY = 60.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Entry:
    lock: Lock = field(default_factory=Lock)
    value: Secret | None = None
    read_at: float = float("-inf")
    asked_at: float = float("-inf")
    asked_again_at: float = float("-inf")
    """When it was last read because a system had refused it."""
    doubted_at: float = float("-inf")
    """And when because a system had refused something, and maybe for that."""
    refusal: NeedsOperator | None = None


@dataclass(slots=True)
class _Away:
    """A store that gave no answer."""

    why: StoreUnavailable
    again_at: float
    since: float
    said_at: float = float("-inf")
    trying: Lock = field(default_factory=Lock)


class SecretCache:
    """The opened secrets of one process; those not used for longest go first."""

    def __init__(
        self,
        *,
        age: Callable[[], float],
        longest: Callable[[], float],
        clock: Callable[[], float] = monotonic,
        most: int = MOST,
    ) -> None:
        """`age`: seconds for which a value is used unasked; `longest`: while its store is away."""
        self._age = age
        self._longest = longest
        self._clock = clock
        self._most = most
        self._lock = Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._away: dict[str, _Away] = {}

    def get(self, key: str, place: str, read: Callable[[], str], *, fresh: bool = False) -> Secret:
        """The value of `key`, kept at `place`. `fresh`: as the store has it now, or an error."""
        entry = self._entry(key)
        value = entry.value
        if not fresh and value is not None and self._clock() - entry.read_at < self._age():
            return value
        asked_at = self._clock()
        with entry.lock:
            if entry.value is not None and not fresh and self._clock() - entry.read_at < self._age():
                return entry.value
            if entry.refusal is not None and (
                entry.asked_at > asked_at or (not fresh and asked_at - entry.asked_at < REFUSED_FOR)
            ):
                raise _again(entry.refusal)
            return self._read(entry, place, read, fresh=fresh)

    def again(
        self, key: str, place: str, read: Callable[[], str], known: Secret, *, doubtful: bool = False
    ) -> Secret:
        """The value after a system refused `known`: read again, unless another thread did so already.

        However short a time ago it was read: what is rotated in the next moment is refused in the next moment. `doubtful`:
        it may be something else that was refused, as each time from now on, so the value isn't read each time.
        """
        entry = self._entry(key)
        with entry.lock:
            if entry.value is not None and entry.value != known:
                return entry.value
            if doubtful:
                last = max(entry.asked_again_at, entry.doubted_at)
                if self._clock() - last < max(AGAIN_AFTER, self._age()):
                    return known
                entry.doubted_at = self._clock()
            elif self._clock() - entry.asked_again_at < AGAIN_AFTER:
                return known
            else:
                entry.asked_again_at = self._clock()
            return self._read(entry, place, read, fresh=False)

    def put(self, key: str, value: Secret) -> None:
        """We wrote it ourselves."""
        entry = self._entry(key)
        with entry.lock:
            entry.value, entry.refusal = value, None
            entry.read_at = entry.asked_at = self._clock()

    def away(self) -> dict[str, str]:
        """The stores that give no answer now, and why."""
        return {place: found.why.message for place, found in tuple(self._away.items())}

    def _read(self, entry: _Entry, place: str, read: Callable[[], str], *, fresh: bool) -> Secret:
        away = self._away.get(place)
        if away is not None and (self._clock() < away.again_at or not away.trying.acquire(blocking=False)):
            return self._held(entry, place, away, fresh=fresh)
        entry.asked_at = self._clock()
        try:
            value = Secret(read())
        except StoreUnavailable as exc:
            return self._held(entry, place, self._note(place, exc, away), fresh=fresh)
        except NeedsOperator as exc:
            entry.value, entry.refusal = None, exc
            self._back(place, away)
            raise _again(exc) from None
        finally:
            if away is not None:
                away.trying.release()
        entry.value, entry.refusal, entry.read_at = value, None, self._clock()
        self._back(place, away)
        return value

    def _held(self, entry: _Entry, place: str, away: _Away, *, fresh: bool) -> Secret:
        """What is in use already, while its store is away."""
        age = self._clock() - entry.read_at
        if entry.value is None or fresh or age >= self._longest():
            raise StoreUnavailable(away.why.store, away.why.why)
        if self._clock() - away.said_at >= SAID_EVERY:
            away.said_at = self._clock()
            log.warning(
                "secret_store_away",
                store=place,
                why=away.why.message,
                for_seconds=round(self._clock() - away.since),
                held_for_seconds=round(age),
                at_most_seconds=round(self._longest()),
            )
        return entry.value

    def _note(self, place: str, why: StoreUnavailable, away: _Away | None) -> _Away:
        again_at = self._clock() + AWAY_FOR
        away = self._away.setdefault(place, away or _Away(why, again_at, self._clock()))
        away.why, away.again_at = why, again_at
        return away

    def _back(self, place: str, away: _Away | None) -> None:
        if self._away.pop(place, None) is not None and away is not None:
            log.info("secret_store_back", store=place, after_seconds=round(self._clock() - away.since))

    def _entry(self, key: str) -> _Entry:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = _Entry()
                if len(self._entries) > self._most:
                    self._entries.popitem(last=False)
            else:
                self._entries.move_to_end(key)
            return entry


def _again(refusal: NeedsOperator) -> NeedsOperator:
    """The same for another thread: an exception that is raised twice grows."""
    return NeedsOperator(refusal.code, refusal.message, hint=refusal.hint)
