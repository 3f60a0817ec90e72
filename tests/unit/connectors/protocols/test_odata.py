"""OData: how its words become requests, and what its metadata tells, beyond what a live service at hand has."""

from datetime import UTC, datetime
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Response, Stream, Window
from worker.connectors.manifest.model import read_manifest
from worker.connectors.manifest.schema import schema
from worker.connectors.protocols.odata.finding import streams_of
from worker.connectors.protocols.odata.metadata import read_metadata
from worker.errors import BadRecord, InvalidInput, NeedsOperator
from worker.parsing.documents import read_document, validate

HEAD = (
    "manifest: 1\nsystem: erp\ntitle: ERP\nprotocol: odata\nbase_url: https://h.example.com/odata\nstreams:\n"
)
SINCE = datetime(2026, 1, 31, 8, 0, 0, 500_000, tzinfo=UTC)

V2 = b"""<?xml version="1.0"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx" xmlns:sap="http://www.sap.com/Protocols/SAPData">
 <edmx:DataServices><Schema Namespace="S" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
  <EntityType Name="Order"><Key><PropertyRef Name="Order"/><PropertyRef Name="Item"/></Key>
   <Property Name="Order" Type="Edm.String"/><Property Name="Item" Type="Edm.Int64"/>
   <Property Name="LastChangeDateTime" Type="Edm.DateTime" sap:filterable="false"/>
   <Property Name="ChangedAt" Type="Edm.DateTime"/></EntityType>
  <EntityType Name="Rate"><Key><PropertyRef Name="ValidFrom"/></Key><Property Name="ValidFrom" Type="Edm.DateTime"/></EntityType>
  <EntityContainer Name="C"><EntitySet Name="A_Order" EntityType="S.Order"/><EntitySet Name="Rates" EntityType="S.Rate"/></EntityContainer>
 </Schema></edmx:DataServices></edmx:Edmx>"""


def stream(words: str) -> Stream:
    document = read_document(f"{HEAD}  orders: {{{words}}}\n".encode(), "erp/manifest.yaml")
    validate(document, schema())
    return ManifestConnector(read_manifest(document)).bind({}).stream("orders")


def params(of: Stream, window: Window, position: Any = None) -> dict[str, str]:
    return dict(of.request(window, position).params)


def behind(of: Stream, body: bytes) -> Any:
    return of.read(Response(200, {}, body, "https://h.example.com/odata/Orders"), Window(), None).next


def test_a_key_of_several_fields_goes_on_in_the_order_of_all_of_them() -> None:
    orders = stream("odata: {entity: Orders, types: {b: int32}, size: 1}, key: [a, b]")
    assert params(orders, Window()) == {"$orderby": "a,b", "$top": "1"}
    position = behind(orders, b'{"value": [{"a": "O\'Neil", "b": 7}]}')
    assert params(orders, Window(), position)["$filter"] == "(a gt 'O''Neil') or (a eq 'O''Neil' and b gt 7)"
    both = params(orders, Window(), position)
    assert both["$orderby"] == "a,b"


def test_a_short_page_with_a_link_is_not_the_end() -> None:
    orders = stream("odata: {entity: Orders, size: 100}, key: id")
    assert behind(orders, b'{"value": [{"id": "a"}], "@odata.nextLink": "Orders?$skiptoken=1"}') is not None
    assert behind(orders, b'{"value": [{"id": "a"}]}') is None


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("version: 4", "at ge 2026-01-31T08:00:00.500Z"),
        ("version: 4, types: {at: date}", "at ge 2026-01-31"),
        ("version: 2", "at ge datetimeoffset'2026-01-31T08:00:00.500Z'"),
        ("version: 2, types: {at: datetime}", "at ge datetime'2026-01-31T08:00:00.500'"),
    ],
)
def test_changes_are_asked_for_in_the_literals_of_the_version(options: str, wanted: str) -> None:
    orders = stream(f"odata: {{entity: Orders, {options}}}, key: id, incremental: {{field: at}}")
    assert params(orders, Window(since=SINCE))["$filter"] == wanted


@pytest.mark.parametrize(
    ("version", "kind", "wanted"),
    [(4, "guid", "(4f)"), (2, "guid", "(guid%274f%27)"), (2, "int64", "(4fL)"), (4, "string", "(%274f%27)")],
)
def test_one_record_is_asked_for_by_the_literal_of_its_key(version: int, kind: str, wanted: str) -> None:
    orders = stream(
        f"odata: {{entity: Orders, version: {version}, types: {{id: {kind}}}}}, key: id, single: {{}}"
    )
    request = orders.single("4f")
    assert request is not None
    assert request.url.replace("'", "%27") == f"https://h.example.com/odata/Orders{wanted}"


