"""An OData service of V4, of nobody's: what its own `$metadata` says is what a connection to it describes.

Built from the specification (OData 4.01, parts 1 to 3, and CSDL XML), with a key of each kind, lines that live in their order,
and a list of locations whose changes the service tracks (part 1, 11.3: `odata.track-changes`, delta links, `@removed`).
"""

from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar
from uuid import UUID

from connectors.doubles.odata_server import Entity, ODataServer

from scheduler.connectors.check import Answer, Call, Row, Table
from worker.connectors.protocols.odata.finding import streams_of
from worker.connectors.protocols.odata.metadata import read_metadata

USER = "reader-of-odata"
TRACKED = "Locations"
PAGE = 5
TRACKS: Mapping[str, Any] = {
    "odata": {"entity": TRACKED},
    "key": "code",
    "headers": {"Prefer": "odata.track-changes"},
    "incremental": {"kind": "token", "token": ["@odata.deltaLink"]},
    "deletes": {"removed": "@removed"},
}
"""What no metadata tells: that this list can be followed by its links."""


class ODataService(ODataServer):
    """See the module."""

    system = "odata"
    root = "/odata/v4/maintenance"
    most = 200
    secrets: ClassVar[Mapping[str, str]] = {"user": USER, "password": "double-password-of-odata"}
    entities: ClassVar[Mapping[str, Entity]] = {
        "Parts": Entity("parts", ("code",), {"modifiedAt": "datetimeoffset", "price": "decimal"}),
        "WorkOrders": Entity(
            "work_orders", ("ID",), {"ID": "guid", "modifiedAt": "datetimeoffset"}, {"lines": "lines"}
        ),
        "Readings": Entity("readings", ("meter", "number"), {"number": "int64"}),
        "Rates": Entity("rates", ("validFrom",), {"validFrom": "date", "changedOn": "datetimeoffset"}),
        TRACKED: Entity("locations", ("code",)),
    }
    tables: ClassVar[Mapping[str, Table]] = {
        "parts": Table(
            "code",
            "P'{:05}/x".format,
            "modifiedAt",
            content=lambda number: {"name": f"Part {number}", "price": 9.5},
        ),
        "work_orders": Table("ID", lambda number: str(UUID(int=number << 64)), "modifiedAt"),
        "lines": Table("line", changed=None, of="work_orders", within="lines"),
        "readings": Table(
            "number", changed=None, content=lambda number: {"meter": "M-1", "name": f"Reading {number}"}
        ),
        "rates": Table("validFrom", lambda number: f"{1900 + number}-01-31", "changedOn"),
        "locations": Table("code", "L-{:05}".format, None),
    }

    def settings(self) -> Mapping[str, Any]:
        describe = {
            "auth": {"basic": {"username": {"secret": "user"}, "password": {"secret": "password"}}},
            "secrets": {
                "user": {"description": "A user.", "find": "Users"},
                "password": {"description": "Its password.", "find": "Users"},
            },
            "streams": {**_found(), "locations": TRACKS},
        }
        return {"base_url": self.base_url + self.root, "describe": describe}

    def admits(self, call: Call) -> bool:
        proof = b64encode(":".join(self.secrets.values()).encode()).decode()
        return call.headers.get("authorization") == f"Basic {proof}"

    def _listed(self, call: Call, entity: Entity) -> Answer:
        if entity.stream != "locations" or "odata.track-changes" not in call.headers.get("prefer", ""):
            return super()._listed(call, entity)
        return self._tracked(call, entity)

    def _tracked(self, call: Call, entity: Entity) -> Answer:
        """What is there, or what came and went since a link was given out; the next link is about what comes from the
        beginning of this walk on.
        """
        since, began = call.number("$deltatoken", 0), self.serial
        behind, _, start = (call.param("$skiptoken") or f"0-{began}").partition("-")
        rows = [
            row
            for row in self.rows(entity.stream, order="number", gone=since > 0)
            if row.serial > since and row.number > int(behind)
        ]
        page, where = rows[:PAGE], f"{self.base_url}{call.path}"
        found = [self._tracked_row(call, entity, row) for row in page]
        if len(rows) > PAGE:
            place = f"$deltatoken={since}&$skiptoken={page[-1].number}-{start}"
            link = {"@odata.nextLink": f"{where}?{place}"}
        else:
            link = {"@odata.deltaLink": f"{where}?$deltatoken={start}"}
        return Answer(body={"@odata.context": "$metadata", "value": found, **link})

    def _tracked_row(self, call: Call, entity: Entity, row: Row) -> dict[str, Any]:
        if row.deleted is None:
            return self._shown(call, entity, row)
        return {"@removed": {"reason": "deleted"}, "code": self.key_of(entity.stream, row)}


@lru_cache
def _found() -> Mapping[str, Any]:
    """What `discover` makes of its metadata."""
    found = streams_of(read_metadata(ODataService().metadata().encode()))
    return {stream.name: stream.describe for stream in found}
