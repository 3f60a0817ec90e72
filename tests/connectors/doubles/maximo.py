"""IBM Maximo, as its documentation says: object structures, oslc.where, times with the server's offset, nulls left out."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from scheduler.connectors.check import Answer, Call, Complaint, Double, Row, Table, iso, moment
from scheduler.connectors.check.double.times import SECOND
from worker.connectors.reading.keys import make_key

MOST = 150
"""mxe.oslc.maxpagesize: fewer come than were asked for."""
SITE, ORG, SET = "BEDFORD", "EAGLENA", "SET1"
STREAMS = {
    "mxapiwodetail": ("work_orders", "workorderid", ("wonum", "siteid")),
    "mxapiasset": ("assets", "assetuid", ("assetnum", "siteid")),
    "mxapilocations": ("locations", "locationsid", ("location", "siteid")),
    "mxapipo": ("purchase_orders", "poid", ("ponum", "siteid", "revisionnum")),
    "mxapisr": ("service_requests", "ticketuid", ("ticketid",)),
    "mxapiitem": ("items", "itemid", ("itemnum", "itemsetid")),
    "mxapiinventory": ("inventory", "inventoryid", ("itemnum", "itemsetid", "location", "siteid")),
    "mxapiinvbal": ("inventory_balances", "invbalancesid", ("invbalancesid",)),
    "mxapivendor": ("vendors", "companiesid", ("company", "orgid")),
    "mxapiperson": ("persons", "personuid", ("personid",)),
}
UID = {stream: uid for stream, uid, _ in STREAMS.values()}
KEYS = {stream: keys for stream, _, keys in STREAMS.values()}
PATH = {stream: path for path, (stream, _, _) in STREAMS.items()}
TIMED = {"work_orders", "assets", "locations", "purchase_orders", "service_requests"}
FIXED: Mapping[str, Any] = {"siteid": SITE, "orgid": ORG, "itemsetid": SET, "revisionnum": 0}
EXTRA: Mapping[str, Mapping[str, Any]] = {
    "work_orders": {"status": "WAPPR", "worktype": "CM", "wopriority": 2, "istask": False},
    "inventory": {"location": "CENTRAL"},
    "inventory_balances": {"itemnum": "0-0031", "location": "CENTRAL", "siteid": SITE, "curbal": 4.5},
    "service_requests": {"siteid": SITE, "class": "SR"},
}
ALWAYS = frozenset({"href", "localref", "_rowstamp", "added_by_a_release"})
_CLAUSE = re.compile(r'(\w+)(>=|<=|>|=)("(?:[^"]|"")*"|[0-9]+)')
_NESTED = re.compile(r"(\w+)\{([^}]*)\}")


def _table(stream: str) -> Table:
    text = {
        "persons": "displayname",
        "vendors": "name",
        "inventory_balances": "binnum",
        "inventory": "issueunit",
    }
    key = KEYS[stream][0]
    return Table(
        key=key,
        key_of=int if key == UID[stream] else "{}".format,
        changed="changedate" if stream in TIMED else None,
        unit=SECOND,
        content=lambda number: {text.get(stream, "description"): f"Record {number}"},
        edited=text.get(stream, "description"),
    )


class Maximo(Double):
    """Every stream is a list at /os/<object structure>."""

    system = "maximo"
    secrets: ClassVar[Mapping[str, str]] = {"api_key": "double-api/key+of=maximo"}
    tables: ClassVar[Mapping[str, Table]] = {
        **{stream: _table(stream) for stream in UID},
        "purchase_order_lines": Table(
            key="polinenum",
            changed=None,
            content=lambda number: {"description": f"Line {number}", "orderqty": 2.0, "unitcost": 9.5},
            edited="description",
            of="purchase_orders",
            within="poline",
            carries={
                "ponum": "ponum",
                "siteid": "siteid",
                "revisionnum": "revisionnum",
                "changedate": "changedate",
            },
            keyed=("ponum", "siteid", "revisionnum", "polinenum"),
        ),
    }

    def settings(self) -> Mapping[str, Any]:
        return {"base_url": f"{self.base_url}/maximo"}

    def admits(self, call: Call) -> bool:
        return call.headers.get("apikey") == self.secrets["api_key"]

    def write(self, stream: str, at: datetime) -> Any:
        """With the server's offset."""
        return iso(at, SECOND, self.zone).replace("Z", "+00:00")

    def key_of(self, stream: str, row: Row) -> str:
        if stream not in KEYS:
            return super().key_of(stream, row)
        record = self._named(stream, row)
        return make_key([record[name] for name in KEYS[stream]])

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        """What is null isn't sent, nor a list without entries."""
        record = super().render(stream, row)
        record["_rowstamp"] = str(row.serial)
        if stream not in UID:
            return record | {
                "localref": f"{self.base_url}/maximo/api/os/mxapipo/_{row.parent}/poline/{row.number}"
            }
        sealed = b64encode("/".join(map(str, self._named(stream, row).values())).encode()).decode().strip("=")
        record |= self._named(stream, row) | EXTRA.get(stream, {}) | {UID[stream]: row.number}
        record["href"] = f"{self.base_url}/maximo/api/os/{PATH[stream]}/_{sealed}"
        return {name: value for name, value in record.items() if value not in (None, [])}

    def answer(self, call: Call) -> Answer:
        found = re.fullmatch(r"/maximo/api/os/(\w+)", call.path)
        if found is None or found[1] not in STREAMS:
            return self._error(404, "BMXAA1234E", "The object structure was not found.")
        stream, uid, _ = STREAMS[found[1]]
        select = call.param("oslc.select")
        if call.param("lean") != "1" or not select or call.param("oslc.orderBy") != f"+{uid}":
            return self._error(400, "BMXAA1234E", "lean, oslc.select and oslc.orderBy are wanted.")
        rows = [
            row
            for row in self.rows(stream, order="number")
            if self._fits(stream, row, call.param("oslc.where"))
        ]
        size = min(MOST, call.number("oslc.pageSize", MOST))
        page = rows[:size]
        said: dict[str, Any] = {"href": f"{self.base_url}{call.path}", "pagenum": 1}
        if len(rows) > size:
            kept = [(name, value) for name, value in call.params if name != "pageno"]
            following = f"http://unseen.internal{call.path}?{urlencode([*kept, ('pageno', '2')])}"
            said["nextPage"] = following if stream == "assets" else {"href": following}
        member = [_chosen(self.show(stream, row), select) for row in page]
        return Answer(body={"member": member, "href": said["href"], "responseInfo": said})

    def throttled(self, seconds: int) -> Answer:
        """As whatever stands in front of it says it; Maximo itself never does."""
        return Answer(429, {"message": "Too many requests."}, {"Retry-After": str(seconds)})

    def failing(self) -> Answer:
        return self._error(500, "BMXAA4210E", "The system is away.")

    def refused(self) -> Answer:
        return self._error(
            401, "BMXAA7901E", "You cannot log in at this time. Contact the system administrator."
        )

    def forbidden(self) -> Answer:
        return self._error(403, "BMXAA0024E", "The action READ is not allowed.")

    def complaints(self) -> Sequence[Complaint]:
        spaced = {
            "oslc:Error": {
                "oslc:statusCode": "400",
                "spi:reasonCode": "BMXAA1X",
                "oslc:message": "Unknown QBE.",
            }
        }
        several = {
            "attrerrors": [{"Error": {"errorattrname": "SITEID", "message": "BADSITE is not a site."}}]
        }
        denied = self._error(400, "BMXAA0024E", "The action READ is not allowed.").body
        return [
            Complaint("with namespaces", Answer(400, spaced), "operator", words="Unknown QBE"),
            Complaint("of attributes", Answer(400, several), "operator", words="BADSITE is not a site"),
            Complaint("no right, as a 400", Answer(400, denied), "operator", words="READ is not allowed"),
        ]

    def _named(self, stream: str, row: Row) -> dict[str, Any]:
        """The fields that name a record together."""
        own = {self.tables[stream].key: self.tables[stream].key_of(row.number)}
        fixed = FIXED | EXTRA.get(stream, {})
        return {name: own.get(name, fixed.get(name)) for name in KEYS[stream]}

    def _fits(self, stream: str, row: Row, where: str | None) -> bool:
        record = self.render(stream, row)
        for clause in where.split(" and ") if where else ():
            found = _CLAUSE.fullmatch(clause)
            if found is None:
                raise ValueError(clause)
            name, operator, said = found.groups()
            own: Any = row.changed if name == "changedate" and stream in TIMED else record[name]
            text = said.strip('"').replace('""', '"')
            wanted: Any = moment(text) if isinstance(own, datetime) else text if said[0] == '"' else int(said)
            if not {">": own > wanted, ">=": own >= wanted, "<=": own <= wanted, "=": own == wanted}[
                operator
            ]:
                return False
        return True

    def _error(self, status: int, code: str, words: str) -> Answer:
        found = {
            "statusCode": str(status),
            "reasonCode": code,
            "message": f"{code} - {words}",
            "extendedError": {},
        }
        return Answer(status, {"Error": found})


def _chosen(record: dict[str, Any], select: str) -> dict[str, Any]:
    """What was asked for, and what every object has."""
    inner = {name: {*fields.split(",")} for name, fields in _NESTED.findall(select)}
    names = {*_NESTED.sub("", select).split(",")} | ALWAYS
    chosen = {name: value for name, value in record.items() if name in names}
    for name, fields in inner.items():
        if name in record:
            chosen[name] = [
                {key: child[key] for key in child if key in fields | ALWAYS} for child in record[name]
            ]
    return chosen
