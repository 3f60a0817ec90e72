"""Objects of JSON that are read once for as long as their text stays the same."""

import json

from worker.parsing.given import Given, Rows


def test_the_same_text_of_a_row_is_the_same_object() -> None:
    rows, text = Rows(), '{"url": "https://erp.example.com", "wide": 12345678901234567890}'
    first = rows.read(1, text)
    assert rows.read(1, "".join(text)) is first
    assert first == json.loads(text)


def test_another_text_is_read_anew_and_has_another_key() -> None:
    rows = Rows()
    before, after = rows.read(1, '{"a": 1}'), rows.read(1, '{"a": 1.0}')
    assert after is not before
    assert after.key != before.key
    assert rows.read(2, '{"a": 1}').key == before.key, (
        "connections that say the same share what is made of it"
    )


def test_what_was_not_asked_for_longest_is_forgotten_first() -> None:
    rows = Rows(most=30)
    kept, gone = rows.read(1, '{"a": 1}'), rows.read(2, '{"b": 2}')
    rows.read(1, '{"a": 1}')
    rows.read(3, '{"c": "so that it is full"}')
    assert rows.read(3, '{"c": "so that it is full"}')["c"]
    assert rows.read(2, '{"b": 2}') is not gone
    assert isinstance(kept, Given)


def test_one_that_is_larger_than_all_may_be_is_kept_alone() -> None:
    rows = Rows(most=5)
    large = rows.read(1, '{"a": "larger than that"}')
    assert rows.read(1, '{"a": "larger than that"}') is large
