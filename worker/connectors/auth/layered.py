"""How does one way of proving who we are stand on top of another?"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from worker.connectors.contract import Auth, Request, Response, SessionAuth, Step, TokenAuth


@dataclass(frozen=True, slots=True)
class Layered:
    """What a layer says of the proof below it: where its tokens come from, and how its session is given back."""

    inner: Auth

    @property
    def token_url(self) -> str:
        return self.inner.token_url if isinstance(self.inner, TokenAuth) else ""

    @property
    def replaced(self) -> frozenset[str]:
        return self.inner.replaced if isinstance(self.inner, TokenAuth) else frozenset()

    def log_out(self, secrets: Mapping[str, str], held: Mapping[str, str]) -> Request | None:
        return self.inner.log_out(secrets, held) if isinstance(self.inner, SessionAuth) else None


def last_answer(flow: Generator[Step, Response, None]) -> Generator[Step, Response, Response]:
    """Drive a flow from within another one; its last answer, which is that to the request asked for."""
    outgoing = next(flow)
    while True:
        answer = yield outgoing
        try:
            outgoing = flow.send(answer)
        except StopIteration:
            return answer
