"""A database as a source: streams of it read as a run reads them, but without a ledger."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from servers.systems.sending import Budget
from sqlalchemy import make_url

from worker.connectors.contract import (
    Found,
    Page,
    Position,
    Record,
    Request,
    Response,
    Source,
    Stream,
    Window,
)
from worker.connectors.registry.registry import Registry
from worker.http.sender import CallContext, Sender
from worker.sql.carrier import SqlCarrier
from worker.telemetry.steps import Steps

EVERYTHING = Window()


PASSWORD = "env://SOURCE_PASSWORD"


def apart(url: str) -> str:
    """The URL without its password, which is then where `PASSWORD` says."""
    found = make_url(url)
    if found.password:
        os.environ["SOURCE_PASSWORD"] = str(found.password)
    return found._replace(password=None).render_as_string(hide_password=False)


def source_at(url: str, streams: Mapping[str, Any], **settings: Any) -> Source:
    """A connection of the system `sql`. The password goes where `PASSWORD` says."""
    url = apart(url) if not url.startswith("sqlite") else url
    return Registry.load().get("sql").bind({"url": url, "describe": {"streams": streams}, **settings})


@dataclass
class Reading:
    """Who reads it."""

    source: Source
    secrets: Mapping[str, str] = field(default_factory=lambda: {"password": PASSWORD})
    network: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 20.0
    most: int = 8 * 1024 * 1024
    connection: int = 1
    carrier: SqlCarrier = field(default_factory=SqlCarrier)
    sent: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> Response:
        self.sent.append(request)
        context = CallContext(
            connection_id=self.connection,
            account="plant",
            lane=3,
            source=self.source,
            secrets=self.secrets,
            request_id="r",
            steps=Steps(),
            network=self.network,
        )
        sender = Sender(
            Budget(), timeout=self.timeout / 2, max_bytes=self.most, carriers={"sql": self.carrier}
        )
        return sender.send(context, request)

    def pages(
        self, stream: str | Stream, window: Window = EVERYTHING, at: Position | None = None
    ) -> Iterator[Page]:
        of = self.source.stream(stream) if isinstance(stream, str) else stream
        while True:
            page = of.read(self.send(of.request(window, at)), window, at)
            yield page
            at = page.next
            if at is None:
                return

    def records(self, stream: str | Stream, window: Window = EVERYTHING) -> list[Record]:
        return [record for page in self.pages(stream, window) for record in page.records]

    def rows(self, stream: str | Stream, window: Window = EVERYTHING) -> list[Any]:
        return [msgspec.json.decode(record.raw) for record in self.records(stream, window)]

    def discover(self) -> Sequence[Found]:
        asking = self.source.discover()
        assert asking is not None
        try:
            request = next(asking)
            while True:
                request = asking.send(self.send(request))
        except StopIteration as end:
            found: Sequence[Found] = end.value
            return found

    def one(self, stream: str, key: str) -> Page:
        of = self.source.stream(stream)
        request = of.single(key)
        assert request is not None
        return of.read_single(self.send(request), key)


Read = Callable[..., Reading]
"""Who reads some streams of a database."""
