"""How does a stream in a document become data? Its own keys over the manifest's defaults, and over what its protocol knows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any

from worker.connectors.contract import StreamTraits
from worker.connectors.manifest.checking import check_template
from worker.connectors.manifest.requests import read_asked
from worker.connectors.manifest.singer import read_tap, tap_traits
from worker.connectors.manifest.streams.deletes import (
    removed_of,
    sweep_data,
    tombstones_data,
    tombstones_setting,
)
from worker.connectors.manifest.streams.detail import in_list, read_detail
from worker.connectors.manifest.streams.explode import (
    as_taken_apart,
    asks_below,
    check_tombstones,
    cursor_of,
    inherited,
    read_explode,
)
from worker.connectors.manifest.streams.incremental import Incremental, overlap_of, read_incremental
from worker.connectors.manifest.streams.order import with_parents
from worker.connectors.manifest.streams.paging import check_cap, read_paging
from worker.connectors.manifest.streams.paths import check_paths, paths_of, records_of
from worker.connectors.manifest.streams.presets import PRESETS
from worker.connectors.manifest.streams.relation import Relation, column_of, read_relation
from worker.connectors.manifest.streams.single import Single, check_single, single_of
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.manifest.streams.zones import ZoneSetting, zone_named
from worker.connectors.manifest.views.tables import read_table
from worker.connectors.paging.chained import OnePage
from worker.connectors.reading.shape import DeletedMark, Explode, Shape, TimeField, field_path_of
from worker.connectors.spelled import is_spelled, what_is_wrong
from worker.parsing.documents import Document
from worker.parsing.durations import parse_duration

MERGED = frozenset({"deletes", "conditions", "odata"})
"""Of these a stream says only what differs from the defaults."""


def read_streams(document: Document, protocol: str) -> dict[str, StreamManifest]:
    """All streams, by name; the schema has been checked already."""
    defaults, listed = document.data.get("defaults", {}), document.data.get("streams", {})
    streams = {}
    for name, own in listed.items():
        reading = _Reading(document, protocol, name, defaults, own)
        if "explode" in own:
            merged = inherited(listed, own, defaults, reading.error)
            reading = _Reading(document, protocol, name, defaults, merged)
            reading.own = own
        streams[name] = reading.stream()
    return with_parents(document, streams)


class _Reading:
    """Reads one stream and knows where to point when something is wrong."""

    def __init__(
        self,
        document: Document,
        protocol: str,
        name: str,
        defaults: Mapping[str, Any],
        own: Mapping[str, Any],
    ) -> None:
        self.document = document
        self.protocol = protocol
        self.preset = PRESETS[protocol]
        self.name = name
        self.own = own
        self.part = ""
        """Of what `deletes` describes: which part of it this is."""
        self.words = {**self.preset.defaults, **defaults, **own}
        for key in MERGED & self.words.keys():
            self.words[key] = {**defaults.get(key, {}), **own.get(key, {})}
        self.data = self.preset.spelled(self.words, "")

    def stream(self) -> StreamManifest:
        for key in self.preset.needs:
            if key not in self.words:
                message = f"The key {key!r} is missing in streams.{self.name}."
                raise self.document.error(("streams", self.name), "missing_key", message)
        asked = read_asked(self.data, self.error)
        incremental = self.incremental()
        if asked.cap:
            asks = incremental is not None and bool(incremental.param or asked.changes_by_condition)
            check_cap(self.data, self.part, asks=asks, complain=self.error)
        stream = StreamManifest(
            name=self.name,
            title=self.data.get("title", self.name.replace("_", " ").capitalize()),
            traits=self.traits(incremental),
            shape=self.shape(incremental),
            paging=read_paging(self.data.get("paging", {})),
            incremental=incremental,
            asked=asked,
            model=self.data.get("model", ""),
            fields=tuple(self.data.get("fields", ())),
            domain=tuple(self.data.get("domain", ())),
            single=self.single(),
            filters=tuple(self.data.get("filters", ())),
            table=read_table(self.data),
            relation=self.relation(incremental) if self.protocol == "sql" else None,
            rows=self.data.get("rows", 0),
            tap=read_tap(self.data, self.error),
        )
        if self.part:
            return self.with_detail(stream) if asks_below(self.data) else stream
        return self.with_deletes(self.with_detail(stream))

    def with_detail(self, stream: StreamManifest) -> StreamManifest:
        """The stream with how its records come, where its list says only their keys."""
        detail = read_detail(self.data, stream.shape, stream.single, self.parents(), self.error)
        if detail is None:
            return stream
        single = stream.single if detail.below is None else None  # else it is of the parents
        traits = replace(stream.traits, details=detail.at_once)
        return replace(stream, detail=detail, single=single, traits=traits)

    def with_deletes(self, stream: StreamManifest) -> StreamManifest:
        """The stream with those that tell of its deletes."""
        swept = sweep_data(in_list(self.words))
        if self.preset.ids_alone:
            if {"tombstones", "removed"} & self.data.get("deletes", {}).keys():
                raise self.error(
                    ("deletes",), "a system of this protocol tells of no deletes: it can only be swept."
                )
            return replace(stream, swept=_ids_alone(stream) if swept else None)
        tombstones = tombstones_data(self.words)
        explode = stream.shape.explode
        told = self.derived("tombstones", tombstones) if tombstones else None
        if told is not None and explode is not None:
            told = replace(told, buries=check_tombstones(told.shape.key, explode, self.error))
        return replace(
            stream,
            removed=None if explode is not None else removed_of(self.data),
            swept=self.derived("sweep", swept) if swept else None,
            tombstones=told,
            tombstones_setting=tombstones_setting(self.data),
        )

    def relation(self, incremental: Incremental | None) -> Relation:
        """Its key and cursor are columns, too."""
        for path in paths_of(self.data["key"]):
            column_of(path, self.error, "key")
        if incremental is not None:
            for path in incremental.time.paths:
                column_of(path, self.error, "incremental", "field")
            if incremental.time.together:
                raise self.error(
                    ("incremental", "clock"), "a database is asked by one column: make one in a query."
                )
        return read_relation(self.data, self.error)

    def single(self) -> Single | None:
        if not self.preset.by_manifest:
            return None
        entry = self.parents() if asks_below(self.data) else None
        found = single_of(self.data, (entry.by or 1) if entry else len(paths_of(self.data["key"])))
        if found is not None:
            if self.protocol == "graphql" and not {"path", "body", "by"} & self.data["single"].keys():
                raise self.error(("single",), "one record is asked for by a query (single.query).")
            check_single(found, self.error)
        return found

    def derived(self, part: str, data: Mapping[str, Any]) -> StreamManifest:
        reading = _Reading(self.document, self.protocol, self.name, {}, {})
        reading.own, reading.part, reading.words = self.own, part, dict(data)
        reading.data = self.preset.spelled(data, part)
        return reading.stream()

    def incremental(self) -> Incremental | None:
        found = self.data.get("incremental")
        if found is None:
            return None
        incremental = read_incremental(found, self.preset, self.zone, self.error)
        if (token := incremental.token) is not None and token.of_one_answer and self.has_pages:
            message = f"{token.header} asks about one answer, which says nothing of the pages behind it."
            hint = "Leave paging out where the list comes in one answer; else ask for changes in another way."
            raise self.error(("incremental", "header"), message, hint=hint)
        if token is not None and token.path is None and self.part and self.has_pages:
            message = "a list of what was deleted that says in a header how old it is comes in one answer."
            raise self.error(("incremental", "token"), message)
        return incremental

    def traits(self, incremental: Incremental | None) -> StreamTraits:
        interval = parse_duration(self.data.get("interval", "15m"))
        if (tap := read_tap(self.data, self.error)) is not None:
            return tap_traits(tap, part=self.part, interval=interval)
        seam = read_paging(self.data.get("paging", {})).seam if self.preset.by_manifest else "none"
        if incremental is None:
            return StreamTraits(False, False, True, interval=interval, seam=seam)
        found = self.data["incremental"]
        return StreamTraits(
            incremental=True,
            ordered=found.get("ordered", self.preset.ordered),
            timestamps=incremental.time.form not in {"number", "token"},
            overlap=overlap_of(found, incremental, self.error),
            lag=parse_duration(found.get("lag", "0s")),
            interval=interval,
            bounded=self.preset.bounded or bool({"until_param", "until"} & found.keys()),
            undated=self.preset.by_manifest and incremental.nulls == "expect",
            token=incremental.token is not None,
            seam=seam,
        )

    def shape(self, incremental: Incremental | None) -> Shape:
        updated = self.updated_at()
        cursor = incremental.time if incremental and incremental.token is None else None
        cursor = cursor and cursor_of(cursor, self.own, self.error)
        version = self.data.get("version")
        records, columns = records_of(self.data["records"], self.error)
        total = self.data.get("total")
        total = None if isinstance(total, Mapping) else total
        shape = Shape(
            records=records,
            columns=columns,
            key=paths_of(self.data["key"]),
            cursor=cursor,
            version=field_path_of(version) if version is not None else None,
            updated_at=cursor if updated == cursor else updated,
            deleted=self.deleted(),
            volatile=tuple(field_path_of(path) for path in self.data.get("volatile", ())),
            shuffled=self.preset.shuffled,
            total=field_path_of(total) if total is not None else None,
            token=incremental.token.path if incremental and incremental.token else None,
            needs_cursor=incremental is not None and incremental.nulls == "reject",
            explode=as_taken_apart(self.data, self.parents()),
            rows=self.part == "sweep" and "detail" in self.data and not asks_below(self.data),
            or_one=self.data.get("or_one", False),
            empty=tuple(self.data.get("empty", ())),
        )
        check_paths(shape, read_paging(self.data.get("paging", {})), self.error)
        return shape

    def parents(self) -> Explode | None:
        if "explode" not in self.data:
            return None
        return read_explode(self.data, paths_of(self.data["key"]), removed_of(self.data), self.error)

    def updated_at(self) -> TimeField | None:
        found = self.data.get("updated_at")
        if found is None:
            return None
        if not isinstance(found, Mapping):
            return TimeField(paths_of(found))
        zone, form = self.zone(found, ("updated_at", "zone")), found.get("format", "iso8601")
        if is_spelled(form) and (wrong := what_is_wrong(form)) is not None:
            raise self.error(("updated_at", "format"), wrong)
        return TimeField(paths_of(found["field"]), form, zone)

    def deleted(self) -> DeletedMark | None:
        found = self.data.get("deleted")
        if found is None:
            return None
        if isinstance(found, str):
            return DeletedMark(field_path_of(found))
        equals = found.get("equals")
        several = tuple(equals) if isinstance(equals, list) else (equals,)
        return DeletedMark(field_path_of(found["field"]), several if "equals" in found else None)

    def zone(self, found: Mapping[str, Any], path: Sequence[str]) -> tzinfo:
        try:
            zone = zone_named(found.get("zone", "UTC"))
        except ValueError as exc:
            raise self.error(path, str(exc)) from None
        if isinstance(zone, ZoneSetting):
            check_template(self.document, self.at(path), found["zone"], optional=False)
        return zone

    def at(self, path: Sequence[str]) -> Sequence[str]:
        """Where the document says it: in the stream, or among the defaults."""
        own = bool(path) and path[0] in self.own
        if self.part:
            path, own = ("deletes", self.part), "deletes" in self.own
        return ("streams", self.name, *path) if own else ("defaults", *path)

    @property
    def has_pages(self) -> bool:
        return not isinstance(read_paging(self.data.get("paging", {})), OnePage)

    def error(self, path: Sequence[str], message: str, *, hint: str | None = None) -> Exception:
        words = f"In streams.{self.name}: {message}"
        return self.document.error(self.at(path), "bad_value", words, hint=hint)


def _ids_alone(stream: StreamManifest) -> StreamManifest:
    """The same stream, of whose records only the key counts."""
    shape = replace(stream.shape, cursor=None, version=None, updated_at=None, deleted=None, volatile=())
    traits = StreamTraits(incremental=False, ordered=False, timestamps=True, interval=stream.traits.interval)
    return replace(stream, shape=shape, traits=traits, incremental=None, fields=("id",))
