"""A real OData service, V4 and V2, connected by what its own metadata says."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from connectors.asking import Asking
from servers.systems.cap import PARTS, CapService

from worker.connectors.contract import Found, Gone, Page, Source, Window
from worker.connectors.registry import Registry

pytestmark = pytest.mark.integration

AUTH = {
    "auth": {"basic": {"username": {"secret": "user"}, "password": {"secret": "password"}}},
    "secrets": {"user": {}, "password": {}},
}


def source_of(cap: CapService, version: int, streams: dict[str, Any] | None = None) -> Source:
    base_url = cap.base_url.replace("/v4/", f"/v{version}/")
    describe = {**AUTH, **({"streams": streams} if streams else {})}
    return Registry.load().get("odata").bind({"base_url": base_url, "describe": describe})


def asking(cap: CapService, source: Source) -> Asking:
    return Asking(source, {"user": cap.username, "password": cap.password})


def found_at(cap: CapService, version: int) -> dict[str, Found]:
    source = source_of(cap, version)
    discovery = source.discover()
    assert discovery is not None
    request = next(discovery)
    with pytest.raises(StopIteration) as ended:
        discovery.send(asking(cap, source).answer(request))
    return {found.name: found for found in ended.value.value}


@pytest.fixture(params=[4, 2], ids=["v4", "v2"])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def parts(cap: CapService, version: int) -> Iterator[Asking]:
    """The parts, in pages of 100, as the metadata describes them."""
    described = json.loads(json.dumps(found_at(cap, version)["parts"].describe))
    described["odata"]["size"] = 100
    return asking(cap, source_of(cap, version, {"parts": described}))


def keys(pages: list[Page]) -> list[str]:
    return [record.key for page in pages for record in page.records]


def test_the_metadata_names_entity_sets_with_keys_and_the_field_of_changes(
    cap: CapService, version: int
) -> None:
    found = found_at(cap, version)
    assert {"parts", "assets", "work_orders"} <= found.keys()
    assert (found["parts"].key, found["parts"].cursor) == (("ID",), "modifiedAt")
    assert found["work_orders"].describe["odata"]["types"]["ID"] == "guid"
    assert "price" in found["parts"].fields


def test_every_stream_that_was_found_can_be_connected_and_read(cap: CapService, version: int) -> None:
    found = found_at(cap, version)
    # Lines are named, but the service lists them with their order only.
    listed = ("parts", "assets", "work_orders")
    streams = {name: dict(found[name].describe) for name in listed}
    asked = asking(cap, source_of(cap, version, streams))
    for name in streams:
        asked.records(name, Window(since=datetime.fromisoformat("2020-01-01T00:00:00Z")))


def test_all_parts_come_in_pages_behind_the_last_key(parts: Asking, cap: CapService) -> None:
    pages = list(parts.pages("parts"))
    assert keys(pages) == [row["ID"] for row in cap.rows("Parts")]
    assert len(pages) >= PARTS // 100
    assert all(page.records[-1].updated_at is not None for page in pages if page.records)


def test_what_is_removed_while_pages_are_read_hides_no_other(
    parts: Asking, cap: CapService, version: int
) -> None:
    mine = [f"Q-{version}-{at:03d}" for at in range(250)]
    cap.create("Parts", [{"ID": key, "name": "Passing"} for key in mine])
    seen: list[str] = []
    for page in parts.pages("parts"):
        seen += [record.key for record in page.records]
        if any(key in seen for key in mine) and mine[0] in seen and mine:
            cap.delete("Parts", mine.pop(0))
    assert set(seen) >= {row["ID"] for row in cap.rows("Parts")}
    for key in mine:
        cap.delete("Parts", key)


def test_an_increment_holds_what_was_edited_since_and_nothing_else(
    parts: Asking, cap: CapService, version: int
) -> None:
    since = max(datetime.fromisoformat(row["modifiedAt"]) for row in cap.rows("Parts")) + timedelta(
        milliseconds=1
    )
    cap.edit("Parts", f"P-0001{version}", {"name": "O'Neil's & Łódź"})
    (record,) = parts.records("parts", Window(since=since))
    assert record.key == f"P-0001{version}"
    assert json.loads(record.raw)["name"] == "O'Neil's & Łódź"


def test_one_part_is_as_it_is_in_the_list_and_one_that_isnt_there_is_gone(
    parts: Asking, cap: CapService, version: int
) -> None:
    key = f"it's {version}/x"
    cap.create("Parts", [{"ID": key, "name": "Quoted"}])
    listed = {record.key: record for record in parts.records("parts")}
    (found,) = parts.one("parts", key).records
    assert (found.key, found.digest) == (key, listed[key].digest)
    assert parts.one("parts", "NO'SUCH").gone == [Gone("NO'SUCH", "not_found")]


def test_a_sweep_asks_for_keys_alone(parts: Asking, cap: CapService) -> None:
    swept = parts.source.stream("parts").sweep()
    assert swept is not None
    request = swept.request(Window(), None)
    assert dict(request.params)["$select"] == "ID"
    page = swept.read(parts.answer(request), Window(), None)
    assert [record.key for record in page.records] == [row["ID"] for row in cap.rows("Parts")][
        : len(page.records)
    ]
