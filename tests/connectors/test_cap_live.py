"""Does a manifest alone, written by a user, sync a real OData service? Asked page by page, without the engine."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from connectors.asking import Asking
from servers.systems.cap import PARTS, CapService

from worker.connectors.contract import Gone, Record, Window
from worker.connectors.registry import Registry
from worker.errors import NeedsOperator

pytestmark = pytest.mark.integration

DEFAULT_PAGE = 100
"""How many records the service sends unless it is told otherwise."""


def ask(cap: CapService, *, password: str | None = None) -> Asking:
    registry = Registry.load([Path(__file__).parent])
    assert not registry.problems()
    source = registry.get("cap").bind({"base_url": cap.base_url, "username": cap.username})
    return Asking(source, {"password": password or cap.password})


def contents(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [json.loads(record.raw) for record in records]


def newest(cap: CapService) -> datetime:
    return max(datetime.fromisoformat(row["modifiedAt"]) for row in cap.rows("Parts"))


def test_all_parts_are_read_by_relative_links_and_equal_the_service(cap: CapService) -> None:
    pages = list(ask(cap).pages("parts"))

    records = [record for page in pages for record in page.records]
    assert len(records) == cap.count("Parts") >= PARTS
    assert len(pages) == -(-cap.count("Parts") // DEFAULT_PAGE)
    assert pages[0].total == cap.count("Parts")
    assert contents(records) == cap.rows("Parts")
    assert [record.key for record in records] == [row["ID"] for row in cap.rows("Parts")]


def test_an_increment_holds_what_was_edited_and_made_since(cap: CapService) -> None:
    since = newest(cap) + timedelta(milliseconds=1)
    cap.edit("Parts", "P-00007", {"onHand": 4711})
    cap.create("Parts", [{"ID": "P-NEW", "name": "Made since", "onHand": 1, "price": "0.10"}])

    found = {record.key: record for record in ask(cap).records("parts", Window(since=since))}

    assert set(found) == {"P-00007", "P-NEW"}
    assert contents([found["P-00007"]])[0]["onHand"] == 4711
    assert all(record.cursor >= since for record in found.values() if isinstance(record.cursor, datetime))


def test_records_at_exactly_the_bound_belong_to_the_increment(cap: CapService) -> None:
    bound = newest(cap)
    expected = {r["ID"] for r in cap.rows("Parts") if datetime.fromisoformat(r["modifiedAt"]) >= bound}
    assert {record.key for record in ask(cap).records("parts", Window(since=bound))} == expected


def test_an_edit_during_the_walk_moves_no_page(cap: CapService) -> None:
    expected, seen = {row["ID"] for row in cap.rows("Parts")}, []
    for page in ask(cap).pages("parts"):
        seen += [record.key for record in page.records]
        cap.edit("Parts", seen[0], {"name": f"Touched after {len(seen)}"})

    assert len(seen) == len(expected)
    assert set(seen) == expected


def test_a_wrong_password_needs_a_person(cap: CapService) -> None:
    with pytest.raises(NeedsOperator) as refused:
        ask(cap, password="not-the-password").records("parts")

    assert refused.value.code == "auth_refused"
    assert "not-the-password" not in str(refused.value)


def test_one_part_is_read_as_it_is_in_the_list_and_one_that_is_not_there_is_gone(cap: CapService) -> None:
    asking = ask(cap)
    listed = {record.key: record for record in asking.records("parts")}
    key = next(iter(listed))
    (found,) = asking.one("parts", key).records
    assert (found.key, found.digest, found.version) == (key, listed[key].digest, listed[key].version)
    assert asking.one("parts", "NO-SUCH-PART").gone == [Gone("NO-SUCH-PART", "not_found")]
