"""The base of every double of an HTTP system: it keeps the truth and the clock, serves, and makes trouble on request.

What a double says of its system (all but `answer` has a default):

    system, secrets, tables     its name, the secrets' values by the manifest's names, its streams
    settings()                  what a connection to it says
    answer(call)                what it answers to whoever may ask
    admits(call)                whether the proof is good; is_login(call): no proof is needed, for it is how one is got
    render(stream, row)         a row as the system shows it; throttled, failing, refused, forbidden: how it says no
    complaints()                further ways of saying no that are its own, such as an error in a 200

What it finds here: `rows` (by change, filtered), `show` (render, and what the checks change about it), `issue` and
`knows` for tokens, `write` for a time as the table writes it, and `zone`, the account's.

What the checks do: `create`, `change`, `delete`, `advance`, `truth` (all in `truth`), `trouble`, `expire`, `log`
(in `any_double`).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from scheduler.connectors.check.double.any_double import WAIT, AnyDouble, Echo, Kind, Trouble
from scheduler.connectors.check.double.exchange import Answer, Call, Exchange
from scheduler.connectors.check.double.faults import DOUBTFUL, REFUSALS, fault_of
from scheduler.connectors.check.double.serving import Serving, http_date

HTML = "<!doctype html><html><title>Sign in</title><body>Please sign in.</body></html>"


@dataclass
class Double(AnyDouble):
    """See the module. Used as a context: it serves inside."""

    troubles: ClassVar[Mapping[str, Kind]] = {
        "failing": "transient",
        "cut": "transient",
        "garbage": "transient",
        "html": "transient",
        "forbidden": "operator",
        "silent": "transient",
        "throttled": "rate_limited",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
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
        """What the system says to this. A ValueError is its 400; what else is raised is told as the double's own fault."""
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

    def echoes(self) -> Sequence[Trouble | Answer | Echo | str]:
        """Its ways of repeating in an error what was sent to it: by each status that means something else."""
        return [_echo(status) for status in (400, 500, 429)]

    # What the checks do.

    def no_more_trouble(self) -> None:
        """Whoever waits in vain is let go."""
        with self._lock:
            super().no_more_trouble()
            self._released.set()
            self._released = threading.Event()

    # How it does that.

    def _say(self, call: Call) -> Answer | None:
        with self._lock:
            kind, answer, released = *self._sound(call), self._released
            dated = replace(answer, headers={"Date": http_date(self.now), **answer.headers})
            self.log.append(Exchange(call, dated, kind))
        if kind == "silent":
            released.wait(30)
            return None
        return dated

    def _sound(self, call: Call) -> tuple[str, Answer]:
        """What is answered, if that can be sent; where the double's code fails, that is noted."""
        try:
            kind, answer = self._judged(call)
        except Exception as exc:  # noqa: BLE001 - a double is anybody's code
            return "data", self._failed(exc)
        try:
            _check(answer)
        except Exception as exc:  # noqa: BLE001
            return kind, self._failed(exc, "answer")
        return kind, answer

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
        except (*REFUSALS, *DOUBTFUL) as exc:
            return self._failed(exc, status=400)

    def _failed(self, exc: Exception, method: str = "", *, status: int = 500) -> Answer:
        fault = fault_of(exc, type(self), method)
        if fault is not None:
            self.faults.append(replace(fault, refuses=False, doubtful=False) if method else fault)
        return Answer(status, {"message": f"{type(exc).__name__}: {exc}"})

    def _troubled(self, call: Call, kind: Trouble | Answer | Echo | str) -> tuple[str, Answer]:
        if isinstance(kind, Answer):
            return "complaint", kind
        if callable(kind):
            return "complaint", kind(call)
        if kind == "cut":
            return kind, replace(self._answered(call), cut=True)
        says: dict[str, Callable[[], Answer]] = {
            "throttled": lambda: self.throttled(WAIT),
            "failing": self.failing,
            "refused": self.refused,
            "forbidden": self.forbidden,
            "garbage": lambda: Answer(200, b'{"half": [1, 2', {"Content-Type": "application/json"}),
            "html": lambda: Answer(200, HTML, {"Content-Type": "text/html; charset=utf-8"}),
            "silent": Answer,
        }
        return kind, says[kind]()


def _check(answer: object) -> None:
    """Raises where that can't be sent."""
    if not isinstance(answer, Answer):
        raise TypeError(f"it gave {type(answer).__name__}, and no Answer")
    answer.content  # noqa: B018 - it may be no JSON


def _echo(status: int) -> Echo:
    def echo(call: Call) -> Answer:
        sent = {**call.headers, "body": call.body.decode("utf-8", "replace"), "query": call.query}
        return Answer(status, {"message": f"You sent {sent}", "error": {"message": f"You sent {sent}"}})

    return echo
