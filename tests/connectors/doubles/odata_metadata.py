"""How does an OData service describe itself? `$metadata`, as CSDL has it for V4 and V2."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

_EDM = {
    "string": "String", "guid": "Guid", "datetimeoffset": "DateTimeOffset", "datetime": "DateTime", "date": "Date",
    "decimal": "Decimal", "int32": "Int32", "int64": "Int64", "boolean": "Boolean", "time": "Time",
}  # fmt: skip
_V4 = (
    '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
    '<Schema Namespace="S" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
)
_V2 = (
    '<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"><edmx:DataServices>'
    '<Schema Namespace="S" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">'
)


@dataclass(frozen=True)
class Described:
    """An entity set as its service describes it."""

    name: str
    keys: Sequence[str]
    properties: Mapping[str, str]
    """With their types, without Edm., in small letters."""
    holds: Mapping[str, str]
    """Navigation properties to what stands in it."""


def metadata_of(entities: Sequence[Described], version: int) -> str:
    """The whole document."""
    types = "".join(part for one in entities for part in _type(one, version))
    sets = "".join(f'<EntitySet Name={quoteattr(one.name)} EntityType="S.{one.name}"/>' for one in entities)
    associations = "" if version == 4 else "".join(part for one in entities for part in _associations(one))
    head = _V4 if version == 4 else _V2
    end = "</Schema></edmx:DataServices></edmx:Edmx>"
    return f'{head}{types}{associations}<EntityContainer Name="C">{sets}</EntityContainer>{end}'


def _type(one: Described, version: int) -> Iterator[str]:
    yield f"<EntityType Name={quoteattr(one.name)}><Key>"
    yield from (f"<PropertyRef Name={quoteattr(key)}/>" for key in one.keys)
    yield "</Key>"
    yield from (
        f'<Property Name={quoteattr(name)} Type="Edm.{_EDM[kind]}"/>' for name, kind in one.properties.items()
    )
    for name in one.holds:
        if version == 4:
            yield f'<NavigationProperty Name={quoteattr(name)} Type="Collection(S.{name})" ContainsTarget="true"/>'
        else:
            yield f'<NavigationProperty Name={quoteattr(name)} Relationship="S.{one.name}_{name}" FromRole="a" ToRole="b"/>'
    yield "</EntityType>"
    yield from (f"<EntityType Name={quoteattr(name)}/>" for name in one.holds)


def _associations(one: Described) -> Iterator[str]:
    for name in one.holds:
        yield f'<Association Name="{one.name}_{name}"><End Role="a" Type="S.{one.name}" Multiplicity="1"/>'
        yield f'<End Role="b" Type="S.{name}" Multiplicity="*"/></Association>'
