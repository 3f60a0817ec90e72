"""A service that speaks OData, V4 or V2: what all of them have in common. A system's double says what is its own.

From the specifications (OData 4.01 parts 1 and 2; "OData Version 2.0" of 2010): `$filter`, `$orderby`, `$top`, `$skip`,
`$select`, `$expand`, `$count` and `$inlinecount`, `$metadata`, single entities by keys of one or several properties, and
pages that the server cuts: by `$skiptoken`, a place behind the last entity, or by `$skip`, which shifts.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from connectors.doubles.odata_filter import Condition, Refused, read_filter, read_literal
from connectors.doubles.odata_metadata import Described, metadata_of

from scheduler.connectors.check import Answer, Call, Double, Row, moment
from scheduler.connectors.check.double.times import EPOCH, MILLISECOND
from worker.connectors.reading.keys import make_key

ALWAYS = frozenset({"__metadata", "@odata.etag", "added_by_a_release"})
"""What comes whatever was selected."""
OPTIONS = frozenset(
    {"$filter", "$orderby", "$top", "$skip", "$skiptoken", "$select", "$expand", "$count", "$inlinecount", "$format", "$deltatoken"}
)  # fmt: skip
_NAMED = re.compile(r"\s*(?:(\w+)=)?((?:[^',]|'(?:[^']|'')*')+)(?:,|$)")
_DATE = re.compile(r"/Date\((-?\d+)(?:\+0000)?\)/")


@dataclass(frozen=True)
class Entity:
    """An entity set, and which stream plays it."""

    stream: str
    keys: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    """Of properties that aren't strings: `guid`, `datetimeoffset`, `datetime`, `date`, `decimal` …"""
    holds: Mapping[str, str] = field(default_factory=dict)
    """What `$expand` can bring along, and the streams that stand there."""
    named: tuple[str, ...] = ()
    """By what the copy names one, where that isn't the key."""


