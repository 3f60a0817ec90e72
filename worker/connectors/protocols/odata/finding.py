"""Which streams could be made of a service's entity sets? What its metadata says of their keys and fields decides. Pure."""

import re
from collections.abc import Mapping
from itertools import chain, count
from typing import Any

from worker.connectors.contract import Found
from worker.connectors.manifest.streams.odata import has_order
from worker.connectors.protocols.odata.metadata import Entity, Metadata, Property

_CHANGED = re.compile(
    r"(modified|changed|updated?|change)_?(at|on|date_?time|date|time)$|^last_?(modified|change[d]?|update[d]?)",
    re.IGNORECASE,
)
"""How fields are mostly called that say when a record changed."""
_TIMES = frozenset({"datetimeoffset", "datetime"})
_KNOWN = frozenset(
    {"string", "guid", "int32", "int64", "decimal", "double", "single", "boolean", "date", "time", "datetime"}
    | {"datetimeoffset", "duration", "binary"}
)
_LONGEST_NAME = 63


def streams_of(metadata: Metadata, service: str = "", names: set[str] | None = None) -> list[Found]:
    """All entity sets that can be read, in the service's order. `service` is where it lives below the root, and `names`
    are those of streams that were found in others.
    """
    taken: set[str] = set() if names is None else names
    return [_found(entity, metadata.version, service, taken) for entity in metadata.entities]


def _found(entity: Entity, version: int, service: str, names: set[str]) -> Found:
    remarks: list[str] = []
    cursor = _cursor(entity, remarks)
    path = f"{service}/{entity.name}" if service else entity.name
    options: dict[str, Any] = {"entity": path}
    if version != 4:
        options["version"] = version
    types = _types(entity, cursor)
    if types:
        options["types"] = types
    unsorted = [key for key in entity.keys if not _comparable(entity, key, version)]
    if unsorted:
        options["by_key"] = False
        remarks.append(
            f"{', '.join(unsorted)} can't be compared: the service's own links are followed, which may shift."
        )
    if entity.contained:
        options["expand"] = list(entity.contained)
    others = [name for name in entity.children if name not in entity.contained]
    if others:
        remarks.append(f"With `expand` it can hold {', '.join(others)}, too.")
    describe: dict[str, Any] = {"odata": options}
    if entity.keys:
        describe["key"] = list(entity.keys) if len(entity.keys) > 1 else entity.keys[0]
    else:
        remarks.append("It has no key: it can't be kept.")
    if cursor is not None:
        describe["incremental"] = {"field": cursor}
    if len(entity.keys) == 1 or (entity.keys and not unsorted):
        describe["single"] = {}
    return Found(
        name=_name(entity.name, names),
        title=path,
        describe=describe,
        key=entity.keys,
        cursor=cursor,
        fields=tuple(entity.properties),
        remarks=tuple(remarks),
    )


def _cursor(entity: Entity, remarks: list[str]) -> str | None:
    named = [one for one in entity.properties.values() if _CHANGED.search(one.name)]
    sound = [one for one in named if _is_moment(one) and one.filterable]
    sound.sort(key=lambda one: one.type != "datetimeoffset")
    if sound:
        remarks.append(f"Make sure that every change sets {sound[0].name}, and that none is without it.")
        return sound[0].name
    if named:
        kind = "day" if named[0].day else named[0].type
        why = "can't be filtered by" if _is_moment(named[0]) else f"is a {kind}, not a moment"
        remarks.append(f"{named[0].name} {why}: all of it is read each time.")
    else:
        remarks.append("No field seems to say when a record changed: all of it is read each time.")
    return None


def _is_moment(one: Property) -> bool:
    return one.type in _TIMES and not one.day


def _types(entity: Entity, cursor: str | None) -> Mapping[str, str]:
    """Of what is written in URLs, as far as it isn't what is taken for granted."""
    found = {key: entity.properties[key].type for key in entity.keys if key in entity.properties}
    wanted = {key: kind if kind in _KNOWN else "enum" for key, kind in found.items() if kind != "string"}
    if cursor is not None and (kind := entity.properties[cursor].type) != "datetimeoffset":
        wanted[cursor] = kind
    return wanted


def _comparable(entity: Entity, key: str, version: int) -> bool:
    one = entity.properties.get(key)
    return one is None or (
        has_order(one.type, version) and one.type in _KNOWN and one.filterable and one.sortable
    )


def _name(entity: str, names: set[str]) -> str:
    """As streams are called, each once: `A_PurchaseOrder` is `a_purchase_order`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", entity)
    plain = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or "entity"
    plain = (plain if plain[0].isalpha() else f"e_{plain}")[:_LONGEST_NAME]
    numbered = (f"{plain[:55]}_{number}" for number in count(2))
    chosen = next(name for name in chain([plain], numbered) if name not in names)
    names.add(chosen)
    return chosen
