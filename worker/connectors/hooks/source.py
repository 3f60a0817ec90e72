"""What does a source with a hook look like to who sends? Like any other, but that what goes and comes passes the hook."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.connectors.contract import (
    Auth,
    Discovery,
    Limits,
    Request,
    Response,
    Source,
    Stream,
    Transport,
    Webhooks,
)
from worker.connectors.hooks.calling import Calls
from worker.connectors.hooks.loading import LoadedHook
from worker.connectors.hooks.signing import HookedAuth
from worker.errors import HeadraceError


class HookedSource:
    """A source, and the hook of its connector. Who sends asks `sending` and `received`; the rest is the source's."""

    def __init__(self, source: Source, hook: LoadedHook, settings: Mapping[str, Any]) -> None:
        self._source = source
        self._calls = Calls(hook, settings)
        self.auth: Auth = HookedAuth(source.auth, self._calls) if hook.signs else source.auth

    def sending(self, request: Request) -> Request:
        """What is to be sent."""
        return self._calls.request(request)

    def received(self, response: Response) -> Response:
        """What is to be read. Once for each answer."""
        return self._calls.response(response)

    def failure(self, response: Response) -> HeadraceError | None:
        return self._calls.failure(response) or self._source.failure(response)

    @property
    def transport(self) -> Transport:
        return self._source.transport

    @property
    def base_url(self) -> str:
        return self._source.base_url

    @property
    def limits(self) -> Limits:
        return self._source.limits

    @property
    def webhooks(self) -> Webhooks | None:
        return self._source.webhooks

    @property
    def stream_names(self) -> Sequence[str]:
        return self._source.stream_names

    def stream(self, name: str) -> Stream:
        return self._source.stream(name)

    def discover(self) -> Discovery | None:
        return self._source.discover()


def hooked(source: Source) -> HookedSource | None:
    """The source, if it has a hook. Costs next to nothing."""
    return source if isinstance(source, HookedSource) else None