class ODataServer(Double):
    """The service at `root`."""

    version: ClassVar[Literal[4, 2]] = 4
    root: ClassVar[str]
    entities: ClassVar[Mapping[str, Entity]]
    """By their paths below the root."""
    most: ClassVar[int] = 1000
    """More never come in a page."""
    links: ClassVar[Literal["key", "offset"]] = "key"
    """How its links to the next page tell the place."""

    # What a system may say otherwise.

    def _log_in(self, call: Call) -> Answer:
        """What whoever asks for a token gets."""
        raise NotImplementedError

    def _visible(self, call: Call, stream: str) -> list[Row]:
        """The rows that this call may see."""
        del call
        return self.rows(stream, order="number")

    def _entity(self, path: str) -> Entity | None:
        """The entity set of this path."""
        return self.entities.get(path)

    def _check_filter(self, condition: Condition) -> None:
        """`Refused` for a condition that the specification allows and the system doesn't."""

    def _error(self, status: int, code: str, words: str, **headers: str) -> Answer:
        """How it says no."""
        said: Any = words if self.version == 4 else {"lang": "en", "value": words}
        return Answer(status, {"error": {"code": code, "message": said}}, dict(headers))

    def throttled(self, seconds: int) -> Answer:
        return self._error(429, "TooManyRequests", "Too many requests.", **{"Retry-After": str(seconds)})

    def failing(self) -> Answer:
        return self._error(500, "InternalError", "Something went wrong.")

    def refused(self) -> Answer:
        return self._error(401, "Unauthorized", "The credentials were rejected.")

    def forbidden(self) -> Answer:
        return self._error(403, "Forbidden", "No permission to read this.")

    # How rows look.

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        record = super().render(stream, row)
        if (changed := self.tables[stream].changed) is not None:
            record[changed] = self._stamp(stream, row)
        if self.version == 4:
            return {"@odata.etag": f'W/"{row.serial}"', **record}
        for table in self.tables.values():
            if table.of == stream:
                record[table.within] = {"results": record[table.within]}
        uri = f"{self.base_url}{self.root}/{stream}('{row.number}')"
        return {"__metadata": {"id": uri, "uri": uri, "etag": f"W/\"'{row.serial}'\""}, **record}

    def _stamp(self, stream: str, row: Row) -> Any:
        """When it changed, as it says."""
        return self.write(stream, row.changed)

    def write(self, stream: str, at: datetime) -> Any:
        return super().write(stream, at) if self.version == 4 else date_of(at, "+0000")

    def key_of(self, stream: str, row: Row) -> str:
        keys = self.tables[stream].keyed or next(
            (each.named or each.keys for each in self.entities.values() if each.stream == stream), ()
        )
        if len(keys) < 2:
            return super().key_of(stream, row)
        carried = self._carried(stream, row)
        return make_key([carried.get(name) or self._plain(stream, row, name) for name in keys])

    # What it answers.

    def answer(self, call: Call) -> Answer:
        if self.is_login(call):
            return self._log_in(call)
        path = call.path.removeprefix(self.root + "/")
        if path == call.path:
            return self._error(404, "NotFound", f"There is no service at {call.path}.")
        service, is_metadata, _ = path.partition("$metadata")
        if is_metadata:
            return Answer(200, self.metadata(service), {"Content-Type": "application/xml"})
        try:
            return self._served(call, path)
        except Refused as exc:
            return self._error(400, "BadRequest", str(exc))

    def metadata(self, service: str = "") -> str:
        """The document that describes it, or one of several services."""
        listed = [
            Described(name.removeprefix(service), each.keys, self._properties(each), each.holds)
            for name, each in self.entities.items()
            if name.startswith(service)
        ]
        return metadata_of(listed, self.version)

    def _served(self, call: Call, path: str) -> Answer:
        if (unknown := {name for name, _ in call.params if name.startswith("$")} - OPTIONS) != set():
            raise Refused(f"The query option {min(unknown)} isn't known.")
        if (entity := self._entity(path)) is not None:
            return self._listed(call, entity)
        name, parenthesis, keys = path.partition("(")
        if not parenthesis or (entity := self._entity(name)) is None or not keys.endswith(")"):
            return self._error(404, "ResourceNotFound", f"Resource not found for the segment '{name}'.")
        wanted = self._named(entity, keys[:-1])
        row = next(
            (each for each in self._visible(call, entity.stream) if self._has(entity, each, wanted)), None
        )
        if row is None:
            return self._error(404, "RecordNotFound", "The entity does not exist.")
        record = self._shown(call, entity, row)
        return Answer(body={"d": record} if self.version == 2 else {"@odata.context": "$metadata", **record})

    def _listed(self, call: Call, entity: Entity) -> Answer:
        rows, condition = self._visible(call, entity.stream), call.param("$filter")
        if condition is not None:
            judged = read_filter(condition, self.version, entity.types)
            self._check_filter(judged)
            rows = [row for row in rows if judged.holds(lambda name, row=row: self._value(entity, row, name))]
        order = (
            [*(call.param("$orderby") or "").replace(" asc", "").split(",")] if call.param("$orderby") else []
        )
        rows.sort(key=lambda row: self._place(entity, row, order))
        page, following = self._cut(call, entity, rows, order)
        shown = [self._shown(call, entity, row) for row in page]
        link = None if following is None else f"{self.base_url}{call.path}?{urlencode(following)}"
        if self.version == 2:
            count = {"__count": str(len(rows))} if call.param("$inlinecount") == "allpages" else {}
            return Answer(body={"d": {"results": shown, **count, **({"__next": link} if link else {})}})
        found: dict[str, Any] = {"@odata.context": "$metadata"}
        if call.param("$count") == "true":
            found["@odata.count"] = len(rows)
        found["value"] = shown
        if link is not None:
            found["@odata.nextLink"] = link
        return Answer(body=found)

    def _cut(
        self, call: Call, entity: Entity, rows: Sequence[Row], order: Sequence[str]
    ) -> tuple[Sequence[Row], list[tuple[str, str]] | None]:
        """A page of these, and the query of the next one."""
        wanted = re.search(r"odata\.maxpagesize=(\d+)", call.headers.get("prefer", ""))
        size = min(self.most, int(wanted[1])) if wanted else self.most
        kept = [(name, value) for name, value in call.params if name not in {"$skip", "$skiptoken", "$top"}]
        skip, top = call.number("$skip", 0), int(call.param("$top") or len(rows))
        if self.links == "offset":
            size = min(size, top or size)
            more = [*kept, ("$skip", str(skip + size)), ("$top", str(size))]
            return rows[skip : skip + size], more if len(rows) > skip + size else None
        if (token := call.param("$skiptoken")) is not None:
            behind = json.loads(urlsafe_b64decode(token))
            rows = [row for row in rows if self._place(entity, row, order) > behind]
        rows = rows[skip:][:top]
        if len(rows) <= size:
            return rows, None
        token = urlsafe_b64encode(json.dumps(self._place(entity, rows[size - 1], order)).encode()).decode()
        left = [("$top", str(top - size))] if call.param("$top") else []
        return rows[:size], [*kept, *left, ("$skiptoken", token)]

    def _shown(self, call: Call, entity: Entity, row: Row) -> dict[str, Any]:
        """As much of it as was selected and expanded."""
        record, known = self.show(entity.stream, row), self.render(entity.stream, row)
        expanded = {name for name in (call.param("$expand") or "").split(",") if name}
        selected = {name for name in (call.param("$select") or "").split(",") if name}
        if (unknown := (selected - known.keys()) | (expanded - entity.holds.keys())) != set():
            raise Refused(f"Could not find a property named '{min(unknown)}'.")
        for name in entity.holds.keys() - expanded:
            del record[name]
            if self.version == 2:
                record[name] = {"__deferred": {"uri": f"{self.base_url}{call.path}/{name}"}}
        if not selected:
            return record
        return {name: value for name, value in record.items() if name in selected | expanded | ALWAYS}

    # What a row has in a property.

    def _plain(self, stream: str, row: Row, name: str) -> Any:
        """As it is shown, without showing all of it."""
        table = self.tables[stream]
        if name == table.key:
            return table.key_of(row.number)
        if name == table.changed:
            return self._stamp(stream, row)
        return row.content[name] if name in row.content else self.render(stream, row)[name]

    def _value(self, entity: Entity, row: Row, name: str) -> Any:
        """As it is compared."""
        try:
            said = self._plain(entity.stream, row, name)
        except KeyError:
            raise Refused(f"Could not find a property named '{name}'.") from None
        kind = entity.types.get(name, "string")
        if said is None or kind not in {"datetimeoffset", "datetime"}:
            return float(said) if said is not None and kind in {"decimal", "int32", "int64"} else said
        found = _DATE.fullmatch(said)
        return moment(said) if found is None else EPOCH + int(found[1]) * MILLISECOND

    def _place(self, entity: Entity, row: Row, order: Sequence[str]) -> list[Any]:
        """In the order that was asked for, and then by the key."""
        values = (self._value(entity, row, name) for name in (*order, *entity.keys))
        return [value.isoformat() if isinstance(value, datetime) else value for value in values]

    def _named(self, entity: Entity, text: str) -> Mapping[str, Any]:
        """Which entity a key means: `'P-7'`, or `Order='7',Item=1`."""
        found = {name or entity.keys[0]: value for name, value in _NAMED.findall(text)}
        if set(found) != set(entity.keys):
            raise Refused(f"The key has the properties {', '.join(entity.keys)}.")
        types = entity.types
        return {
            name: read_literal(value, types.get(name, "string"), self.version)
            for name, value in found.items()
        }

    def _has(self, entity: Entity, row: Row, wanted: Mapping[str, Any]) -> bool:
        return all(self._value(entity, row, name) == value for name, value in wanted.items())

    def _properties(self, entity: Entity) -> Mapping[str, str]:
        """All of them with their types, in V2 and V4 alike."""
        table = self.tables[entity.stream]
        names = [*entity.keys, *table.content(1), *([table.changed] if table.changed else [])]
        return {name: entity.types.get(name, "string") for name in names if name not in entity.holds}


def date_of(at: datetime, offset: str = "") -> str:
    """As V2 writes a time in JSON: `/Date(1492041600000)/`, an Edm.DateTimeOffset with its offset."""
    return f"/Date({(at - EPOCH) // MILLISECOND}{offset})/"
