"""How is one kind of record of a REST system asked for, and read page by page? All of it from the manifest."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from worker.connectors.contract import TOKEN_EXPIRED, Page, Position, Record, Request, Response, Window
from worker.connectors.manifest.requests import Common as Carried
from worker.connectors.manifest.requests import fill_params
from worker.connectors.manifest.streams.incremental import Token
from worker.connectors.manifest.streams.single import KEY, Single
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.manifest.templates import as_text
from worker.connectors.paging.chained import ByLink
from worker.connectors.paging.keyset import ByKeyset
from worker.connectors.paging.links import same_origin
from worker.connectors.paging.paging import Paging
from worker.connectors.protocols.below import entries_of
from worker.connectors.protocols.by_status import beyond, nothing_new
from worker.connectors.protocols.stream import ManifestStream
from worker.connectors.reading.gone import buried, orphaned, take_removed
from worker.connectors.reading.reader import Reader, shared_reader
from worker.connectors.reading.shape import FieldPath
from worker.connectors.reading.single import absent, is_null, one_among, one_of
from worker.connectors.requests.conditions import Condition, Conditions
from worker.connectors.requests.draft import Placed
from worker.connectors.requests.templates import fill_json, fill_text
from worker.errors import BadRecord, HeadraceError, InvalidInput, NeedsOperator, Transient


@dataclass(frozen=True, slots=True)
class Common:
    """What all streams of a connection share."""

    base_url: str
    carries: Carried
    settings: Mapping[str, Any]
    failure: Callable[[Response], HeadraceError | None]


class RestStream(ManifestStream):
    """One kind of record, read page by page."""

    def __init__(self, spec: StreamManifest, common: Common) -> None:
        super().__init__(spec)
        self._common = common
        self._asked = asked = spec.asked.bound(common.settings)
        self._outline = asked.outline(common.base_url, common.carries, common.settings)
        self._filters: Mapping[str, Any] = {}
        self._always = asked.always(common.settings) if asked.conditions else []
        self._token = spec.incremental.token if spec.incremental is not None else None
        paging = spec.paging
        self._paging: Paging = (
            replace(paging, base_url=common.base_url) if isinstance(paging, ByLink) else paging
        )

    @property
    def _pointer(self) -> FieldPath | None:
        return self._paging.pointer

    @property
    def _more(self) -> FieldPath | None:
        return self._paging.more

    @cached_property
    def _lists(self) -> Reader:
        """Reads what a list holds: records, or only which there are."""
        detail = self._spec.detail
        return self._reader if detail is None else shared_reader(detail.entries, self._pointer, self._more)

    def request(self, window: Window, position: Position | None) -> Request:
        asked, paging = self._asked, self._paging
        link = position["url"] if position and "url" in position else self._link_of(window, position)
        parts = []
        if self._filters:
            parts.append(
                Placed(
                    "query", [(name, value) for name, value in self._filters.items() if name not in asked.by]
                )
            )
        if not asked.changes_by_condition:
            parts.append(Placed(asked.changes_in, self._changed(window)))
        parts.append(Placed(asked.paging_in, paging.params(position)))
        if asked.conditions is not None:
            parts.append(asked.conditions.placed(self._conditions(asked.conditions, window, position)))
        request = self._outline.request(*parts, url=link, headers=paging.headers or None)
        return self._asking(request, window)

    def _link_of(self, window: Window, position: Position | None) -> str | None:
        """Where a window's token is a link: to the first page of what came since."""
        if window.token is None or self._token is None or position is not None:
            return None
        if self._token.header is not None or self._spec.incremental is None or self._spec.incremental.param:
            return None
        return same_origin(self._common.base_url, window.token, seen_at=self._common.base_url)

    def _conditions(self, known: Conditions, window: Window, position: Position | None) -> list[Condition]:
        asked, incremental = self._asked, self._spec.incremental
        found = list(self._always)
        if incremental is not None:
            for bound, condition, up in (
                (window.since, asked.since, False),
                (window.until, asked.until, True),
            ):
                if bound is not None and condition is not None:
                    found.append(known.filled(condition, {"value": incremental.said(bound, round_up=up)}))
        if isinstance(self._paging, ByKeyset) and position is not None and asked.behind is not None:
            values = {str(at): value for at, value in enumerate(self._paging.behind(position))}
            found.append(known.filled(asked.behind, values))
        found += [
            known.filled(asked.by[name], {"value": value})
            for name, value in self._filters.items()
            if name in asked.by
        ]
        return found

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        if self._token is not None and (unchanged := self._told_of(self._token, response, window, position)):
            return unchanged
        if response.status in self._asked.ends:
            return beyond(response)
        reading = self._lists.read(response.body)
        if self._asked.told is not None:
            reading.seen = self._asked.told.over(reading.seen, response.headers)
        following = self._paging.following(position, reading.seen, response)
        if self._is_behind(reading.records, window):
            following = None
        page = Page(reading.records, reading.rejected, following, reading.seen.total, listed=reading.listed)
        page.token = _token_of(reading.seen.token)
        page = self._without_removed(page)
        return page if self._spec.detail is None else entries_of(self, self._spec.detail, page)

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
        return None if self._spec.single is None else self.asking(self._spec.single, key)

    def asking(self, asked: Single, key: str) -> Request:
        """The request for what has this key."""
        values, settings = asked.values(key), self._common.settings
        if asked.by is not None:
            return replace(self._asked_by(asked.by, values), cost=self._cost_of(1))
        url = asked.url(self._common.base_url, settings, values)
        outline = self._outline
        if asked.params is not None:
            # The key comes last: what it says itself in { } is no name.
            params = fill_params(asked.params, {**settings, "key": KEY}, self._asked.arrays)
            own = [(name, fill_text(text, values)) for name, text in params]
            carried = [pair for pair in self._common.carries.params if pair[0] not in dict(own)]
            outline = replace(outline, params=[*carried, *own])
        body = fill_json(asked.body, {**settings, **values})
        if asked.verbatim:
            body = {**asked.verbatim, **body}
        outline = replace(outline, method=asked.method, body=None if asked.body is None else body)
        return replace(outline.request(url=None), url=url, absent=asked.absent, cost=self._cost_of(1))

    def _asked_by(self, condition: Condition, values: Mapping[str, str | int]) -> Request:
        known = self._asked.conditions
        assert known is not None  # noqa: S101 - a condition goes with it
        if (more := known.says_more(condition, values)) is not None:
            raise BadRecord("bad_key", f"{more[:40]!r} can be no part of a key of {self.name}.")
        said = known.filled(condition, {**self._common.settings, **values})
        alone = known.placed([*self._always, said])
        paging = self._paging
        return self._outline.request(
            Placed(self._asked.paging_in, paging.params(None)), alone, headers=paging.headers or None
        )

    def read_single(self, response: Response, key: str) -> Page:
        asked = self._spec.single
        assert asked is not None  # noqa: S101 - or nothing was asked
        if response.status in asked.absent:
            return absent(self, response, asked.record, key)
        if asked.or_null and is_null(response.body, asked.record):
            return absent(self, response, asked.record, key)
        if asked.by is not None or asked.among:
            return one_among(self, self._reader.cut(response.body), key)
        return one_of(self, response.body, asked.record, key)

    def _narrow(self, values: Mapping[str, str]) -> None:
        known, by = self._asked.conditions, self._asked.by
        for name in by.keys() & values.keys():
            if known is not None and known.says_more(by[name], {"value": values[name]}) is not None:
                message = f"{values[name][:40]!r} is no value that {self.name} can be asked for by {name}."
                raise InvalidInput("bad_value", message, place="filters")
        self._filters = {**self._filters, **values}

    def _without_removed(self, page: Page) -> Page:
        return page if self._spec.removed is None else take_removed(page, self._spec.removed)

    def _changed(self, window: Window) -> list[tuple[str, Any]]:
        asked = self._spec.incremental
        if asked is None or asked.param is None:
            return []
        params: list[tuple[str, Any]] = []
        if window.token is not None:
            params.append((asked.param, asked.template.replace("{value}", window.token)))
        if window.since is not None:
            params.append((asked.param, _in_template(asked.template, asked.said(window.since))))
        if window.until is not None and asked.until_param is not None:
            params.append((asked.until_param, asked.said(window.until, round_up=True)))
        return params

    def _is_behind(self, records: Sequence[Record], window: Window) -> bool:
        """Where the newest come first: whether this page has come to what was read before."""
        asked = self._spec.incremental
        if asked is None or not asked.descending or window.since is None:
            return False
        return any(record.cursor is not None and record.cursor < window.since for record in records)  # type: ignore[operator]

    def _asking(self, request: Request, window: Window) -> Request:
        """With what it costs, what may be said of the window's token, and what says it in a header."""
        if self._asked.cost is not None:
            request = replace(request, cost=self._cost_of(getattr(self._paging, "size", 0)))
        token, ends = self._token, self._asked.ends
        if token is None or window.token is None:
            return replace(request, absent=ends) if ends else request
        headers = request.headers
        if token.header is not None and self._spec.incremental is not None:
            said = self._spec.incremental.template.replace("{value}", window.token)
            headers = {**headers, token.header: said}
        return replace(request, headers=headers, absent=token.statuses | token.unchanged | ends)

    def _cost_of(self, records: int) -> int:
        """How much of the account's limits a request for so many takes."""
        return 1 if self._asked.cost is None else self._asked.cost.of(records)

    def _told_of(
        self, token: Token, response: Response, window: Window, position: Position | None
    ) -> Page | None:
        """The page, where its status says all: nothing is new. Raise where the system knows the window's token no longer."""
        if window.token is None:
            return None
        if response.status in token.unchanged:
            return nothing_new(response, position)
        if response.status in token.statuses:
            raise self._refused(token, response)
        return None

    def _refused(self, token: Token, response: Response) -> HeadraceError:
        """The token, unless the system says something else by that status."""
        failure = self._common.failure(response) or NeedsOperator(
            TOKEN_EXPIRED, "The system refuses the token."
        )
        if token.words and not any(word in failure.message.lower() for word in token.words):
            return failure
        return NeedsOperator(TOKEN_EXPIRED, failure.message)


def _in_template(template: str, value: Any) -> Any:
    return value if template == "{value}" else template.replace("{value}", as_text(value))


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
        page = super().read(response, window, position)
        return orphaned(page, self._spec.buries) if self._spec.buries else buried(page)
