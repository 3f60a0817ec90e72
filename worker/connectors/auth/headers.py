"""How does a request prove who it is by several headers at once, alone or on top of another way?"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

from worker.connectors.auth.layered import Layered
from worker.connectors.auth.texts import Names, Text
from worker.connectors.contract import Request, Response, Step
from worker.errors import NeedsOperator


@dataclass(frozen=True, slots=True)
class HeadersAuth(Layered):
    """Each header's text is filled; one with something optional that isn't given is left out."""

    texts: Mapping[str, Text]
    names: Names
    alone: bool = True
    """There is no other proof, so without any header of these a request would go without."""

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]:
        headers = self.names.headers(self.texts, secrets)
        if self.alone and not headers:
            raise NeedsOperator(
                "secret_missing",
                f"The connection gives nothing to prove itself with: {', '.join(self.texts)} would all be left out.",
                hint="Add a reference to one of its secrets in the connections file.",
            )
        yield from self.inner.flow(replace(request, headers={**request.headers, **headers}), secrets, held)
