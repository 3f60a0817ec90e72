"""Which columns a table has, and of what type."""

import pytest

from worker.connectors.manifest.views.tables import DeclaredColumn, TableTraits
from worker.views.fields import seen_in, type_of
from worker.views.sql.columns import MOST_COLUMNS, Column, grown, relations
from worker.views.sql.kinds import kind_of


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        ({"integer"}, "number"), ({"integer", "number"}, "number"), ({"number", "null"}, "number"), ({"boolean"}, "boolean"),
        ({"date"}, "date"), ({"time"}, "time"), ({"date", "time"}, "text"), ({"time", "text"}, "text"),
        ({"integer", "text"}, "text"), ({"boolean", "integer"}, "text"), ({"object", "list"}, "json"),
        ({"object", "text"}, "text"), ({"null"}, None), (set(), None),
    ],
)  # fmt: skip
def test_a_kind_holds_all_that_was_seen(types: set[str], kind: str | None) -> None:
    assert kind_of("field", types) == kind


@pytest.mark.parametrize("name", ["id", "asset_id", "assetId", "assetID", "ID"])
def test_whole_numbers_that_name_something_are_bigint(name: str) -> None:
    assert kind_of(name, {"integer"}) == "integer"
    assert kind_of("paid", {"integer"}) == "number"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (True, "boolean"), (1, "integer"), (1.5, "number"), (None, "null"), ({}, "object"), ([], "list"), ("x", "text"),
        ("2026-03-01", "date"), ("2026-02-30", "text"), ("2026-03-01T10:00", "time"), ("2026-03-01 10:00:00.5+02", "time"),
        ("2026-03-01T10:00:00Z", "time"), ("20260301", "text"), ("12:00", "text"), ("2026-03-01T", "text"),
    ],
)  # fmt: skip
def test_a_value_is_told_by_what_it_is(value: object, word: str) -> None:
    assert type_of(value) == word


def test_columns_stay_and_new_ones_follow() -> None:
    known = (Column("b", ("b",), "number"), Column("a", ("a",), "text"))
    found = grown(known, TableTraits(), {("a",): {"integer"}, ("c",): {"text"}, ("b",): {"text"}})
    assert found == (*known, Column("c", ("c",), "text"))


def test_a_declared_type_counts_more_than_what_was_seen() -> None:
    table = TableTraits(
        columns=(DeclaredColumn("mail", ("contact", "email"), "text"), DeclaredColumn("b", ("b",), "date"))
    )
    found = grown((Column("b", ("b",), "text"),), table, {("b",): {"text"}})
    assert found == (
        Column("b", ("b",), "date", declared=True),
        Column("mail", ("contact", "email"), "text", declared=True),
    )


def test_a_record_whose_keys_are_data_makes_no_table_of_thousands() -> None:
    seen = {(f"day {n}",): {"number"} for n in range(3000)}
    assert len(grown((), TableTraits(), seen)) == MOST_COLUMNS


def test_lists_of_objects_are_tables_and_other_lists_are_not() -> None:
    seen = seen_in(
        [
            '{"lines": [{"n": 1}, {"m": "x"}, 5], "tags": ["a"], "empty": [], "deep": {"list": [{"x": 1}]}}',
            "[1]",
        ]
    )
    found = relations({}, TableTraits(), seen)
    assert list(found) == [(), ("lines",)]
    assert [column.name for column in found[("lines",)].columns] == ["n", "m"]
    assert [column.kind for column in found[()].columns] == ["json"] * 4


def test_declared_lines_are_a_table_before_any_was_seen() -> None:
    assert list(relations({}, TableTraits(lines=(("lines",),)), {})) == [(), ("lines",)]


def test_names_that_no_column_can_have_are_left_out() -> None:
    assert grown((), TableTraits(), {("",): {"text"}, ("a\0b",): {"text"}, ("*",): {"text"}}) == ()
