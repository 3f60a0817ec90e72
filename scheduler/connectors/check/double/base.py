"""The base of every double: it keeps the truth and the clock, serves, and makes trouble on request.

What a double says of its system (all but `answer` has a default):

    system, secrets, tables     its name, the secrets' values by the manifest's names, its streams
    settings()                  what a connection to it says
    answer(call)                what it answers to whoever may ask
    admits(call)                whether the proof is good; is_login(call): no proof is needed, for it is how one is got
    render(stream, row)         a row as the system shows it; throttled, failing, refused, forbidden: how it says no
    complaints()                further ways of saying no that are its own, such as an error in a 200

What it finds here: `rows` (by change, filtered), `show` (render, and what the checks change about it), `issue` and
`knows` for tokens, `write` for a time as the table writes it, and `zone`, the account's.

What the checks do: `create`, `change`, `delete`, `advance`, `truth` (all in `truth`), `trouble`, `expire`, `log`.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any, ClassVar, Literal, Self

from scheduler.connectors.check.double.exchange import Answer, Call, Exchange
from scheduler.connectors.check.double.serving import Serving, http_date
from scheduler.connectors.check.double.truth import Truth

Kind = Literal["transient", "rate_limited", "operator", "auth_expired"]
Trouble = Literal["throttled", "failing", "silent", "cut", "garbage", "html", "refused", "forbidden"]
Echo = Callable[[Call], Answer]
WAIT = 37
"""Seconds that a throttled request is asked to wait."""
HTML = "<!doctype html><html><title>Sign in</title><body>Please sign in.</body></html>"


@dataclass(frozen=True)
class Complaint:
    """A way of saying no that is the system's own, and what it must be taken for."""

    name: str
    answer: "Answer | Trouble"
    kind: Kind
    wait: float | None = None
    """Seconds that it asks to wait, where it is `rate_limited` and says so."""
    words: str | None = None
    """What of its words must reach a person."""


@dataclass
class Double(Truth):
    """See the module. Used as a context: it serves inside."""

    system: ClassVar[str]
    secrets: ClassVar[Mapping[str, str]] = {}
    says_how_long: ClassVar[bool] = True
    """`throttled` names the time to wait."""

    log: list[Exchange] = field(default_factory=list)
    ambush: Callable[[Call], None] | None = None
    """Called before a request for data is answered."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._tokens: set[str] = set()
        self.issued: list[str] = []
        """Every token and session that was ever given."""
        self._trouble: deque[Trouble | Answer | Echo] = deque()
        self._released = threading.Event()
        self._serving: Serving | None = None

    def __enter__(self) -> Self:
        self._serving = Serving(self._say)
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        if self._serving is not None:
            self._serving.stop()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        assert self._serving is not None, "a double serves inside of `with`"  # noqa: S101 - how it is used
        return self._serving.base_url

    # What a double says of its system.

    def settings(self) -> Mapping[str, Any]:
        """What a connection to it says; what the account's zone has to do with it, too."""
        return {"base_url": self.base_url}

    def answer(self, call: Call) -> Answer:
        """What the system says to this. ValueError and KeyError are answered with 400."""
        raise NotImplementedError

    def admits(self, call: Call) -> bool:
        """Whether the call proves who it is."""
        del call
        return True

    def is_login(self, call: Call) -> bool:
        """Whether it asks for a token or session: `answer` sees to its proof."""
        del call
        return False

    def throttled(self, seconds: int) -> Answer:
        """It is asked too often, and should be left alone for so long."""
        return Answer(429, {"message": "Too many requests."}, {"Retry-After": str(seconds)})

    def failing(self) -> Answer:
        """Something is broken in it."""
        return Answer(500, {"message": "Internal error."})

    def refused(self) -> Answer:
        """It doesn't know the token, key or password."""
        return Answer(401, {"message": "Not authenticated."})

    def forbidden(self) -> Answer:
        """It knows who asks, who may not."""
        return Answer(403, {"message": "Not allowed."})

    def complaints(self) -> Sequence[Complaint]:
        """Its own ways of saying no."""
        return ()

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

    def trouble(self, *kinds: Trouble | Answer | Echo) -> None:
        """What the next requests for data get instead of an answer, one after the other."""
        with self._lock:
            self._trouble.extend(kinds)

    def no_more_trouble(self) -> None:
        """Whoever waits in vain is let go."""
        with self._lock:
            self._trouble.clear()
            self._released.set()
            self._released = threading.Event()

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

    # How it does that.

    def _say(self, call: Call) -> Answer | None:
        with self._lock:
            kind, answer, released = *self._judged(call), self._released
            dated = replace(answer, headers={"Date": http_date(self.now), **answer.headers})
            self.log.append(Exchange(call, dated, kind))
        if kind == "silent":
            released.wait(30)
            return None
        return dated

    def _judged(self, call: Call) -> tuple[str, Answer]:
        if self.is_login(call):
            return "login", self._answered(call)
        if not self.admits(call):
            return "refused", self.refused()
        if self._trouble:
            return self._troubled(call, self._trouble.popleft())
        if self.ambush is not None:
            self.ambush(call)
        return "data", self._answered(call)

    def _answered(self, call: Call) -> Answer:
        try:
            return self.answer(call)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            return Answer(400, {"message": f"{type(exc).__name__}: {exc}"})

    def _troubled(self, call: Call, kind: Trouble | Answer | Echo) -> tuple[str, Answer]:
        if isinstance(kind, Answer):
            return "complaint", kind
        if callable(kind):
            return "complaint", kind(call)
        if kind == "cut":
            return kind, replace(self._answered(call), cut=True)
        says: dict[Trouble, Callable[[], Answer]] = {
            "throttled": lambda: self.throttled(WAIT),
            "failing": self.failing,
            "refused": self.refused,
            "forbidden": self.forbidden,
            "garbage": lambda: Answer(200, b'{"half": [1, 2', {"Content-Type": "application/json"}),
            "html": lambda: Answer(200, HTML, {"Content-Type": "text/html; charset=utf-8"}),
            "silent": Answer,
        }
        return kind, says[kind]()
