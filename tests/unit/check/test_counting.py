"""Entries that share a key are seen in an answer, whatever a connection says of its zone."""

import json

from scheduler.connectors.check.counting import doubled
from worker.connectors.contract import Page, Record
from worker.connectors.manifest.model import manifest_in
from worker.parsing.documents import read_document

MANIFEST = """
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: https://shop.example.com
settings: {zone: {required: true, description: Its time zone.}}
streams:
  parts:
    path: /parts
    records: ""
    key: id
    incremental: {field: changed, format: date, zone: "{zone}", param: since}
"""
ENTRIES = [{"id": number, "changed": "2026-06-15 12:00"} for number in (1, 2, 2)]


def page_of(count: int) -> Page:
    return Page([Record(str(number), b"{}", b"") for number in range(count)])


def test_entries_of_one_key_are_counted_where_the_zone_is_a_connections_own() -> None:
    spec = manifest_in(read_document(MANIFEST.encode(), "manifest.yaml")).streams["parts"]
    body = json.dumps(ENTRIES).encode()
    assert doubled(spec, body, page_of(2)) == "3 entries with 2 keys"
    assert doubled(spec, body, page_of(3)) is None
