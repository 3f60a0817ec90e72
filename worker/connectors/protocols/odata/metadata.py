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
    day: bool = False
    """It holds a day, whatever its type (V2 has no type for days; SAP says so by `sap:display-format`)."""


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity set: a list that can be asked for."""

    name: str
    keys: tuple[str, ...] = ()
    properties: Mapping[str, Property] = field(default_factory=dict)
    children: tuple[str, ...] = ()
    """Navigation properties that hold several: lines."""
    contained: tuple[str, ...] = ()
    """Those whose entities live and die with it (V4: ContainsTarget)."""


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
    types, associations = _named(root, "EntityType"), _named(root, "Association")
    sets = [one for one in _all(root, "EntitySet") if one.get("EntityType")]
    version = 4 if root.get("Version", "").startswith("4") else 2
    return Metadata(version, tuple(_entity(one, types, associations) for one in sets))


def _named(root: ET.Element, kind: str) -> dict[str, ET.Element]:
    """What the schemas define of this kind, by its full names."""
    return {
        f"{prefix}.{one.get('Name')}": one
        for schema in _all(root, "Schema")
        for one in _all(schema, kind)
        for prefix in {schema.get("Namespace"), schema.get("Alias")} - {None}
    }


def _entity(
    found: ET.Element, types: Mapping[str, ET.Element], associations: Mapping[str, ET.Element]
) -> Entity:
    line = list(_line_of(found.get("EntityType", ""), types))
    keys = tuple(
        ref.get("Name", "")
        for one in line
        for key in _children(one, "Key")
        for ref in _children(key, "PropertyRef")
    )
    properties = [_property(one) for ancestor in line for one in _children(ancestor, "Property")]
    navigation = [one for ancestor in line for one in _children(ancestor, "NavigationProperty")]
    many = [one for one in navigation if _holds_several(one, associations)]
    return Entity(
        name=found.get("Name", ""),
        keys=keys,
        properties={one.name: one for one in properties},
        children=tuple(one.get("Name", "") for one in many),
        contained=tuple(one.get("Name", "") for one in many if one.get("ContainsTarget") == "true"),
    )


def _holds_several(navigation: ET.Element, associations: Mapping[str, ET.Element]) -> bool:
    """V4 says it by the type, V2 at the association's end that it leads to."""
    if navigation.get("Type", "").startswith("Collection("):
        return True
    association = associations.get(navigation.get("Relationship", ""))
    ends = () if association is None else _children(association, "End")
    return any(end.get("Role") == navigation.get("ToRole") and end.get("Multiplicity") == "*" for end in ends)


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
        filterable=_annotated(found, "filterable") != "false",
        sortable=_annotated(found, "sortable") != "false",
        day=_annotated(found, "display-format") == "Date",
    )


def _annotated(found: ET.Element, word: str) -> str | None:
    """SAP's annotations of V2: `sap:filterable="false"`."""
    values = (value for name, value in found.attrib.items() if name.rpartition("}")[2] == word)
    return next(values, None)


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
