"""How is a Tryton server asked? The protocol `tryton`: JSON-RPC 1.0, models read with `search_read`.

Pages go by id (`id > last`, ordered by id), so records that change during a walk never shift a page. `write_date` is
null until a record is first edited, so what changed since is asked for by both dates, and the cursor is the first of
them that is set. Times are naive and in UTC. Archived records (`active` false) are asked for too.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import msgspec

from worker.connectors.answers import clean_words
from worker.connectors.contract import (
    Auth,
    CursorValue,
    Gone,
    Page,
    Position,
    Request,
    Response,
    Stream,
    Webhooks,
    Window,
)
from worker.connectors.cursors import typed_json
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.streams.deletes import IDS_PER_PAGE, MOST_IDS
from worker.connectors.manifest.streams.presets import TRYTON_TIMES
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.manifest.templates import fill_all, fill_base_url, fill_path
from worker.connectors.manifest.webhooks.hooks import ManifestWebhooks
from worker.connectors.paging.paging import smaller
from worker.connectors.protocols.source import ManifestSource
from worker.connectors.protocols.stream import ManifestStream, stream_named
from worker.connectors.protocols.tryton_session import TrytonSession, rpc
from worker.connectors.reading.reader import Reading
from worker.connectors.requests.templates import typed
from worker.errors import BadRecord, HeadraceError, NeedsOperator, Transient

MOST_DIGITS = 18
_REFUSALS = {"UserError", "UserWarning"}


class TrytonSource(ManifestSource):
    """One connection to a database of a Tryton server."""

    def __init__(self, manifest: Manifest, settings: Mapping[str, Any]) -> None:
        super().__init__(manifest)
        self.base_url = fill_base_url(manifest.base_url, settings)
        url = self.base_url + fill_path(manifest.rpc_path, settings)
        found = manifest.auth
        self.auth: Auth = found.bind(settings)
        if found.user is not None:
            session = TrytonSession(url, found.user.username(settings), found.user.password)
            self.auth = found.around(session, settings)
        spec = manifest.webhooks
        self.webhooks: Webhooks | None = (
            None if spec is None else ManifestWebhooks(spec, self.stream, settings)
        )
        headers = fill_all(manifest.headers, settings)
        self._streams = {
            name: TrytonStream(spec, url, manifest.rpc_size, headers)
            for name, spec in manifest.streams.items()
        }

    def stream(self, name: str) -> Stream:
        return stream_named(name, self._streams, system=self.manifest.system)

    def failure(self, response: Response) -> HeadraceError | None:
        """By status; or by the error that a 200 carries."""
        found = self.manifest.errors.failure(response)
        return failure_in_body(response.body) if found is None and response.status < 300 else found


class TrytonStream(ManifestStream):
    """The records of one model."""

    def __init__(self, spec: StreamManifest, url: str, size: int, headers: Mapping[str, str]) -> None:
        super().__init__(spec)
        self._url = url
        self._size = self._most = size
        self._headers = headers
        times = TRYTON_TIMES if spec.incremental else ()
        self._fields = list(dict.fromkeys(["id", *spec.fields, *times]))

    def request(self, window: Window, position: Position | None) -> Request:
        after = [["id", ">", int(position["after"])]] if position else []
        domain = [*self._spec.domain, *after, *_changed(window)]
        params = [domain, 0, self._size, [["id", "ASC"]], self._fields, {"active_test": False}]
        return rpc(self._url, f"model.{self._spec.model}.search_read", params, self._headers)

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        del window
        reading = self._reader.read(response.body)
        return Page(reading.records, reading.rejected, self._following(reading, position))

    def onward(self, position: Position | None, page: Page, most: int) -> Sequence[Position]:
        """Ids have gaps: only a page says where the next one begins."""
        del position, page, most
        return ()

    def back(self, position: Position | None) -> Position | None:
        """Pages go by id, so none shifts."""
        del position
        return None

    def resized(
        self, divisor: int, position: Position | None
    ) -> "tuple[TrytonStream, Position | None] | None":
        size = smaller(self._most, divisor)
        if not size:
            return None
        stream = copy(self)
        stream._size = size  # noqa: SLF001 - a copy of its own kind
        return stream, position

    def sweep(self) -> "TrytonStream | None":
        if self._spec.swept is None:
            return None
        size = min(IDS_PER_PAGE * self._most, MOST_IDS)
        return TrytonStream(self._spec.swept, self._url, size, self._headers)

    def tombstones(self) -> None:
        """The server's log has a row for each delete, and names no record any more once that is gone."""

    def single(self, key: str) -> Request | None:
        if not key.isdecimal() or len(key) > MOST_DIGITS:
            raise BadRecord("bad_key", f"{key[:40]!r} is no id of Tryton.")
        domain = [*self._spec.domain, ["id", "=", int(key)]]
        params = [domain, 0, 1, None, self._fields, {"active_test": False}]
        return rpc(self._url, f"model.{self._spec.model}.search_read", params, self._headers)

    def read_single(self, response: Response, key: str) -> Page:
        reading = self._reader.read(response.body)
        found = Page(reading.records, reading.rejected)
        if not found.records and not found.rejected:
            found.gone.append(Gone(key, "not_found"))
        return found

    def _narrow(self, values: Mapping[str, str]) -> None:
        domain = [[name, "=", typed(value)] for name, value in values.items()]
        self._spec = replace(self._spec, domain=(*self._spec.domain, *domain))

    def _following(self, reading: Reading, position: Position | None) -> Position | None:
        if reading.seen.count < self._size:
            return None
        before = int(position["after"]) if position else 0
        last = max((number for number in _ids(reading) if number > before), default=None)
        if last is None:
            message = (
                f"A full page of {self._spec.model} holds no id above {before}, so there is no next page."
            )
            raise Transient("paging_stuck", message)
        return {"after": last}


