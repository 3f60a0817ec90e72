"""How is an entity of OData asked for? A stream's `odata:` becomes paths, parameters, conditions and paging.

    odata: {entity: WorkOrders, types: {ID: guid}, expand: [lines]}
    key: ID
    incremental: {field: modifiedAt}

V4 (OData 4.0, part 2: URL conventions) and V2 (the "OData V2" of SAP and Microsoft, 2010) differ in how values are written,
where records stand and how a count is asked for. Pages go by the key: a server's own links are mostly offsets, which skip
records where one is removed meanwhile. A server may send fewer than it was asked for; its link says that there is more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

DEFAULT_SIZE = 500
_LITERALS_4 = {"string": "'{}'", "duration": "duration'{}'"}
_LITERALS_2 = {
    "string": "'{}'", "guid": "guid'{}'", "int64": "{}L", "decimal": "{}m", "double": "{}d", "single": "{}f",
    "datetime": "datetime'{}'", "datetimeoffset": "datetimeoffset'{}Z'", "time": "time'{}'", "binary": "X'{}'",
}  # fmt: skip
_NO_ORDER_4 = frozenset({"duration", "binary", "boolean", "enum"})
_NO_ORDER_2 = _NO_ORDER_4 | {"datetime", "datetimeoffset", "time"}
CHANGED_IN_URL = (["__metadata", "uri"], ["__metadata", "id"])


def literal(kind: str, place: str, version: int) -> str:
    """How a value is written in a URL; `place` is the value or what stands for it."""
    forms = _LITERALS_4 if version == 4 else _LITERALS_2
    return forms.get(kind, "{}").replace("{}", place)


def odata(data: Mapping[str, Any], part: str = "") -> dict[str, Any]:
    """The stream in the words of requests. `part` is the part of `deletes` that it describes: a sweep lists keys alone."""
    found = {name: value for name, value in data.items() if name != "odata"}
    options = data.get("odata", {})
    version = options.get("version", 4)
    types = options.get("types", {})
    keys, inner = _asked_keys(data), "explode" in data
    entity = options.get("entity", "")
    found["path"] = f"{options.get('under', '')}/{entity}"
    found.setdefault("records", "value" if version == 4 else "d.results")
    found.setdefault("conditions", {"param": "$filter", "join": " and "})
    own = {"OData-MaxVersion": "4.0"} if version == 4 else {"MaxDataServiceVersion": "2.0"}
    found["headers"] = {**own, **data.get("headers", {})}
    found.setdefault("volatile", [["@odata.context"]] if version == 4 else list(CHANGED_IN_URL))
    selected = {"$select": ",".join(keys)} if part == "sweep" and not inner else _chosen(options)
    link = ["@odata.nextLink"] if version == 4 else ["d", "__next"]
    by_key = bool(keys) and "paging" not in data and _can_go_by_key(keys, types, options, data)
    if by_key:
        size = options.get("size", DEFAULT_SIZE)
        found["paging"] = {
            "keyset": {
                "order": keys,
                "behind": behind(keys, types, version),
                "size_param": "$top",
                "size": size,
                "link": link,
            }
        }
    elif "paging" not in data:
        found["paging"] = {"next_link": _linked(link, version, options)}
    order = {"$orderby": ",".join(keys)} if keys and not _tracks(data) else {}
    count = {} if by_key or not options.get("count") else _count(version)
    if count:
        found.setdefault("total", ["@odata.count"] if version == 4 else ["d", "__count"])
    found["params"] = {**order, **count, **selected, **data.get("params", {})}
    field = data.get("incremental", {}).get("field")
    if isinstance(field, str) and types.get(field) != "date" and not inner:
        found.setdefault(
            "updated_at", {"field": field, "format": "iso8601" if version == 4 else "odata_date"}
        )
        found.setdefault("version", field)
    if isinstance(named := data.get("filters"), list):
        found["filters"] = {
            name: f"{_path(name)} eq {literal(types.get(name, 'string'), '{value}', version)}"
            for name in named
        }
    if "incremental" in data:
        found["incremental"] = changed(data["incremental"], types, version)
    kinds = [types.get(key, "string") for key in keys]
    if (
        "single" in data
        and entity
        and not inner
        and (len(keys) == 1 or all(has_order(kind, version) for kind in kinds))
    ):
        found["single"] = one(
            data["single"], found["path"], dict(zip(keys, kinds, strict=True)), version, _chosen(options)
        )
    return found


def has_order(kind: str, version: int) -> bool:
    """Whether a page can be asked to go on behind a key of this type. V2 writes times in answers in another way than it reads
    them.
    """
    return kind not in (_NO_ORDER_4 if version == 4 else _NO_ORDER_2)


def behind(keys: Sequence[str], types: Mapping[str, str], version: int) -> str:
    """The condition about what lies behind the last record, in the order of its keys."""
    places = [literal(types.get(key, "string"), f"{{{at}}}", version) for at, key in enumerate(keys)]
    alternatives = []
    for at, key in enumerate(keys):
        same = [f"{before} eq {place}" for before, place in zip(keys[:at], places, strict=False)]
        alternatives.append(" and ".join([*same, f"{key} gt {places[at]}"]))
    return alternatives[0] if len(alternatives) == 1 else " or ".join(f"({one})" for one in alternatives)


def changed(incremental: Mapping[str, Any], types: Mapping[str, str], version: int) -> dict[str, Any]:
    """The window's bounds as conditions, with the format that the field's type has."""
    if incremental.get("kind") == "token" or "since" in incremental or "param" in incremental:
        return dict(incremental)
    field = incremental.get("field")
    if not isinstance(field, str):
        return dict(incremental)
    kind = types.get(field, "datetimeoffset")
    usual = {"date": "date"}.get(kind, "iso8601_ms" if version == 4 else "odata_date")
    value = literal(kind, "{value}", version)
    name = _path(field)
    return {"format": usual, "since": f"{name} ge {value}", "until": f"{name} le {value}", **incremental}


def one(
    found: Mapping[str, Any], path: str, kinds: Mapping[str, str], version: int, chosen: Mapping[str, str]
) -> dict[str, Any]:
    """How one record is asked for by its key: the value alone, or each by its name where several make it."""
    record = {} if version == 4 else {"record": "d"}
    several = ",".join(
        f"{name}={literal(kind, f'{{{at}}}', version)}" for at, (name, kind) in enumerate(kinds.items())
    )
    alone = "".join(literal(kind, "{key}", version) for kind in kinds.values())
    return {
        "path": f"{path}({alone if len(kinds) == 1 else several})",
        "quote": "'" if "string" in kinds.values() else "",
        "params": dict(chosen),
        **record,
        **found,
    }


def _path(field: str) -> str:
    """Where a property stands, as conditions say it."""
    return field.replace(".", "/")


def _linked(link: Sequence[str], version: int, options: Mapping[str, Any]) -> dict[str, Any]:
    paging: dict[str, Any] = {"path": link}
    if version == 4 and "size" in options:
        paging |= {
            "size_header": "Prefer",
            "size_template": "odata.maxpagesize={size}",
            "size": options["size"],
        }
    return paging


def _can_go_by_key(
    keys: Sequence[str], types: Mapping[str, str], options: Mapping[str, Any], data: Mapping[str, Any]
) -> bool:
    version = options.get("version", 4)
    comparable = all(has_order(types.get(key, "string"), version) for key in keys)
    return comparable and options.get("by_key", True) and not _tracks(data)


def _tracks(data: Mapping[str, Any]) -> bool:
    return bool(data.get("incremental", {}).get("kind") == "token")


def _chosen(options: Mapping[str, Any]) -> dict[str, str]:
    names = {"$select": options.get("select"), "$expand": options.get("expand")}
    return {name: ",".join(value) for name, value in names.items() if value}


def _count(version: int) -> dict[str, str]:
    return {"$count": "true"} if version == 4 else {"$inlinecount": "allpages"}


def _asked_keys(data: Mapping[str, Any]) -> list[str]:
    """By which entities are sorted and pages go: the key, or of what stands in them, theirs."""
    if (explode := data.get("explode")) is None:
        return _several(data.get("key", ()))
    return [str(explode["parent"][name]) for name in _several(explode.get("by", ()))]


def _several(key: str | Sequence[Any]) -> list[str]:
    return [key] if isinstance(key, str) else [str(one) for one in key]
