"""How does a hook sign? Last, on top of whatever proof the manifest asks for, when the request is about to leave."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from worker.connectors.auth.layered import Layered
from worker.connectors.contract import Request, Response, Signing, Step
from worker.connectors.hooks.calling import Calls


@dataclass(frozen=True, slots=True)
class HookedAuth(Layered):
    """The manifest's proof, and the hook's signature over it. Log-ins aren't signed."""

    calls: Calls

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]:
        flow = self.inner.flow(request, secrets, held)
        step = next(flow, None)
        while step is not None:
            answer = yield self._signed(step, request, secrets)
            try:
                step = flow.send(answer)
            except StopIteration:
                return

    def _signed(self, step: Step, asked: Request, secrets: Mapping[str, str]) -> Step:
        if isinstance(step, Request) and _same(step, asked):
            return Signing(lambda moment: self.calls.sign(step, secrets, moment), proved=step)
        if isinstance(step, Signing):
            return Signing(
                lambda moment: (
                    self.calls.sign(made, secrets, moment)
                    if _same(made := step.make(moment), asked)
                    else made
                ),
                proved=step.proved,
            )
        return step


def _same(made: Request, asked: Request) -> bool:
    """Whether it is the request that was asked for: a proof changes only headers and parameters."""
    return made.asked or (made.method, made.url, made.body) == (asked.method, asked.url, asked.body)
