"""Canonical keys: one text per record, never the same for two."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.reading.keys import MAX_BYTES, MAX_CHARACTERS, make_key
from worker.errors import BadRecord

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
PART = TEXT | st.integers(-(2**63), 2**64)


def test_one_field_is_the_text_or_the_digits() -> None:
    assert make_key(["WO-7"]) == "WO-7"
    assert make_key([7]) == "7"
    assert make_key([-7]) == "-7"


def test_several_fields_are_a_json_array() -> None:
    assert make_key(["1001", "BEDFORD", 3, 'ü"']) == '["1001","BEDFORD",3,"ü\\""]'


@pytest.mark.parametrize(
    "values",
    [
        [None], [True], [1.0], [{}], [[]], [""], ["a\0"], ["\ud800"], [10**100], ["x" * (MAX_CHARACTERS + 1)],
        ["ü" * (MAX_BYTES // 2 + 1)], ["a", None], ["a", False], ["a", "b\0"], ["a", "\ud800"], ["a", 10**400],
    ],
)  # fmt: skip
def test_what_can_name_no_record_is_refused(values: list[object]) -> None:
    with pytest.raises(BadRecord) as caught:
        make_key(values)
    assert caught.value.code == "bad_key"


def test_the_longest_key_fits() -> None:
    assert len(make_key(["x" * MAX_CHARACTERS])) == MAX_CHARACTERS


@given(st.lists(PART, min_size=2, max_size=4), st.lists(PART, min_size=2, max_size=4))
def test_two_composite_keys_are_equal_only_if_their_fields_are(
    first: list[object], second: list[object]
) -> None:
    assert (make_key(first) == make_key(second)) == (first == second)
    assert json.loads(make_key(first)) == first
