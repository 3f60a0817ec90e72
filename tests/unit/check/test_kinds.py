"""Which streams a check is tried with: one of each kind, by what matters to it."""

import json
from typing import Any

from scheduler.connectors.check import kinds
from worker.connectors.manifest.model import manifest_in
from worker.parsing.documents import read_document

CHANGES = {"incremental": {"field": "at", "param": "since"}}
PAGED = {"paging": {"page": {"param": "page", "size_param": "limit", "size": 100}}}


def streams(**said: dict[str, Any]) -> Any:
    data = {
        "manifest": 1,
        "system": "plain",
        "title": "Plain",
        "protocol": "rest",
        "base_url": "https://example.com",
        "streams": {
            name: {"path": f"/{name}", "records": "items", "key": "id", **each} for name, each in said.items()
        },
    }
    return manifest_in(read_document(json.dumps(data).encode(), "manifest.json")).streams


def test_names_paths_and_larger_pages_make_no_other_kind() -> None:
    larger = {"page": {**PAGED["paging"]["page"], "size": 500}}
    found = streams(a=PAGED, b={**PAGED, "key": "no"}, c={"paging": larger, "path": "/other"})
    assert kinds.kinds(found, kinds.whole) == ["a"]


def test_what_a_check_does_not_look_at_makes_no_other_kind_for_it() -> None:
    found = streams(a=PAGED, b={**PAGED, **CHANGES}, c=CHANGES, d={**PAGED, "key": ["id", "no"]})
    assert kinds.kinds(found, kinds.whole) == ["a", "b", "c", "d"]
    assert kinds.kinds(found, kinds.cursor) == ["a", "b", "c"]
    assert kinds.kinds(found, kinds.pages) == ["a", "c"]
    assert kinds.kinds(found, kinds.asking) == ["a"]


def test_who_is_asked_otherwise_is_another_kind_for_every_check() -> None:
    found = streams(a={}, b={"method": "POST", "body": {"all": True}})
    for matters in (kinds.whole, kinds.cursor, kinds.pages, kinds.asking):
        assert kinds.kinds(found, matters) == ["a", "b"]
