"""A source asked without the engine: the loop that `worker/engine` and `worker/http` make of the contract, in small.

One httpx client, no budget, no database. What it yields is what a connector made of a real system's answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httpx

from worker.connectors.contract import Page, Position, Record, Request, Response, Source, Window
from worker.http.address import address_of


@dataclass
class Asking:
    """One connection: its source, its opened secrets, and what its auth holds."""

    source: Source
    secrets: dict[str, str]
    held: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[Request, Response]] = field(default_factory=list)
    """Every request that left, log-ins included, with its answer."""

    def answer(self, request: Request) -> Response:
        """Send the request with its proof; the system's refusal is raised."""
        flow = self.source.auth.flow(request, self.secrets, self.held)
        outgoing = next(flow)
        while True:
            response = self._send(outgoing)
            try:
                outgoing = flow.send(response)
            except StopIteration:
                break
        if response.status not in request.absent and (failure := self.source.failure(response)) is not None:
            raise failure
        return response

    def one(self, stream: str, key: str) -> Page:
        """What the system says of one record."""
        asked = self.source.stream(stream)
        request = asked.single(key)
        assert request is not None, "records can't be asked for by their keys"
        return asked.read_single(self.answer(request), key)

    def pages(self, stream: str, window: Window = Window(), *, at: Position | None = None) -> Iterator[Page]:  # noqa: B008 - frozen
        """Every page of the window, from the position on."""
        asked, position = self.source.stream(stream), at
        while True:
            page = asked.read(self.answer(asked.request(window, position)), window, position)
            yield page
            if page.next is None:
                return
            position = page.next

    def records(self, stream: str, window: Window = Window()) -> list[Record]:  # noqa: B008 - frozen
        """Every record of the window; none may have been rejected."""
        found: list[Record] = []
        for page in self.pages(stream, window):
            assert not page.rejected, page.rejected[0]
            found += page.records
        return found

    def _send(self, outgoing: Request) -> Response:
        url = address_of(self.source.base_url, outgoing).url
        headers: dict[str, Any] = {"Accept-Encoding": "gzip", **outgoing.headers}
        answer = _client().request(outgoing.method, url, content=outgoing.body, headers=headers)
        response = Response(answer.status_code, dict(answer.headers), answer.content, str(answer.url))
        self.sent.append((outgoing, response))
        return response


@lru_cache(maxsize=1)
def _client() -> httpx.Client:
    return httpx.Client(timeout=60, trust_env=False)
