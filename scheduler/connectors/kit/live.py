"""One live account, asked by a connector that is being written: no database, no worker, each exchange kept to be shown.

Secrets come from where they are referenced, are opened as in a worker, and never stand in what is shown or recorded.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any

import httpx

from scheduler.connectors.check.driving.budget import Lenient
from scheduler.connectors.kit.doubts import Came
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Page, Request, Response, Source, Stream, Window
from worker.engine.fetching.details import with_answers
from worker.errors import HeadraceError, InvalidInput, NeedsOperator
from worker.http.network.tls import trusted
from worker.http.sender import CallContext, Sender
from worker.parsing.documents import suggest
from worker.runs.states import Lane
from worker.telemetry.redaction import redactor
from worker.telemetry.steps import Steps

TIMEOUT = 30.0
MOST_BYTES = 64 * 1024 * 1024
PATIENCE = 120.0
"""So long is waited where the account says "later"."""
UNSHOWN = frozenset({"accept-encoding", "user-agent", "x-request-id", "host", "content-length", "connection"})
TELLING = ("limit", "retry", "link", "next", "total", "page", "cursor", "backoff", "count", "location")
"""Headers whose names hold one of these say something of paging, of waits, or where else to ask."""
SOME = 5
"""So many records are asked for where a list holds their keys alone."""
_HINTS = {
    "secret_unresolved": "It is opened here, by this command: set it in this shell, such as by export NAME=VALUE.",
    "redirected": "The system leads elsewhere (location, above): is base_url or the path another, such as https, or with a / at its end?",
}
"""What a worker's words would say wrongly of somebody who tries."""
PROOF = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A request that left, and what came."""

    method: str
    url: str
    sent: Mapping[str, str]
    body: bytes
    status: int
    got: Mapping[str, str]
    answer: bytes
    seconds: float


@dataclass
class Tracing(httpx.BaseTransport):
    """Sends, and keeps what went and came."""

    exchanges: list[Exchanged] = field(default_factory=list)
    _wire: httpx.HTTPTransport = field(
        default_factory=lambda: httpx.HTTPTransport(retries=0, verify=trusted())
    )
    """Straight to the system, trusting whom workers trust."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        begun = time.perf_counter()
        response = self._wire.handle_request(request)
        raw = b"".join(response.iter_raw())
        headers = [(name, value) for name, value in response.headers.items()]
        whole = httpx.Response(response.status_code, headers=headers, content=raw, request=request)
        seconds = time.perf_counter() - begun
        self.exchanges.append(
            Exchanged(
                request.method,
                str(request.url),
                dict(request.headers),
                request.content,
                response.status_code,
                dict(response.headers),
                whole.content,
                seconds,
            )
        )
        return whole

    def close(self) -> None:
        self._wire.close()


@dataclass
class Live:
    """A connection that nobody made yet."""

    source: Source
    secrets: Mapping[str, str]
    """References."""
    settings: Mapping[str, Any]
    tracing: Tracing = field(default_factory=Tracing)
    budget: Lenient = field(init=False)
    sender: Sender = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Lenient(lambda: datetime.now(UTC))
        self.sender = Sender(self.budget, timeout=TIMEOUT, max_bytes=MOST_BYTES, transport=self.tracing)

    def send(self, request: Request, stream: str = "") -> Response:
        """The answer, waited for where the account says how long to."""
        context = CallContext(
            connection_id=1,
            account="trial",
            lane=int(Lane.ON_DEMAND),
            source=self.source,
            secrets=self.secrets,
            request_id="trial",
            steps=Steps(),
            stream=stream,
            settings=self.settings,
        )
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self.sender.send(context, request)
            except HeadraceError as exc:
                if exc.code in _HINTS:
                    exc.hint = _HINTS[exc.code]
                wait = self._wait(exc)
                if wait is None or time.monotonic() + wait > until:
                    raise
                Event().wait(wait)

    def pages(self, asked: Stream, window: Window, most: int) -> Iterator[Came]:
        """The first pages of a stream with the answers that they were read from."""
        position = None
        for _ in range(most):
            response = self.send(asked.request(window, position), asked.name)
            page = asked.read(response, window, position)
            yield Came(page if page.listed is None else self._with_some(asked, page), response)
            if page.next is None:
                return
            position = page.next

    def _with_some(self, asked: Stream, page: Page) -> Page:
        """A list that says only which records there are, with the first few of them."""
        assert page.listed is not None  # noqa: S101 - or there was nothing to ask for
        found = []
        singles = page.listed.below or asked
        for key in page.listed.pending[:SOME]:
            request = singles.single(key)
            assert request is not None  # noqa: S101 - such a stream has `single`
            found.append(singles.read_single(self.send(request, asked.name), key))
        return with_answers(page, found) if found else page

    def _wait(self, error: HeadraceError) -> float | None:
        resume = getattr(error, "resume_at", None)
        return max(0.0, (resume - datetime.now(UTC)).total_seconds()) if resume is not None else None


@contextmanager
def live(
    connector: ManifestConnector, settings: Mapping[str, Any], secrets: Mapping[str, str]
) -> Iterator[Live]:
    """Bound and ready; what is missing is told first."""
    connector.check_settings(settings)
    needed = connector.secrets_of(settings)
    if unknown := [name for name in secrets if name not in needed]:
        hint = f"It has: {', '.join(needed)}." if needed else "It has none."
        said = f"{connector.title} has no secret {unknown[0]!r}."
        raise InvalidInput("unknown_key", said, place="--secret", hint=suggest(unknown[0], needed) or hint)
    if lacking := [name for name, required in needed.items() if required and name not in secrets]:
        hint = "Give each as --secret NAME=REFERENCE, such as --secret token=env://SHOP_TOKEN."
        raise NeedsOperator(
            "secret_missing", f"{connector.title} needs the secret {lacking[0]!r}.", hint=hint
        )
    found = Live(connector.bind(settings), secrets, settings)
    if found.source.transport != "http":
        raise NeedsOperator(
            "not_by_http", f"{connector.title} isn't asked by HTTP: use `headrace test` with a connection."
        )
    try:
        yield found
    finally:
        found.tracing.close()


def shown(one: Exchanged) -> Iterator[str]:
    """An exchange in lines for people, without a secret."""
    yield redactor.redact(f"> {one.method} {one.url}")
    for name, value in one.sent.items():
        if name.lower() not in UNSHOWN:
            yield redactor.redact(f">   {name}: {'…' if name.lower() in PROOF else value}")
    if one.body:
        yield redactor.redact(f">   {one.body[:2000].decode('utf-8', 'replace')}")
    size = f"{len(one.answer):,} bytes"
    kind = one.got.get("content-type", "no content type")
    yield f"< {one.status} in {one.seconds * 1000:.0f} ms, {size}, {kind}"
    for name, value in one.got.items():
        if any(word in name.lower() for word in TELLING):
            yield redactor.redact(f"<   {name}: {value}")