class _Answer(msgspec.Struct):
    """The part of an answer that may hold an error; records are skipped."""

    error: Any = None


def failure_in_body(body: bytes) -> HeadraceError | None:
    """The error that a Tryton server reports with status 200: `{"error": ["UserError", [message, …]]}`."""
    if b'"error"' not in body[:200]:
        return None
    try:
        error = msgspec.json.decode(body, type=_Answer).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # the reader says what came instead
    if error is None:
        return None
    return _failure(error if isinstance(error, list) and error else ["an error without words"])


def _failure(error: Sequence[Any]) -> HeadraceError:
    kind, words = str(error[0]), _words(error)
    said = f"Tryton reports {clean_words(kind)}" + (f": {words}" if words else ".")
    if kind == "LoginException":
        return NeedsOperator("auth_refused", said, hint="Check the connection's user and password.")
    if kind == "RateLimitException":
        return Transient("throttled", said)
    if kind in _REFUSALS:
        return NeedsOperator("request_refused", said, hint="Check what the connection's user may read.")
    if kind.startswith("'") and kind.endswith("'"):  # Python's KeyError, for a model or field
        hint = "The server has no such model or field: is its module activated?"
        return NeedsOperator("request_refused", said, hint=hint)
    return Transient("system_error", said)


def _words(error: Sequence[Any]) -> str | None:
    """A Tryton exception holds its words in a list; any other Python exception is its own words and a traceback."""
    said = error[1] if len(error) > 1 else None
    if isinstance(said, list):
        return clean_words(": ".join(part for part in said[:2] if isinstance(part, str) and part)) or None
    return clean_words(said) if isinstance(said, str) and str(error[0]).endswith("Exception") else None


def _changed(window: Window) -> list[Any]:
    domain: list[Any] = []
    for operator, bound in ((">=", window.since), ("<=", window.until)):
        if bound is not None:
            domain.append(_by_either_date(operator, bound))
    return domain


def _by_either_date(operator: str, bound: CursorValue) -> list[Any]:
    if isinstance(bound, int):
        raise TypeError("a Tryton cursor is a time")
    value = typed_json(bound)
    written, created = TRYTON_TIMES
    return ["OR", [written, operator, value], [[written, "=", None], [created, operator, value]]]


def _ids(reading: Reading) -> list[int]:
    keys = [record.key for record in reading.records] + [bad.key for bad in reading.rejected if bad.key]
    return [int(key) for key in keys if key.isdecimal() and len(key) < 19]
