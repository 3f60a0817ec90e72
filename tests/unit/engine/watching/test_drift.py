"""Which fields records have: names and types of a few records, two levels down."""

import json
from typing import Any

import pytest

from worker.connectors.contract import Page, Record
from worker.engine.watching.drift import (
    SAMPLE,
    WIDE,
    _paths,
    kind_of_text,
    kinds_of,
    looks_like,
    names,
    sampled,
    shown,
    signature_of,
)


def fields(record: dict[str, Any]) -> dict[str, str]:
    return {shown(path): names(kind)[0] for path, kind in _paths(signature_of(record))}


def page(count: int, raw: bytes = b'{"id": 1}') -> Page:
    return Page([Record(str(number), raw, b"") for number in range(count)])


def test_fields_are_named_with_their_types() -> None:
    record = {"id": 7, "cost": 1.5, "open": True, "title": "Pump", "note": None, "tags": ["a"]}
    assert fields(record) == {
        "id": "integer", "cost": "number", "open": "boolean", "title": "text", "note": "null", "tags": "list",
    }  # fmt: skip


def test_objects_and_the_entries_of_lists_are_looked_into_two_levels_down() -> None:
    record = {"asset": {"site": {"plan": {"deeper": 1}}}, "lines": [{"sku": "A"}, {"other": 1}]}
    assert fields(record) == {
        "asset": "object", "asset.site": "object", "asset.site.plan": "object", "lines": "list", "lines[].sku": "text",
    }  # fmt: skip


def test_an_object_that_is_a_map_by_some_id_has_no_fields() -> None:
    assert fields({"by_id": {str(number): number for number in range(WIDE + 1)}}) == {"by_id": "object"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2026-11-26", "date"),
        ("2026-11-26T08:00:00Z", "time"),
        ("2026-11-26 08:00:00.5+01:00", "time"),
        ("2026-11-26 is the day", "text"),
        ("PO-2026-11", "text"),
        ("", "text"),
    ],
)
def test_texts_that_are_dates_and_times_are_told_apart(text: str, kind: str) -> None:
    assert names(kind_of_text(text)) == [kind]


def test_types_survive_being_kept() -> None:
    assert names(kinds_of(["text", "null", "of a later version"])) == ["null", "text"]


def test_an_example_says_what_a_value_looks_like_and_never_what_it_is() -> None:
    values = ["Dora Planted", "2026-11-26", 4711, 1.5, True, None, {"name": "Dora"}, ["Dora"]]
    said = [looks_like(value) for value in values]
    assert said == [
        "text of 12", "a date", "whole number of 4 digits", "number", "true or false", "nothing", "object of 1", "list of 1",
    ]  # fmt: skip
    assert "Dora" not in json.dumps(said)


def test_few_records_are_all_looked_at_and_of_many_some_from_the_whole_page() -> None:
    assert len(list(sampled(page(3), SAMPLE))) == 3
    assert len(list(sampled(page(500), SAMPLE))) <= SAMPLE
    assert len(list(sampled(page(500), SAMPLE))) >= SAMPLE - 1


def test_a_record_that_cannot_be_read_and_one_that_is_huge_are_passed_over() -> None:
    assert list(sampled(page(2, b'{"n": NaN}'), SAMPLE)) == []
    assert len(list(sampled(page(8, b'{"n": "' + b"x" * 200_000 + b'"}'), SAMPLE))) == 1
