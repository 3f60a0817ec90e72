"""The base of a double that isn't asked by HTTP: a real system of this machine, which is made to hold what the truth says.

A database, say, whose tables the checks change, or a program that reads what they changed. It is asked by the worker's own
carrier (`worker/http/carrier`); what goes by is noted, so requests are counted here, too. A file says:

    system, secrets, tables     as in any double
    transport                   by which carrier its requests go, as its source says
    settings()                  what a connection to it says
    carrier()                   a new carrier, such as a process has
    settle()                    make the system hold what `rows` are now, as `show` has them
    troubles, complaints()      what can go wrong with it, by names of its own
    suffering(trouble)          a context in which it does
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from scheduler.connectors.check.double.any_double import AnyDouble
from scheduler.connectors.check.double.exchange import Answer, Call, Exchange
from scheduler.connectors.check.double.faults import fault_of
from worker.connectors.contract import Response, Source
from worker.errors import Transient
from worker.http.carrier import Carrier, Errand, Holding
from worker.http.proof import LoginRefused


@dataclass
class Carried(AnyDouble):
    """See the module. Used as a context: its system is there inside."""

    transport: ClassVar[str]
    is_real: ClassVar[bool] = True
    says_how_long: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._settled: tuple[Any, ...] = ()

    # What a double says of its system.

    @abstractmethod
    def carrier(self) -> Carrier:
        """A new one, such as a process has."""

    @abstractmethod
    def settle(self) -> None:
        """Make the system hold what is true now."""

    def suffering(self, trouble: str) -> AbstractContextManager[None]:
        """Meanwhile it has this trouble, one of `troubles` or of its complaints."""
        raise NotImplementedError(trouble)

    # How it does that.

    def carriers(self) -> Mapping[str, Carrier]:
        kept = self.carrier()
        watched = _WatchedHolding(self, kept) if isinstance(kept, Holding) else _Watched(self, kept)
        return {self.transport: watched}

    def begin(self, call: Call) -> str | None:
        """The system is as it should be for this request; the trouble that it is to have meanwhile."""
        with self._lock:
            if self._trouble:
                found = self._trouble.popleft()
                assert isinstance(found, str), "an answer is HTTP's"  # noqa: S101 - how it is used
                return found
            if self.ambush is not None:
                self.ambush(call)
            looks = (self.serial, self.zone, self.drifted, self.padding, frozenset(self.keyless))
            if looks != self._settled:
                self.settle()
                self._settled = looks
            return None

    def end(self, call: Call, body: bytes, kind: str) -> None:
        """Note what was asked, and what came."""
        with self._lock:
            self.log.append(Exchange(call, Answer(200, body), kind))


class _Watched:
    """A carrier that tells the double what goes by."""

    def __init__(self, double: Carried, carrier: Carrier) -> None:
        self._double = double
        self._carrier = carrier

    def place(self, source: Source) -> str:
        return self._carrier.place(source)

    def close(self) -> None:
        self._carrier.close()

    def exchange(self, errand: Errand) -> Response:
        asked = errand.request
        call = Call(asked.method, asked.url, "", {}, asked.body or b"")
        with self._noted():
            trouble = self._double.begin(call)
        body, kind = b"", trouble or "data"
        try:
            with self._double.suffering(trouble) if trouble else nullcontext():
                response = self._carrier.exchange(errand)
            body = response.body
            return response
        except LoginRefused:
            kind = "refused"
            raise
        finally:
            self._double.end(call, body, kind)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except Exception as exc:
            if (fault := fault_of(exc, type(self._double))) is None:
                raise
            self._double.faults.append(fault)
            raise Transient("double_failed", fault.words) from None


class _WatchedHolding(_Watched):
    """One that keeps something for a run."""

    _carrier: Holding

    def let_go(self, run: str) -> None:
        self._carrier.let_go(run)
