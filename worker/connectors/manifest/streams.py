"""What does a manifest say of one stream? Its own keys over the manifest's defaults, as frozen data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from worker.connectors.contract import StreamTraits
from worker.connectors.cursors import PRECISION
from worker.connectors.reading.paging import ByCursor, ByLink, ByNumber, ByOffset, OnePage, Paging
from worker.connectors.reading.shape import DeletedMark, FieldPath, Shape, TimeField, field_path_of
from worker.documents import Document
from worker.durations import parse_duration

DEFAULT_OVERLAP = 300.0
TRYTON_TIMES = ("write_date", "create_date")
TRYTON_DEFAULTS: Mapping[str, Any] = {
    "key": "id",
    "records": "result",
    "incremental": {"field": list(TRYTON_TIMES), "format": "typed_json"},
    "updated_at": {"field": list(TRYTON_TIMES), "format": "typed_json"},
}
"""True of every model of every Tryton: the protocol knows it, so no manifest has to say it."""


@dataclass(frozen=True, slots=True)
class Incremental:
    """How the system is asked for what changed."""

    time: TimeField
    param: str | None
    until_param: str | None
    template: str = "{value}"
    """What `param` says, with the value in its place."""


@dataclass(frozen=True, slots=True)
class StreamManifest:
    """One stream as the manifest describes it."""

    name: str
    title: str
    traits: StreamTraits
    shape: Shape
    paging: Paging
    incremental: Incremental | None = None
    method: str = "GET"
    path: str = ""
    params: Mapping[str, str] | None = None
    model: str = ""
    fields: tuple[str, ...] = ()
    domain: tuple[Any, ...] = ()


def read_streams(document: Document, protocol: str) -> dict[str, StreamManifest]:
    """All streams, by name; the schema has been checked already."""
    defaults = document.data.get("defaults", {})
    return {
        name: _Reading(document, protocol, name, defaults, own).stream()
        for name, own in document.data["streams"].items()
    }


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
        self.name = name
        self.own = own
        below = TRYTON_DEFAULTS if protocol == "tryton" else {}
        self.data = {**below, **defaults, **own}

    def stream(self) -> StreamManifest:
        for key in ("path", "records", "key") if self.protocol == "rest" else ("model", "fields"):
            if key not in self.data:
                message = f"The key {key!r} is missing in streams.{self.name}."
                raise self.document.error(("streams", self.name), "missing_key", message)
        incremental = self.incremental()
        return StreamManifest(
            name=self.name,
            title=self.data.get("title", self.name.replace("_", " ").capitalize()),
            traits=self.traits(incremental),
            shape=self.shape(incremental),
            paging=read_paging(self.data.get("paging", {})),
            incremental=incremental,
            method=self.data.get("method", "GET"),
            path=self.data.get("path", ""),
            params=self.data.get("params", {}),
            model=self.data.get("model", ""),
            fields=tuple(self.data.get("fields", ())),
            domain=tuple(self.data.get("domain", ())),
        )

    def incremental(self) -> Incremental | None:
        found = self.data.get("incremental")
        if found is None:
            return None
        number = found.get("kind", "timestamp") == "number"
        form = found.get("format", "number" if number else "iso8601")
        if number != (form == "number"):
            message = f"The format {form} doesn't fit the kind {found.get('kind', 'timestamp')}."
            raise self.error(("incremental", "format"), message)
        if self.protocol == "rest" and "param" not in found:
            raise self.error(("incremental",), "incremental needs the param that asks for changes.")
        time = TimeField(paths_of(found["field"]), form, self.zone(found, ("incremental", "zone")))
        template = found.get("template", "{value}")
        return Incremental(time, found.get("param"), found.get("until_param"), template)

    def traits(self, incremental: Incremental | None) -> StreamTraits:
        interval = parse_duration(self.data.get("interval", "15m"))
        if incremental is None:
            return StreamTraits(incremental=False, ordered=False, timestamps=True, interval=interval)
        found = self.data["incremental"]
        form = incremental.time.form
        number = form == "number"
        overlap = found.get("overlap", 0 if number else DEFAULT_OVERLAP)
        if isinstance(overlap, str) == number and "overlap" in found:
            wanted = "a number, as the cursor is one" if number else "a duration, such as 5m"
            raise self.error(("incremental", "overlap"), f"overlap must be {wanted}.")
        seconds = parse_duration(overlap) if isinstance(overlap, str) else float(overlap)
        return StreamTraits(
            incremental=True,
            ordered=found.get("ordered", False),
            timestamps=not number,
            overlap=max(seconds, PRECISION[form]),
            lag=parse_duration(found.get("lag", "0s")),
            interval=interval,
            bounded=self.protocol == "tryton" or incremental.until_param is not None,
        )

    def shape(self, incremental: Incremental | None) -> Shape:
        updated = self.updated_at()
        cursor = incremental.time if incremental else None
        version = self.data.get("version")
        total = self.data.get("total")
        shape = Shape(
            records=field_path_of(self.data["records"]),
            key=paths_of(self.data["key"]),
            cursor=cursor,
            version=field_path_of(version) if version is not None else None,
            updated_at=cursor if updated == cursor else updated,
            deleted=self.deleted(),
            volatile=tuple(field_path_of(path) for path in self.data.get("volatile", ())),
            shuffled=self.protocol == "tryton",
            total=field_path_of(total) if total is not None else None,
        )
        pointer = read_paging(self.data.get("paging", {})).pointer
        for key, path in (("total", shape.total), ("paging", pointer)):
            if path and (not shape.records or path[: len(shape.records)] == shape.records):
                raise self.error((key,), f"{key} can't be read from inside the list of records.")
        return shape

    def updated_at(self) -> TimeField | None:
        found = self.data.get("updated_at")
        if found is None:
            return None
        if not isinstance(found, Mapping):
            return TimeField(paths_of(found))
        zone = self.zone(found, ("updated_at", "zone"))
        return TimeField(paths_of(found["field"]), found.get("format", "iso8601"), zone)

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
        name = found.get("zone", "UTC")
        try:
            return UTC if name == "UTC" else ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise self.error(path, f"There is no time zone {name!r}.") from None

    def error(self, path: Sequence[str], message: str) -> Exception:
        own = bool(path) and path[0] in self.own
        at = ("streams", self.name, *path) if own else ("defaults", *path)
        return self.document.error(at, "bad_value", f"In streams.{self.name}: {message}")


def paths_of(value: str | Sequence[Any]) -> tuple[FieldPath, ...]:
    """One path, or several."""
    return (field_path_of(value),) if isinstance(value, str) else tuple(field_path_of(path) for path in value)


def read_paging(found: Mapping[str, Any]) -> Paging:
    """The way of paging that a manifest names."""
    kind, options = next(iter(found.items()), ("none", {}))
    options = dict(options)
    if "path" in options:
        options["path"] = field_path_of(options["path"])
    options.pop("header", None)
    match kind:
        case "offset":
            return ByOffset(**options)
        case "page":
            return ByNumber(**{"size_param": None, **options})
        case "cursor":
            return ByCursor(**options)
        case "next_link":
            return ByLink(**options)
        case _:
            return OnePage()
