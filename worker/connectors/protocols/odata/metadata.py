"""What does the metadata of an OData service say? Its entity sets with keys and types: CSDL in XML, of V4 and V2. Pure.

It comes from a system of somebody else's: a document with a DTD is refused, so no entity of XML can grow.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from worker.errors import NeedsOperator

_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Property:
    """A field of an entity."""

    name: str
    type: str
    """Without `Edm.`, in small letters; the full name of a type of the service's own."""
    filterable: bool = True
    sortable: bool = True


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity set: a list that can be asked for."""

    name: str
    keys: tuple[str, ...] = ()
    properties: Mapping[str, Property] = field(default_factory=dict)
    children: tuple[str, ...] = ()
    """Navigation properties that hold several: lines."""
    contained: tuple[str, ...] = ()
    """Those whose entities live and die with it (V4: ContainsTarget, or no list of their own)."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a service has."""

    version: int
    entities: tuple[Entity, ...]


def read_metadata(body: bytes) -> Metadata:
    """The document that `$metadata` is answered with; `NeedsOperator` for anything else."""
    if len(body) > _LARGEST or b"<!DOCTYPE" in body[:4096].upper() or b"<!ENTITY" in body:
        raise _no_metadata("it is too large or has a DTD")
    try:
        root = ET.fromstring(body)  # noqa: S314 - without a DTD nothing in it can grow
    except ET.ParseError as exc:
        raise _no_metadata(f"it is no XML ({exc})") from None
    if _local(root) != "Edmx":
        raise _no_metadata(f"its root is {_local(root)[:40]!r}, not Edmx")
    types: dict[str, ET.Element] = {}
    for schema in _all(root, "Schema"):
        for one in _all(schema, "EntityType"):
            for prefix in {schema.get("Namespace"), schema.get("Alias")} - {None}:
                types[f"{prefix}.{one.get('Name')}"] = one
    sets = [one for one in _all(root, "EntitySet") if one.get("EntityType")]
    version = 4 if root.get("Version", "").startswith("4") else 2
    return Metadata(version, tuple(_entity(one, types) for one in sets))


def _entity(found: ET.Element, types: Mapping[str, ET.Element]) -> Entity:
    line = list(_line_of(found.get("EntityType", ""), types))
    keys = tuple(
        ref.get("Name", "")
        for one in line
        for key in _children(one, "Key")
        for ref in _children(key, "PropertyRef")
    )
    properties = [_property(one) for ancestor in line for one in _children(ancestor, "Property")]
    navigation = [one for ancestor in line for one in _children(ancestor, "NavigationProperty")]
    many = [one for one in navigation if one.get("Type", "").startswith("Collection(")]
    return Entity(
        name=found.get("Name", ""),
        keys=keys,
        properties={one.name: one for one in properties},
        children=tuple(one.get("Name", "") for one in many),
        contained=tuple(one.get("Name", "") for one in many if one.get("ContainsTarget") == "true"),
    )


def _line_of(name: str, types: Mapping[str, ET.Element]) -> Iterator[ET.Element]:
    """The type and those that it is based on, the oldest first."""
    line: list[ET.Element] = []
    while (found := types.get(name)) is not None and found not in line:
        line.insert(0, found)
        name = found.get("BaseType", "")
    yield from line


def _property(found: ET.Element) -> Property:
    kind = found.get("Type", "")
    plain = kind.removeprefix("Edm.").lower() if kind.startswith("Edm.") else kind
    return Property(
        found.get("Name", ""),
        {"int16": "int32", "byte": "int32", "sbyte": "int32", "timeofday": "time"}.get(plain, plain),
        filterable=_allows(found, "filterable"),
        sortable=_allows(found, "sortable"),
    )


def _allows(found: ET.Element, word: str) -> bool:
    """SAP's annotations of V2: `sap:filterable="false"`."""
    return all(value != "false" for name, value in found.attrib.items() if name.rpartition("}")[2] == word)


def _all(root: ET.Element, name: str) -> Iterator[ET.Element]:
    return (one for one in root.iter() if _local(one) == name)


def _children(root: ET.Element, name: str) -> Iterator[ET.Element]:
    return (one for one in root if _local(one) == name)


def _local(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _no_metadata(why: str) -> NeedsOperator:
    hint = "Does base_url lead to the root of an OData service? $metadata is asked for below it."
    return NeedsOperator(
        "no_metadata", f"The answer is no description of an OData service: {why}.", hint=hint
    )
