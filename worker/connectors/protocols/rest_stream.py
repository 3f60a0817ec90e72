"""How is one kind of record of a REST system asked for, and read page by page? All of it from the manifest."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from worker.connectors.contract import TOKEN_EXPIRED, Page, Position, Request, Response, Window
from worker.connectors.cursors import format_cursor
from worker.connectors.manifest.streams.single import check_filters
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.manifest.templates import fill_all, fill_path
from worker.connectors.paging.chained import ByLink
from worker.connectors.paging.links import same_origin
from worker.connectors.paging.paging import Paging
from worker.connectors.protocols.stream import ManifestStream
from worker.connectors.reading.gone import buried, take_removed
from worker.connectors.reading.shape import FieldPath
from worker.connectors.reading.single import absent, one_of
from worker.errors import HeadraceError, NeedsOperator, Transient


@dataclass(frozen=True, slots=True)
class Common:
    """What all streams of a connection share."""

    base_url: str
    headers: Mapping[str, str]
    params: Mapping[str, str]
    settings: Mapping[str, Any]
    failure: Callable[[Response], HeadraceError | None]


class RestStream(ManifestStream):
    """One kind of record, read page by page."""

    def __init__(self, spec: StreamManifest, common: Common) -> None:
        super().__init__(spec)
        self._url = common.base_url + fill_path(spec.path, common.settings)
        self._headers = common.headers
        self._params = {**common.params, **fill_all(spec.params or {}, common.settings)}
        paging = spec.paging
        self._paging: Paging = (
            replace(paging, base_url=common.base_url) if isinstance(paging, ByLink) else paging
        )
        self._common = common

    @property
    def _pointer(self) -> FieldPath | None:
        return self._paging.pointer

    def request(self, window: Window, position: Position | None) -> Request:
        if position and "url" in position:
            return self._asking(
                Request(self._spec.method, str(position["url"]), headers=self._headers), window
            )
        if window.token is not None and self._token_is_link and position is None:
            link = same_origin(self._common.base_url, window.token, seen_at=self._common.base_url)
            return self._asking(Request(self._spec.method, link, headers=self._headers), window)
        params = [*self._params.items(), *self._changed(window), *self._paging.params(position)]
        return self._asking(Request(self._spec.method, self._url, params, self._headers), window)

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        self._check_token(response, window)
        reading = self._reader.read(response.body)
        following = self._paging.following(position, reading.seen, response)
        token = _token_of(reading.seen.token)
        page = Page(reading.records, reading.rejected, following, reading.seen.total, token=token)
        return self._without_removed(page)

    def onward(self, position: Position | None, page: Page, most: int) -> Sequence[Position]:
        return () if page.next is None else self._paging.onward(position, page.next, page.total, most)

    def back(self, position: Position | None) -> Position | None:
        return self._paging.back(position)

    def resized(self, divisor: int, position: Position | None) -> "tuple[RestStream, Position | None] | None":
        changed = self._paging.resized(divisor, position)
        if changed is None:
            return None
        stream = copy(self)
        stream._paging, place = changed  # noqa: SLF001 - a copy of its own kind
        return stream, place

    def parse(self, raws: Sequence[bytes]) -> Page:
        return self._without_removed(super().parse(raws))

    def sweep(self) -> "RestStream | None":
        return None if self._spec.swept is None else RestStream(self._spec.swept, self._common)

    def tombstones(self) -> "RestTombstones | None":
        spec, setting = self._spec.tombstones, self._spec.tombstones_setting
        if spec is None or (setting is not None and not self._common.settings.get(setting)):
            return None
        return RestTombstones(spec, self._common)

    def single(self, key: str) -> Request | None:
        asked = self._spec.single
        if asked is None:
            return None
        url = asked.url(self._common.base_url, self._common.settings, key)
        params = self._params if asked.params is None else fill_all(asked.params, self._common.settings)
        return Request(self._spec.method, url, [*params.items()], self._headers, absent=asked.absent)

    def read_single(self, response: Response, key: str) -> Page:
        asked = self._spec.single
        assert asked is not None  # noqa: S101 - or nothing was asked
        if response.status in asked.absent:
            return absent(response, key)
        return one_of(self, response.body, asked.record, key)

    def filtered(self, values: Mapping[str, str]) -> "RestStream":
        check_filters(self.name, self.filters, values)
        stream = copy(self)
        stream._params = {**self._params, **values}  # noqa: SLF001 - a copy of its own kind
        return stream

    def _without_removed(self, page: Page) -> Page:
        return page if self._spec.removed is None else take_removed(page, self._spec.removed)

    def _changed(self, window: Window) -> list[tuple[str, str]]:
        asked = self._spec.incremental
        if asked is None or asked.param is None:
            return []
        say = partial(format_cursor, form=asked.time.form, zone=asked.time.zone, precision=asked.precision)
        params = []
        if window.token is not None:
            params.append((asked.param, asked.template.replace("{value}", window.token)))
        if window.since is not None:
            params.append((asked.param, asked.template.replace("{value}", say(window.since))))
        if window.until is not None and asked.until_param is not None:
            params.append((asked.until_param, say(window.until, round_up=True)))
        return params

    @property
    def _token_is_link(self) -> bool:
        return self._spec.incremental is not None and self._spec.incremental.param is None

    def _asking(self, request: Request, window: Window) -> Request:
        """With what may be said of the window's token."""
        token = self._spec.incremental.token if self._spec.incremental else None
        return request if token is None or window.token is None else replace(request, absent=token.statuses)

    def _check_token(self, response: Response, window: Window) -> None:
        """Raise where the system no longer knows the window's token, or says something else by that status."""
        token = self._spec.incremental.token if self._spec.incremental else None
        if token is None or window.token is None or response.status not in token.statuses:
            return
        failure = self._common.failure(response) or NeedsOperator(
            TOKEN_EXPIRED, "The system refuses the token."
        )
        if token.words and not any(word in failure.message.lower() for word in token.words):
            raise failure
        raise NeedsOperator(TOKEN_EXPIRED, failure.message)


def _token_of(found: Any) -> str | None:
    if found is None or found == "":
        return None
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise Transient(
            "malformed_page", f"The token of the next window is {type(found).__name__}, not text."
        )
    return str(found)


class RestTombstones(RestStream):
    """The list of what was deleted in a stream."""

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        return buried(super().read(response, window, position))
