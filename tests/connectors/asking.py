"""A source asked without the engine: the loop that `worker/engine` and `worker/http` make of the contract, in small.

One httpx client, no budget, no database. What it yields is what a connector made of a real system's answers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any
from uuid import uuid4

import httpx

from worker.connectors.contract import (
    Moment,
    Page,
    Position,
    Record,
    Renewal,
    Request,
    Response,
    Signing,
    Source,
    Step,
    Window,
)
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
        step = next(flow)
        while True:
            response = self._send(as_sent(step, self.source, self.secrets))
            try:
                step = flow.send(response)
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
        url = _url_of(self.source, outgoing)
        headers: dict[str, Any] = {"Accept-Encoding": "gzip", **outgoing.headers}
        answer = _client().request(outgoing.method, url, content=outgoing.body, headers=headers)
        response = Response(answer.status_code, dict(answer.headers), answer.content, str(answer.url))
        self.sent.append((outgoing, response))
        return response


def as_sent(step: Step, source: Source, secrets: Mapping[str, str]) -> Request:
    """What a step of an auth's flow sends, now."""
    if isinstance(step, Renewal):
        return as_sent(step.request(secrets[step.secret]), source, secrets)
    if isinstance(step, Signing):
        url_of = partial(_url_of, source)
        return step.make(Moment(datetime.now(UTC), uuid4().hex, url_of))
    return step


def _url_of(source: Source, request: Request) -> str:
    return address_of(source.base_url, request).url


@lru_cache(maxsize=1)
def _client() -> httpx.Client:
    return httpx.Client(timeout=60, trust_env=False)
