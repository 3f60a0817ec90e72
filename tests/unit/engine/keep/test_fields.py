"""Fields leave a record, and every other byte of it stays as it was sent."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.keep.fields import Rules, hidden_texts, screen_fields, text_of


def screened(raw: str, *, exclude: Sequence[str] = (), hashed: Sequence[str] = ()) -> str:
    rules = Rules.of(
        exclude=[path.split(".") for path in exclude], hashed=[path.split(".") for path in hashed]
    )
    return screen_fields(raw.encode(), rules, lambda text: f"<{text}>").decode()


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        ('{"a":1, "b":2, "c":3}', '{"a":1, "c":3}'),
        ('{"b":2, "a":1}', '{"a":1}'),
        ('{ "a" : 1 , "b" : 2 }', '{ "a" : 1 }'),
        ('{"b":2}', "{}"),
        ('{ "b" : "x" , "b" : [1] }', "{  }"),
        ('{"a":1,"b":2,"b":3,"c":1.10,"b":{}}', '{"a":1,"c":1.10}'),
        ('{"\\u0062":"escaped","a":"\\/"}', '{"a":"\\/"}'),
        ('{"a":"b","c":{"b":1}}', '{"a":"b","c":{"b":1}}'),
        ('{"b":{"x":"}","y":[{"b":1}]},"a":"\\"b\\":1"}', '{"a":"\\"b\\":1"}'),
    ],
)
def test_an_excluded_field_leaves_with_its_comma_wherever_it_stands(raw: str, left: str) -> None:
    assert screened(raw, exclude=["b"]) == left


def test_a_path_leads_into_objects_and_into_each_entry_of_lists() -> None:
    raw = '{"who":{"name":"A","id":7},"lines":[{"name":"B","n":1},[{"name":"C"}],{"n":2}],"name":"stays"}'
    assert (
        screened(raw, exclude=["who.name", "lines.name"])
        == '{"who":{"id":7},"lines":[{"n":1},[{}],{"n":2}],"name":"stays"}'
    )


def test_what_is_hashed_keeps_its_place_and_what_is_equal_stays_equal() -> None:
    raw = '{"id":7,"ref":"7","tags":["a",null,"a"],"deep":{"ref":7.0},"none":null}'
    assert (
        screened(raw, hashed=["id", "ref", "tags", "deep.ref", "none"])
        == '{"id":"<7>","ref":"<7>","tags":["<a>",null,"<a>"],"deep":{"ref":"<7.0>"},"none":null}'
    )


def test_an_object_is_hashed_as_a_whole_whatever_the_order_of_its_names() -> None:
    assert text_of(b'{"b": 1, "a": [2]}') == text_of(b'{"a":[2],"b":1}') == '{"a":[2],"b":1}'
    assert screened('{"who":{"name":"A"},"n":1}', hashed=["who"]) == '{"who":"<{\\"name\\":\\"A\\"}>","n":1}'


def test_a_field_that_is_excluded_and_hashed_is_gone_with_all_that_is_in_it() -> None:
    assert screened('{"a":{"b":1,"c":2},"d":3}', exclude=["a"], hashed=["a", "a.b"]) == '{"d":3}'


def test_a_record_without_the_fields_is_the_very_same_bytes() -> None:
    raw = b'{"a": 1}'
    assert screen_fields(raw, Rules.of(exclude=[["b"]]), str) is raw


def test_deep_nesting_needs_no_recursion() -> None:
    deep = "[" * 50_000 + "]" * 50_000
    assert screened(f'{{"b":{deep},"a":{deep}}}', exclude=["b"]) == f'{{"a":{deep}}}'


NAMES = st.sampled_from(["a", "b", "c", "d/e", "ä", 'q"', "\\"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def plainly(
    value: Any, exclude: set[tuple[str, ...]], hashed: set[tuple[str, ...]], at: tuple[str, ...] = ()
) -> Any:
    """The same by way of parsed data, which forgets spaces and digits."""
    if isinstance(value, list):
        return [plainly(entry, exclude, hashed, at) for entry in value]
    if at in hashed and value is not None:
        return f"<{text_of(json.dumps(value).encode())}>"
    if isinstance(value, dict):
        return {
            name: plainly(below, exclude, hashed, (*at, name))
            for name, below in value.items()
            if (*at, name) not in exclude
        }
    return value


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.dictionaries(NAMES, JSON, max_size=5),
    st.sets(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=3),
    st.sets(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=3),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_any_record_reads_as_if_it_had_been_screened_as_data(
    record: dict[str, Any],
    exclude: set[tuple[str, ...]],
    hashed: set[tuple[str, ...]],
    indent: int | None,
    escaped: bool,
) -> None:
    raw = json.dumps(record, indent=indent, ensure_ascii=escaped).encode()
    found = screen_fields(raw, Rules.of(exclude=exclude, hashed=hashed), lambda text: f"<{text}>")
    assert json.loads(found) == plainly(record, exclude, hashed)


def test_texts_of_hidden_fields_are_known_wherever_they_are() -> None:
    rules = Rules.of(exclude=[["who"]], hashed=[["lines", "name"]])
    record = {"who": {"name": "A", "age": 7}, "lines": [{"name": "B"}, {"n": 1}], "other": "C"}
    assert list(hidden_texts(record, rules)) == ["A", "7", "B"]
