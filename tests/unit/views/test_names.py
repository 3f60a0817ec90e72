"""What views and columns are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.views.sql.names import MOST, column_name, prefix_of, slug, unused, view_name
from worker.views.sql.quoting import ident, literal


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Plant Nörd #1", "plant_nord_1"), ("createdAt", "created_at"), ("assetID", "asset_id"), ("HTTPStatus", "http_status"),
        ("Łódź  Straße", "lodz_strasse"), ("__x__", "x"), ("東京", ""), ("", ""), ("a--b..c", "a_b_c"),
    ],
)  # fmt: skip
def test_a_slug_is_of_plain_letters(text: str, wanted: str) -> None:
    assert slug(text) == wanted


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("user", "user_"),
        ("9lives", "_9lives"),
        ("_id", "_id"),
        ("東京", "field"),
        ("-", "field"),
        ("offset", "offset_"),
        ("xmin", "xmin_"),
    ],
)
def test_a_column_needs_no_quotes(field: str, wanted: str) -> None:
    assert column_name(field, ()) == wanted


@given(st.text(), st.sets(st.text()))
def test_any_field_gets_a_name_that_nobody_has(field: str, taken: set[str]) -> None:
    name = column_name(field, taken)
    assert name not in taken
    assert 0 < len(name.encode()) <= MOST
    assert name.isascii()
    assert name.replace("_", "a").isalnum()


def test_what_is_shortened_stays_told_apart() -> None:
    first, second = ("x" * 100 + end for end in "ab")
    assert column_name(first, ()) != column_name(second, ())
    assert view_name("p", first) != view_name("p", second)
    assert len(view_name("p" * 40, "s" * 63, "lines")) <= MOST


def test_a_taken_name_gets_a_number_within_the_length() -> None:
    long = "x" * MOST
    assert unused(long, {long}) == "x" * 61 + "_2"
    assert unused("a", {"a", "a_2"}) == "a_3"


def test_connections_of_the_test_environment_are_told_apart() -> None:
    assert prefix_of("Plant north", 1, test=True) == "test_plant_north"
    assert prefix_of("東京", 7, test=False) == "connection_7"
    assert prefix_of("2nd plant", 7, test=False) == "c_2nd_plant"


def test_quoted_text_can_hold_anything_but_nul() -> None:
    assert ident('a"b') == '"a""b"'
    assert literal("it's") == "'it''s'"
    for quote in (ident, literal):
        with pytest.raises(ValueError, match="NUL"):
            quote("a\0b")
