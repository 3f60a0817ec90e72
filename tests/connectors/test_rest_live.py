"""A real service that has nothing to do with Headrace, described as a plain REST API by a connection alone."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from connectors.asking import Asking
from servers.systems.cap import CapService

from worker.connectors.contract import Window
from worker.connectors.registry import Registry

pytestmark = pytest.mark.integration

DESCRIBE: Mapping[str, Any] = {
    "auth": {"basic": {"username": {"secret": "user"}, "password": {"secret": "password"}}},
    "secrets": {"user": {}, "password": {}},
    "errors": {"words": ["error.message"]},
    "defaults": {
        "records": "value",
        "key": "ID",
        "conditions": {"param": "$filter", "join": " and ", "quote": "'"},
        "incremental": {"field": "modifiedAt", "since": "modifiedAt ge {value}"},
    },
    "streams": {
        "parts": {
            "path": "/Parts",
            "params": {"$orderby": "ID"},
            "paging": {"keyset": {"order": "ID", "behind": "ID gt '{0}'", "size": 100, "size_param": "$top"}},
        },
        "assets": {"path": "/Assets", "paging": {"next_link": {"path": ["@odata.nextLink"]}}},
    },
}


@pytest.fixture
def described(cap: CapService) -> Asking:
    source = Registry.load().get("rest").bind({"base_url": cap.base_url, "describe": DESCRIBE})
    return Asking(source, {"user": cap.username, "password": cap.password})


@pytest.mark.parametrize(("stream", "entity"), [("parts", "Parts"), ("assets", "Assets")])
def test_all_records_come_once(described: Asking, cap: CapService, stream: str, entity: str) -> None:
    found = [record.key for record in described.records(stream, Window())]
    assert sorted(found) == sorted(str(row["ID"]) for row in cap.rows(entity))


def test_what_was_edited_since_comes_alone(described: Asking, cap: CapService) -> None:
    changed = [datetime.fromisoformat(row["modifiedAt"]) for row in cap.rows("Parts")]
    cap.edit("Parts", "P-00017", {"name": "It's 5 o'clock"})
    [record] = described.records("parts", Window(since=max(changed) + timedelta(milliseconds=1)))
    assert (record.key, json.loads(record.raw)["name"]) == ("P-00017", "It's 5 o'clock")