@pytest.mark.parametrize(
    ("version", "types", "wanted"),
    [
        (4, "", "Site/Name eq 'N''s'"),
        (2, "Site.Name: guid", "Site/Name eq guid'N''s'"),
        (4, "Site.Name: int32", "Site/Name eq 7"),
    ],
)
def test_some_of_the_records_are_asked_for_by_the_literal_of_a_property(
    version: int, types: str, wanted: str
) -> None:
    orders = stream(
        f"odata: {{entity: Orders, version: {version}, types: {{{types}}}}}, key: id, filters: [Site.Name]"
    )
    asked = params(orders.filtered({"Site.Name": "7" if "int" in types else "N's"}), Window())
    assert asked["$filter"] == wanted


def test_a_value_without_marks_can_not_say_more_than_itself() -> None:
    orders = stream(
        "odata: {entity: Orders, types: {Number: int32}}, key: id, filters: [Number], single: {by: 'Number eq {key}'}"
    )
    for value in ("7 or 1 eq 1", "7)", "'7'"):
        with pytest.raises(InvalidInput):
            orders.filtered({"Number": value})
        with pytest.raises(BadRecord):
            orders.single(value)
    assert orders.single("-7.5e3") is not None


def test_a_service_that_tracks_changes_is_followed_by_its_links() -> None:
    orders = stream(
        "odata: {entity: Orders}, key: id, headers: {Prefer: odata.track-changes}, deletes: {removed: '@removed'},"
        " incremental: {kind: token, token: ['@odata.deltaLink']}"
    )
    assert "$filter" not in params(orders, Window())
    body = (
        b'{"value": [{"id": "a"}, {"@removed": {"reason": "deleted"}, "id": "b"}],'
        b' "@odata.deltaLink": "https://h.example.com/odata/Orders?$deltatoken=7"}'
    )
    page = orders.read(Response(200, {}, body, "https://h.example.com/odata/Orders"), Window(), None)
    assert [record.key for record in page.records] == ["a"]
    assert [gone.key for gone in page.gone] == ["b"]
    assert orders.request(Window(token=page.token), None).url.endswith("$deltatoken=7")


def test_metadata_of_v2_says_keys_types_and_what_cant_be_filtered() -> None:
    metadata = read_metadata(V2)
    orders, rates = streams_of(metadata)
    assert (metadata.version, orders.name, orders.key, orders.cursor) == (
        2,
        "a_order",
        ("Order", "Item"),
        "ChangedAt",
    )
    assert orders.describe["odata"]["types"] == {"Item": "int64", "ChangedAt": "datetime"}
    assert rates.describe["odata"]["by_key"] is False
    assert any("can't be compared" in remark for remark in rates.remarks)


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><edmx:Edmx/>",
        b"<html></html>",
        b'{"value": []}',
        b"",
        b"<Edmx",
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_metadata_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(NeedsOperator) as caught:
        read_metadata(body)
    assert caught.value.code == "no_metadata"


SAP = b"""<?xml version="1.0"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx" xmlns:sap="http://www.sap.com/Protocols/SAPData">
 <edmx:DataServices><Schema Namespace="S" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
  <EntityType Name="Product"><Key><PropertyRef Name="Product"/></Key><Property Name="Product" Type="Edm.String"/>
   <Property Name="LastChangeDate" Type="Edm.DateTime" sap:display-format="Date"/>
   <Property Name="ChangedAt" Type="Edm.DateTime"/><Property Name="LastChangeDateTime" Type="Edm.DateTimeOffset"/>
   <NavigationProperty Name="to_Plant" Relationship="S.plants" FromRole="product" ToRole="plant"/>
   <NavigationProperty Name="to_Group" Relationship="S.plants" FromRole="plant" ToRole="product"/></EntityType>
  <Association Name="plants"><End Role="product" Type="S.Product" Multiplicity="1"/><End Role="plant" Type="S.Plant" Multiplicity="*"/></Association>
  <EntityContainer Name="C"><EntitySet Name="A_Product" EntityType="S.Product"/></EntityContainer>
 </Schema></edmx:DataServices></edmx:Edmx>"""


