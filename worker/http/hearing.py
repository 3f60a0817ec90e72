"""Who listens to an answer: who bounds it as it comes, who makes what is read of it, and who judges it."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.connectors.contract import Response
from worker.connectors.hooks.source import HookedSource
from worker.errors import AuthExpired
from worker.http.body import too_large
from worker.http.heeding import Judge


def nobody_asks(size: int) -> None:
    """How large the answer is matters to nobody."""
    del size


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is done with an answer as it comes, and when it is there."""

    comes: Callable[[int], None]
    judge: Judge
    hook: HookedSource | None = None
    """Where the connector has one: it makes what is read of what came."""

    def heard(self, response: Response, place: str, most: int) -> Response:
        """What is read of it, bounded as what came was. A word to wait is nobody's to change."""
        if self.hook is None or response.status == 429:
            return response
        made = self.hook.received(response)
        if len(made.body) > most:
            raise too_large(f"What the hook made of the answer of {place}", most)
        self.comes(len(made.body))
        return made

    def expired(self, response: Response) -> bool:
        """Whether it says in words of its own that our token or session is good no longer."""
        return isinstance(self.judge.failure(response), AuthExpired)


UNHEARD = Hearing(nobody_asks, Judge(None))
"""Of a log-in: whoever logs in reads it."""
