"""How are the rows of a table or query asked for? The streams of the protocol `sql`.

Pages go by place, never by number: each asks for what lies behind the last row of the one before, so rows that come and
go meanwhile move nothing. A window that begins somewhere is read in the order of its cursor, then the key; everything is
read in the order of the key, which any table has an index for, and finds rows without a cursor, too.
"""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property

import msgspec

from worker.connectors.contract import (
    CursorValue,
    Gone,
    Page,
    Position,
    Request,
    Response,
    StreamTraits,
    Window,
)
from worker.connectors.cursors import dump_cursor
from worker.connectors.manifest.streams.relation import Relation
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.paging.paging import smaller
from worker.connectors.protocols.sql_asking import GREATEST, LAST, MORE, READ, Asking, Moment
from worker.connectors.protocols.sql_settings import SqlSettings
from worker.connectors.protocols.stream import ManifestStream
from worker.connectors.reading.gone import buried
from worker.connectors.reading.keys import parts_of
from worker.connectors.reading.single import one_of

KEYS_PER_PAGE = 10
"""So many times as many keys as rows fit in a page."""


class SqlStream(ManifestStream):
    """One table or query, read page by page."""

    def __init__(self, spec: StreamManifest, settings: SqlSettings, *, keys_only: bool = False) -> None:
        super().__init__(spec)
        relation = spec.relation or Relation()
        table = relation.table
        if len(table) == 1 and settings.schema:
            table = (settings.schema, *table)
        self._settings = settings
        self._rows = (spec.rows or settings.rows) * (KEYS_PER_PAGE if keys_only else 1)
        key = tuple(path[0] for path in spec.shape.key)
        cursor = spec.incremental.time.paths if spec.incremental else ()
        self._asking = Asking(
            table=table,
            query=relation.query,
            fields=key if keys_only else _with_named(spec),
            key=key,
            cursor=tuple(path[0] for path in cursor),
            seconds=settings.seconds,
        )

    @cached_property
    def traits(self) -> StreamTraits:
        """Pages that go by key say nothing of the cursor before the last."""
        known = self._spec.traits
        bounded = self._spec.incremental is not None
        return replace(known, ordered=False, ordered_since=known.ordered, bounded=bounded)

    def request(self, window: Window, position: Position | None) -> Request:
        asked = self._spec.incremental
        ordered = asked is not None and window.since is not None and self._spec.traits.ordered
        behind = position["behind"] if position and position.get("by_cursor", False) == ordered else []
        return self._asked(
            msgspec.structs.replace(
                self._asking,
                by_cursor=ordered,
                behind=tuple(behind),
                since=self._moment(window.since),
                until=self._moment(window.until, closes=True),
                greatest=self._counts and window.since is None and position is None,
                rows=self._rows,
            )
        )

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        del position
        reading = self._reader.read(response.body)
        known = response.headers.get(GREATEST)
        given_out = int(known) if known is not None and known.lstrip("-").isdecimal() else None
        if response.headers.get(MORE) != "1":
            return Page(reading.records, reading.rejected, given_out=given_out)
        following = {"behind": json.loads(response.headers[LAST])}
        if self._spec.traits.ordered and window.since is not None:
            following["by_cursor"] = True
        return Page(reading.records, reading.rejected, following, given_out=given_out)

    def onward(self, position: Position | None, page: Page, most: int) -> Sequence[Position]:
        """Only a page says where the next one begins."""
        del position, page, most
        return ()

    def back(self, position: Position | None) -> Position | None:
        """Pages go by place, so none shifts."""
        del position
        return None

    def resized(self, divisor: int, position: Position | None) -> "tuple[SqlStream, Position | None] | None":
        rows = smaller(self._rows, divisor)
        if not rows:
            return None
        stream = copy(self)
        stream._rows = rows  # noqa: SLF001 - a copy of its own kind
        return stream, position

    def sweep(self) -> "SqlStream | None":
        swept = self._spec.swept
        return None if swept is None else SqlStream(swept, self._settings, keys_only=True)

    def tombstones(self) -> "SqlTombstones | None":
        spec = self._spec.tombstones
        return None if spec is None else SqlTombstones(spec, self._settings)

    def single(self, key: str) -> Request | None:
        names = self._asking.key
        values = [key] if len(names) == 1 else list(map(str, parts_of(key, len(names))))
        equals = dict(zip(names, values, strict=True)) | self._asking.equals
        return self._asked(msgspec.structs.replace(self._asking, equals=equals, one=True, rows=1))

    def read_single(self, response: Response, key: str) -> Page:
        raws = msgspec.json.decode(response.body, type=list[msgspec.Raw])
        if not raws:
            return Page([], gone=[Gone(key, "not_found")])
        return one_of(self, bytes(raws[0]), (), key)

    def _narrow(self, values: Mapping[str, str]) -> None:
        equals = {**self._asking.equals, **values}
        self._asking = msgspec.structs.replace(self._asking, equals=equals)

    def _asked(self, asking: Asking) -> Request:
        return Request(READ, asking.relation, body=msgspec.json.encode(asking))

    @property
    def _counts(self) -> bool:
        """Whether the greatest cursor can be had at once: it is a number of a table, with an index."""
        traits = self._spec.traits
        return traits.incremental and not traits.timestamps and traits.ordered and bool(self._asking.table)

    def _moment(self, value: CursorValue | None, *, closes: bool = False) -> Moment | None:
        asked = self._spec.incremental
        if value is None or asked is None:
            return None
        if isinstance(value, int):
            return Moment(value)
        return Moment(asked.said(value, round_up=closes), str(dump_cursor(value)), str(asked.time.zone))


class SqlTombstones(SqlStream):
    """The table of what was deleted in a stream."""

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        return buried(super().read(response, window, position))


def _with_named(spec: StreamManifest) -> tuple[str, ...]:
    """The columns to read, with those that the stream names; none: all."""
    if not spec.fields:
        return ()
    shape = spec.shape
    paths = [*shape.key, *(shape.updated_at.paths if shape.updated_at else ())]
    paths += [path for path in (shape.version, shape.deleted.path if shape.deleted else None) if path]
    paths += spec.incremental.time.paths if spec.incremental else ()
    return tuple(dict.fromkeys([*spec.fields, *(path[0] for path in paths)]))