def test_metadata_of_v2_tells_days_from_moments_and_lists_from_single_entities() -> None:
    metadata = read_metadata(SAP)
    (products,) = streams_of(metadata)
    assert products.cursor == "LastChangeDateTime"
    assert metadata.entities[0].children == ("to_Plant",)


def test_days_are_compared_in_v4_and_times_are_not_in_v2() -> None:
    rates = stream("odata: {entity: Rates, types: {from: date}, size: 1}, key: from")
    position = behind(rates, b'{"value": [{"from": "2026-01-31"}]}')
    assert params(rates, Window(), position)["$filter"] == "from gt 2026-01-31"
    equipment = stream("odata: {entity: Equipment, version: 2, types: {end: datetime}}, key: [id, end]")
    assert "$top" not in params(equipment, Window())


def test_one_record_is_asked_for_with_what_all_requests_carry() -> None:
    text = HEAD.replace("streams:", "request: {params: {sap-client: '100'}}\nstreams:")
    document = read_document(
        f"{text}  orders: {{odata: {{entity: Orders, expand: [lines]}}, key: id, single: {{}}}}\n".encode(),
        "erp/manifest.yaml",
    )
    request = ManifestConnector(read_manifest(document)).bind({}).stream("orders").single("7")
    assert request is not None
    assert dict(request.params) == {"sap-client": "100", "$expand": "lines"}


def test_lines_are_asked_for_by_the_key_of_their_orders() -> None:
    text = f"""{HEAD}  orders:
    odata: {{entity: Orders, expand: [lines], size: 1}}
    key: id
    incremental: {{field: at}}
  lines:
    explode: {{of: orders, path: lines, parent: {{order: id, at: at}}, by: order}}
    key: [order, number]
"""
    document = read_document(text.encode(), "erp/manifest.yaml")
    validate(document, schema())
    lines = ManifestConnector(read_manifest(document)).bind({}).stream("lines")
    asked = {"$orderby": "id", "$expand": "lines", "$top": "1"}
    assert params(lines, Window()) == asked
    body = b'{"value": [{"id": "a", "at": "2026-01-31T08:00:00Z", "lines": [{"number": 1}]}]}'
    page = lines.read(Response(200, {}, body, "https://h.example.com/odata/Orders"), Window(), None)
    assert [(record.key, record.cursor) for record in page.records] == [
        ('["a",1]', SINCE.replace(microsecond=0))
    ]
    assert params(lines, Window(), page.next)["$filter"] == "id gt 'a'"
    swept = lines.sweep()
    assert swept is not None
    assert params(swept, Window()) == asked


def test_entity_sets_may_stand_below_a_place_that_has_no_metadata() -> None:
    text = HEAD.replace("streams:", "settings: {company: {required: true, description: A GUID.}}\nstreams:")
    document = read_document(
        f"{text}  orders: {{odata: {{entity: Orders, under: '/companies({{company}})'}}, key: id, single: {{}}}}\n".encode(),
        "erp/manifest.yaml",
    )
    validate(document, schema())
    source = ManifestConnector(read_manifest(document)).bind({"company": "c1"})
    single = source.stream("orders").single("7")
    assert single is not None
    assert single.url.replace("%27", "'") == "https://h.example.com/odata/companies(c1)/Orders('7')"
    assert source.stream("orders").request(Window(), None).url.endswith("/odata/companies(c1)/Orders")
    discovery = source.discover()
    assert discovery is not None
    assert next(discovery).url == "https://h.example.com/odata/$metadata"


def test_services_below_one_root_are_asked_each_for_its_own_metadata() -> None:
    streams = (
        "  a: {odata: {entity: API_A/Orders}, key: id}\n  b: {odata: {entity: API_B/Products}, key: id}\n"
    )
    document = read_document(f"{HEAD}{streams}".encode(), "erp/manifest.yaml")
    discovery = ManifestConnector(read_manifest(document)).bind({}).discover()
    assert discovery is not None
    first = next(discovery)
    second = discovery.send(Response(404, {}, b"", first.url))
    assert [one.url.removeprefix("https://h.example.com/odata/") for one in (first, second)] == [
        "API_A/$metadata",
        "API_B/$metadata",
    ]
    with pytest.raises(StopIteration) as ended:
        discovery.send(Response(200, {}, SAP, second.url))
    (found,) = ended.value.value
    assert (found.name, found.describe["odata"]["entity"]) == ("a_product", "API_B/A_Product")
