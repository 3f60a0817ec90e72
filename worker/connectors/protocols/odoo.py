"""One connection to an Odoo database: asked as `manifest/streams/odoo.py` spells it, and able to say what it has."""

from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from worker.connectors.contract import Discovery, Position, Request, Response, Window
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.streams.odoo import METHOD, call
from worker.connectors.protocols.odoo_finding import FIELDS, MODELS, streams_of
from worker.connectors.protocols.rest import RestSource
from worker.connectors.protocols.rest_stream import RestStream
from worker.connectors.requests.templates import typed
from worker.errors import Transient

COMPANIES = "companies"
"""The setting with the ids of companies, separated by commas."""
_ROWS = 2000


class OdooStream(RestStream):
    """The records of one model."""

    def request(self, window: Window, position: Position | None) -> Request:
        return super().request(whole_seconds(window), position)

    def filtered(self, values: Mapping[str, str]) -> "OdooStream":
        """By values with their types: a many2one that is compared with a text is looked for by its name."""
        found = super().filtered(values)
        assert isinstance(found, OdooStream)  # noqa: S101 - a copy of its own kind
        found._filters = {**self._filters, **{name: typed(value) for name, value in values.items()}}  # noqa: SLF001
        return found


class OdooSource(RestSource):
    """An Odoo database, by JSON-2 or JSON-RPC."""

    kind = OdooStream

    def __init__(self, manifest: Manifest, settings: Mapping[str, Any]) -> None:
        super().__init__(manifest, {**settings, COMPANIES: companies_in(settings.get(COMPANIES))})

    def discover(self) -> Discovery:
        """Asks for models and their fields. The user needs a right to read those two lists."""
        models = yield from self._all(MODELS)
        fields = yield from self._all(FIELDS)
        return streams_of(models, fields)

    def _all(self, wanted: Mapping[str, Any]) -> Generator[Request, Response, list[dict[str, Any]]]:
        found: list[dict[str, Any]] = []
        while True:
            behind = [["id", ">", found[-1]["id"]]] if found else []
            asked = {"domain": [*wanted["domain"], *behind], "fields": wanted["fields"]}
            rows = _rows((yield self._call(wanted["model"], {**asked, "order": "id", "limit": _ROWS})))
            found += rows
            if len(rows) < _ROWS:
                return found

    def _call(self, model: str, arguments: Mapping[str, Any]) -> Request:
        by_rpc = self.manifest.protocol == "odoo_jsonrpc"
        path = "/jsonrpc" if by_rpc else f"/json/2/{model}/{METHOD}"
        body = call(model, METHOD, arguments) if by_rpc else arguments
        headers = {**self._carried.headers, "Content-Type": "application/json"}
        return Request("POST", self.base_url + path, headers=headers, body=msgspec.json.encode(body))


def whole_seconds(window: Window) -> Window:
    """From the beginning of the second of `since` to the end of that of `until`: Odoo takes whole seconds, and has microseconds
    behind those that it shows.
    """
    since, until = window.since, window.until
    return replace(
        window,
        since=since.replace(microsecond=0) if isinstance(since, datetime) else since,
        until=until.replace(microsecond=0) + timedelta(seconds=1) if isinstance(until, datetime) else until,
    )


def companies_in(text: str | None) -> list[int] | None:
    """`1, 3` as ids; None: all that the user may see."""
    return None if text is None else [int(part) for part in text.split(",")]


def _rows(response: Response) -> list[dict[str, Any]]:
    try:
        data = msgspec.json.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        data = None
    rows = data.get("result") if isinstance(data, Mapping) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
        raise Transient("malformed_page", "The answer holds no list of models or fields.")
    return rows
