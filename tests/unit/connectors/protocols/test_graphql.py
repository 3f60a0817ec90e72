"""The protocol graphql: a query as it stands, and variables in which places are named."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Position, Response, Source, Window
from worker.connectors.manifest.model import read_manifest
from worker.connectors.manifest.schema import schema
from worker.errors import InvalidInput, NeedsOperator
from worker.parsing.documents import read_document, validate

MANIFEST = """\
manifest: 1
system: house
title: House
protocol: graphql
base_url: https://h.example.com
settings: {warehouse: {description: Which one.}}
defaults:
  key: id
  paging: {cursor: {param: after, path: data.orders.pageInfo.endCursor, more: data.orders.pageInfo.hasNextPage, size_param: first, size: 2}}
streams:
  orders:
    records: data.orders.edges.*.node
    query: "query($first: Int, $after: String) { orders(first: $first) { edges { node {id} } } }"
    variables: {warehouse: "{warehouse}"}
    incremental: {field: at, param: from}
"""


@pytest.fixture
def source() -> Source:
    document = read_document(MANIFEST.encode(), "house/manifest.yaml")
    validate(document, schema())
    return ManifestConnector(read_manifest(document)).bind({"warehouse": "W1"})


def asked(source: Source, window: Window, position: Position | None) -> Any:
    request = source.stream("orders").request(window, position)
    assert (request.method, request.url) == ("POST", "https://h.example.com/graphql")
    assert request.body is not None
    return json.loads(request.body)


def answer(more: bool, *ids: str) -> Response:
    orders = {
        "edges": [{"node": {"id": key}} for key in ids],
        "pageInfo": {"hasNextPage": more, "endCursor": "c1"},
    }
    return Response(
        200, {}, json.dumps({"data": {"orders": orders}}).encode(), "https://h.example.com/graphql"
    )


def test_the_query_is_sent_as_it_stands_with_its_variables(source: Source) -> None:
    body = asked(source, Window(since=datetime(2026, 1, 31, tzinfo=UTC)), None)
    assert body["query"].endswith("edges { node {id} } } }")
    assert body["variables"] == {"warehouse": "W1", "from": "2026-01-31T00:00:00.000000Z", "first": 2}


def test_pages_follow_each_other_until_there_is_no_more(source: Source) -> None:
    stream = source.stream("orders")
    page = stream.read(answer(True, "a", "b"), Window(), None)
    assert [record.key for record in page.records] == ["a", "b"]
    assert asked(source, Window(), page.next)["variables"] == {"warehouse": "W1", "first": 2, "after": "c1"}
    assert stream.read(answer(False, "c", "d"), Window(), page.next).next is None


def test_errors_of_a_200_are_a_failure_with_the_systems_words(source: Source) -> None:
    body = json.dumps({"data": None, "errors": [{"message": "Field 'ids' doesn't exist"}]}).encode()
    failure = source.failure(Response(200, {}, body, "https://h.example.com/graphql"))
    assert isinstance(failure, NeedsOperator)
    assert "Field 'ids' doesn't exist" in failure.message
    assert source.failure(answer(False, "a")) is None


ALONE = """\
    single:
      query: "query($id: ID!, $of: String) { order(id: $id, of: $of) {id} }"
      variables: {id: "{key}", of: "{warehouse}"}
      record: data.order
      or_null: true
"""


def alone(text: str = ALONE) -> Source:
    document = read_document((MANIFEST + text).encode(), "house/manifest.yaml")
    validate(document, schema())
    return ManifestConnector(read_manifest(document)).bind({"warehouse": "W1"})


def test_one_record_is_asked_for_by_a_query_of_its_own() -> None:
    request = alone().stream("orders").single("7")
    assert request is not None
    assert (request.method, request.url) == ("POST", "https://h.example.com/graphql")
    body = json.loads(request.body or b"")
    assert body["query"].endswith("(id: $id, of: $of) {id} }")
    assert body["variables"] == {"id": "7", "of": "W1"}


@pytest.mark.parametrize(
    ("body", "records", "gone", "rejected"),
    [
        (b'{"data":{"order":{"id":"7"}}}', 1, 0, 0),
        (b'{"data":{"order":null}}', 0, 1, 0),
        (b'{"data":{}}', 0, 0, 1),
        (b'{"data":null}', 0, 0, 1),
    ],
)
def test_null_in_its_place_says_that_it_is_gone(body: bytes, records: int, gone: int, rejected: int) -> None:
    page = alone().stream("orders").read_single(Response(200, {}, body, "https://h.example.com/graphql"), "7")
    assert (len(page.records), len(page.gone), len(page.rejected)) == (records, gone, rejected)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("    single: {}\n", "asked for by a query"),
        (ALONE.replace("{warehouse}", "{warehose}"), "no setting 'warehose'"),
    ],
)
def test_a_record_that_no_query_asks_for_is_told(said: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        alone(said)
