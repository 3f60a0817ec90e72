"""What every double has, whatever its system is asked by: the truth, the clock, a log of what was asked, and trouble.

`Double` (base) is a server of HTTP; `Carried` a system that is asked by one of the worker's carriers: a database, a program.
The checks know only what stands here, and ask of a double no trouble that it doesn't name.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, ClassVar, Literal, Self

from scheduler.connectors.check.double.exchange import Answer, Call, Exchange
from scheduler.connectors.check.double.faults import Fault
from scheduler.connectors.check.double.truth import Truth
from worker.http.carrier import Carrier

Kind = Literal["transient", "rate_limited", "operator", "auth_expired"]
Trouble = Literal["throttled", "failing", "silent", "cut", "garbage", "html", "refused", "forbidden"]
Echo = Callable[[Call], Answer]
WAIT = 37
"""Seconds that a throttled request is asked to wait."""


@dataclass(frozen=True)
class Complaint:
    """A way of saying no that is the system's own, and what it must be taken for."""

    name: str
    answer: "Answer | Trouble | str"
    """What is answered; or the name of a trouble, of which a carried double has its own."""
    kind: Kind
    wait: float | None = None
    """Seconds that it asks to wait, where it is `rate_limited` and says so."""
    words: str | None = None
    """What of its words must reach a person."""


@dataclass
class AnyDouble(Truth):
    """See the module. Used as a context: its system is there inside."""

    system: ClassVar[str]
    secrets: ClassVar[Mapping[str, str]] = {}
    says_how_long: ClassVar[bool] = True
    """`throttled` names the time to wait."""
    troubles: ClassVar[Mapping[str, Kind]] = {}
    """The troubles that can be had with it, and what each must be taken for."""
    played_by: ClassVar[str] = "a double built from documentation"
    """What answers, in the report's words."""
    is_real: ClassVar[bool] = False
    """The system itself answers, and not somebody's idea of it."""
    short_is_last: ClassVar[bool] = False
    """A page that isn't full is the last, as its documentation says: whoever looks behind it asks in vain."""

    uncounted: ClassVar[str] = ""
    """Why the number of its requests says nothing."""

    log: list[Exchange] = field(default_factory=list)
    ambush: Callable[[Call], None] | None = None
    """Called before a request for data is answered."""
    faults: list[Fault] = field(default_factory=list)
    """Where its own code failed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._tokens: set[str] = set()
        self.issued: list[str] = []
        """Every token and session that was ever given."""
        self._trouble: deque[Trouble | Answer | Echo | str] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing of it is left."""

    # What a double says of its system.

    def settings(self) -> Mapping[str, Any]:
        """What a connection to it says; what the account's zone has to do with it, too."""
        raise NotImplementedError

    def complaints(self) -> Sequence[Complaint]:
        """Its own ways of saying no."""
        return ()

    def echoes(self) -> Sequence[Trouble | Answer | Echo | str]:
        """Its ways of repeating in an error what was sent to it, secrets among that."""
        return ()

    def carriers(self) -> Mapping[str, Carrier]:
        """By what a process reaches it, where that isn't HTTP: a new one for each process."""
        return {}

    # What it finds here.

    def issue(self) -> str:
        """A token or session that is good from now on."""
        token = f"issued-{token_hex(12)}"
        self._tokens.add(token)
        self.issued.append(token)
        return token

    def knows(self, token: str | None) -> bool:
        """Whether it was issued and hasn't expired."""
        return token in self._tokens

    # What the checks do.

    def trouble(self, *kinds: Trouble | Answer | Echo | str) -> None:
        """What the next requests for data get instead of an answer, one after the other."""
        with self._lock:
            self._trouble.extend(kinds)

    def no_more_trouble(self) -> None:
        """What hasn't come by now never comes."""
        with self._lock:
            self._trouble.clear()

    def expire(self) -> int:
        """Forget all tokens that were issued; how many there were."""
        with self._lock:
            count = len(self._tokens)
            self._tokens.clear()
            return count

    def asked(self, kinds: Collection[str] = ("data",)) -> list[Exchange]:
        """The requests of these kinds, so far."""
        with self._lock:
            return [each for each in self.log if each.kind in kinds]
