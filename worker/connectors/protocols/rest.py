"""How is a REST system asked? The protocol `rest`: GET with parameters, answers in JSON, all of it from the manifest."""

from collections.abc import Mapping
from typing import Any

from worker.connectors.contract import Auth, Response, Stream, Webhooks
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.requests import Common as Carried
from worker.connectors.manifest.requests import fill_params
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.manifest.templates import fill_all, fill_base_url
from worker.connectors.manifest.webhooks.hooks import ManifestWebhooks
from worker.connectors.paging.chained import ByCursor, OnePage
from worker.connectors.protocols.capped import CappedStream
from worker.connectors.protocols.carrying import FirstTokenStream
from worker.connectors.protocols.rest_stream import Common, RestStream
from worker.connectors.protocols.source import ManifestSource
from worker.connectors.protocols.stream import stream_named
from worker.connectors.requests.templates import fill_json
from worker.errors import HeadraceError


def kind_of(spec: StreamManifest, usual: type[RestStream]) -> type[RestStream]:
    """What such a stream is: most remember no more than their place."""
    if spec.asked.cap:
        return CappedStream
    told, paging = spec.asked.told, spec.paging
    if told is None or told.token is None or isinstance(paging, OnePage):
        return usual
    leads_on = isinstance(paging, ByCursor) and (paging.header or "").lower() == told.token
    return usual if leads_on else FirstTokenStream  # what leads from page to page is as old as its page


class RestSource(ManifestSource):
    """One connection to a REST system."""

    kind: type[RestStream] = RestStream

    def __init__(self, manifest: Manifest, settings: Mapping[str, Any]) -> None:
        super().__init__(manifest)
        self._settings = settings
        self.base_url = fill_base_url(manifest.base_url, settings)
        self.auth: Auth = manifest.auth.bind(settings)
        spec = manifest.webhooks
        self.webhooks: Webhooks | None = (
            None if spec is None else ManifestWebhooks(spec, self.stream, settings)
        )
        headers = {"Accept": "application/json", **fill_all(manifest.headers, settings)}
        body = fill_json(manifest.body, settings)
        self._carried = Carried(headers, fill_params(manifest.params, settings), body)
        common = Common(self.base_url, self._carried, settings, self.failure)
        self._streams = {
            name: kind_of(spec, self.kind)(spec, common) for name, spec in manifest.streams.items()
        }

    def stream(self, name: str) -> Stream:
        return stream_named(name, self._streams, system=self.manifest.system)

    def failure(self, response: Response) -> HeadraceError | None:
        return self.manifest.errors.failure(response)
