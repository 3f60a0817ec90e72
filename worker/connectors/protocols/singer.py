"""How is a Singer tap asked? The protocol `singer`: a program of its own is started for each run, and says what it reads.

Requests and answers are those of `singer_calls`, carried by `worker/taps`: this room starts nothing. A place is the batch of
a living process, and the state that leads a new one there. Where a stream has a STATE that leads on, its cursor is the last
one of a run that ended well; else each run reads all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from worker.connectors.auth import NoAuth
from worker.connectors.contract import (
    Auth,
    Discovery,
    Page,
    Position,
    Rejected,
    Request,
    Response,
    Stream,
    StreamTraits,
    Transport,
    Webhooks,
    Window,
)
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.manifest.webhooks.hooks import ManifestWebhooks
from worker.connectors.protocols.singer_calls import Asked, Choice, told_by
from worker.connectors.protocols.singer_catalog import found_in
from worker.connectors.protocols.source import ManifestSource
from worker.connectors.protocols.stream import ManifestStream, stream_named
from worker.errors import HeadraceError, Transient


class SingerSource(ManifestSource):
    """One connection that a tap reads."""

    transport: Transport = "tap"

    def __init__(self, manifest: Manifest, settings: Mapping[str, Any]) -> None:
        super().__init__(manifest)
        self.base_url = f"tap:{settings['tap']}"
        self.auth: Auth = NoAuth()
        spec = manifest.webhooks
        self.webhooks: Webhooks | None = (
            None if spec is None else ManifestWebhooks(spec, self.stream, settings)
        )
        called = manifest.singer
        self._asked = Asked(
            settings["tap"], dict(called.config), executable=called.executable, catalog=called.catalog
        )
        at_once = int(settings.get("at_once") or 0)
        self._streams = {
            name: SingerStream(spec, self._asked, at_once) for name, spec in manifest.streams.items()
        }

    def stream(self, name: str) -> Stream:
        return stream_named(name, self._streams, system=self.manifest.system)

    def discover(self) -> Discovery | None:
        """A tap that isn't told what to read can't be asked what there is."""
        return None if self._asked.catalog == "none" else _discovering(self._asked)

    def failure(self, response: Response) -> HeadraceError | None:
        """A tap says no by how it ends, which its carrier has raised."""
        del response
        return None


def _discovering(asked: Asked) -> Discovery:
    response = yield asked.request()
    return found_in(msgspec.json.decode(response.body))


class SingerStream(ManifestStream):
    """One stream of the tap."""

    def __init__(self, spec: StreamManifest, asked: Asked, at_once: int, *, swept: bool = False) -> None:
        super().__init__(spec)
        tap = spec.tap
        assert tap is not None  # noqa: S101 - the manifest was read for this protocol
        choice = Choice(tap.stream, tap.method, tap.replication_key, tap.leave_out, _names(spec))
        self._asked = msgspec.structs.replace(asked, choice=choice)
        self._at_once = at_once
        self._traits = replace(spec.traits, at_once=at_once)
        self._is_swept = swept

    @property
    def traits(self) -> StreamTraits:
        return self._traits

    def request(self, window: Window, position: Position | None) -> Request:
        place = position or {}
        asked = msgspec.structs.replace(
            self._asked,
            state=place.get("state", window.token),
            session=place.get("session"),
            number=place.get("number", 0),
        )
        return asked.request()

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        del window, position
        told = told_by(response)
        reading = self._reader.read(response.body)
        rejected = [Rejected(each.begins.encode(), each.code, each.reason) for each in told.odd]
        page = Page(reading.records, [*reading.rejected, *rejected])
        if not told.done:
            page.next = {"session": told.session, "number": told.number, "state": told.state}
        elif told.versions == "open" and self._is_swept:
            message = "The tap ended without saying that its table had come whole (ACTIVATE_VERSION)."
            raise Transient("version_not_activated", message)
        elif self._traits.token:
            page.token = told.state
        return page

    def onward(self, position: Position | None, page: Page, most: int) -> Sequence[Position]:
        del position, page, most
        return ()

    def back(self, position: Position | None) -> Position | None:
        del position
        return None

    def resized(
        self, divisor: int, position: Position | None
    ) -> "tuple[SingerStream, Position | None] | None":
        del divisor, position
        return None

    def sweep(self) -> "SingerStream | None":
        swept = self._spec.swept
        return None if swept is None else SingerStream(swept, self._asked, self._at_once, swept=True)

    def tombstones(self) -> Stream | None:
        return None

    def single(self, key: str) -> Request | None:
        del key
        return None

    def read_single(self, response: Response, key: str) -> Page:
        del response, key
        raise AssertionError("a tap can't be asked for one record")


def _names(spec: StreamManifest) -> tuple[str, ...]:
    return tuple(path[0] for path in spec.shape.key)
