"""Records behind `*` and behind numbers: as they were sent, whichever way they are read."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.connectors.reading.fields import walk
from worker.connectors.reading.listing import Listing
from worker.connectors.reading.reader import Reader
from worker.connectors.reading.shape import FieldPath, Shape, TimeField, field_path_of
from worker.connectors.reading.single import record_in
from worker.connectors.reading.split import slices
from worker.errors import Transient

ORDERS = Shape(field_path_of("data.orders.edges.*.node"), (("id",),))


def raws(body: bytes, path: str, **more: Any) -> list[bytes]:
    reading = Reader(Shape(field_path_of(path), (("id",),), **more)).read(body)
    return [each.raw for each in (*reading.records, *reading.rejected)]


def test_the_records_of_a_connection_of_graphql_keep_their_bytes() -> None:
    body = (
        b'{"data":{"orders":{"edges":[{"cursor":"a","node":{ "id" : 1, "n": 1.50 }},{"node":{"id":2}}],'
        b'"pageInfo":{"endCursor":"b","hasNextPage":true}}}}'
    )
    pointer, more = (
        field_path_of("data.orders.pageInfo.endCursor"),
        field_path_of("data.orders.pageInfo.hasNextPage"),
    )
    reading = Reader(ORDERS, pointer, more).read(body)
    assert [record.raw for record in reading.records] == [b'{ "id" : 1, "n": 1.50 }', b'{"id":2}']
    assert (reading.seen.count, reading.seen.pointer, reading.seen.more) == (2, "b", True)


def test_a_star_may_stand_anywhere_and_more_than_once() -> None:
    groups = b'[{"items":[{"id":1},{"id":2}]},{"items":null},{},null,{"items":[]},{"items":[{"id":3}]}]'
    expected = [b'{"id":1}', b'{"id":2}', b'{"id":3}']
    assert raws(b'{"groups":' + groups + b"}", "groups.*.items.*") == expected
    assert raws(groups, "*.items.*") == expected
    assert raws(b"[[" + b",".join(expected) + b"],[]]", "*.*") == expected
    assert raws(b'{"rows":[{"id":1}]}', "rows.*") == raws(b'{"rows":[{"id":1}]}', "rows") == [b'{"id":1}']


def test_an_entry_without_its_record_is_set_aside() -> None:
    reading = Reader(ORDERS).read(b'{"data":{"orders":{"edges":[{"node":null},{},null,{"node":{"id":4}}]}}}')
    assert [record.key for record in reading.records] == ["4"]
    assert [(bad.raw, bad.code) for bad in reading.rejected] == [(b"null", "not_an_object")] * 3
    assert reading.seen.count == 4


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{"orders":{"edges":{"node":{"id":1}}}}}',
        b'{"data":{"orders":null}}',
        b'{"data":{"orders":{"edges":[7]}}}',
        b'{"data":{"orders":{"edges":[{"node":{"id":1}}',
        b"<html>",
        b"",
    ],
)
def test_a_page_without_the_list_is_none(body: bytes) -> None:
    with pytest.raises(Transient, match=r"expected at 'data\.orders\.edges\.\*\.node'") as caught:
        Reader(ORDERS).read(body)
    assert caught.value.code == "malformed_page"


def test_one_bad_record_behind_a_star_stops_no_other() -> None:
    deep = b"[" * 5000 + b"]" * 5000
    body = (
        b'{"data":{"orders":{"edges":[{"node":{"id":1}},{"node":{"id":2,"x":'
        + deep
        + b'}},{"node":{"id":3,"x":NaN}},'
        b'{"node":{"id":4}}]}}}'
    )
    reading = Reader(ORDERS).read(body)
    assert [record.key for record in reading.records] == ["1", "4"]
    assert [bad.code for bad in reading.rejected] == ["nested_too_deeply", "not_json"]


def test_a_record_that_comes_alone_may_stand_in_the_place_of_the_list() -> None:
    assert raws(b'{"d": {"id":1} }', "d", or_one=True) == [b'{"id":1}']
    assert raws(b'{"d":[{"id":1},{"id":2}]}', "d", or_one=True) == [b'{"id":1}', b'{"id":2}']
    assert raws(b' {"id":1}', "", or_one=True) == [b'{"id":1}']
    assert raws(b'{"d": {"id":1,"x":NaN} }', "d", or_one=True) == [b'{"id":1,"x":NaN}']
    for wrong in (b'{"d":null}', b'{"d":"x"}', b"{}"):
        with pytest.raises(Transient, match="expected at 'd'"):
            raws(wrong, "d", or_one=True)


def test_a_number_in_a_path_is_a_place_in_a_list() -> None:
    time = TimeField((("changed", "1"),))
    reader = Reader(Shape(("result", "0", "rows"), (("ref", "0"),), time, updated_at=time), ("result", "1"))
    body = b'{"result":[{"rows":[{"ref":[7,"x"],"changed":[0,"2026-01-31T08:00:00Z"]}]},"next"]}'
    for answer in (body, body.replace(b'"x"', b'"\\u0000"'), body.replace(b'"x"', b"NaN")):
        reading = reader.read(answer)
        assert [entry.key for entry in (*reading.records, *reading.rejected)][:1] in (["7"], [None])
        assert reading.seen.pointer == "next"
    (record,) = reader.read(body).records
    assert record.cursor is not None


def test_a_number_may_be_the_name_of_a_field_all_the_same() -> None:
    reader = Reader(Shape(("result", "0"), (("ref", "0"),)))
    assert [
        record.key for record in reader.read(b'{"result":{"0":[{"ref":{"0":"a"}},{"ref":["b"]}]}}').records
    ] == [
        "a",
        "b",
    ]


def test_a_list_that_is_too_short_holds_nothing_there() -> None:
    reader = Reader(Shape(("result", "1"), (("id",),)))
    with pytest.raises(Transient, match=r"expected at 'result\.1'"):
        reader.read(b'{"result":[[{"id":1}]]}')
    assert record_in(b'{"result":[{"id":1}]}', ("result", "0")) == b'{"id":1}'
    assert record_in(b'{"result":[]}', ("result", "0")) is None


LEAVES = st.one_of(
    st.none(), st.integers(0, 3), st.just({}), st.fixed_dictionaries({"id": st.integers(0, 9)})
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=12,
)
PATHS = st.lists(st.sampled_from(["*", "*", "a", "b"]), min_size=1, max_size=4).map(tuple)


@settings(max_examples=300)
@given(tree=TREES, path=PATHS, spaced=st.booleans())
def test_the_fast_and_the_careful_way_find_the_same_records(tree: Any, path: FieldPath, spaced: bool) -> None:
    body = json.dumps({"a": tree}, indent=1 if spaced else None).encode()
    reader = Reader(Shape(("a", *path), (("id",),)))
    found = [_found(reader, answer) for answer in (body, body[:-1] + b',"z":NaN}')]
    assert found[0] == found[1]


def _found(reader: Reader, body: bytes) -> Any:
    try:
        reading = reader.read(body)
    except Transient as exc:
        return exc.code
    return [json.loads(each.raw) for each in (*reading.records, *reading.rejected)]


@settings(max_examples=300)
@given(tree=TREES, path=st.lists(st.sampled_from(["0", "1", "a", "b"]), min_size=1, max_size=4).map(tuple))
def test_places_in_lists_are_found_alike_in_bytes_and_in_plain_data(tree: Any, path: FieldPath) -> None:
    body = json.dumps(tree).encode()
    raw = slices(body, {path}).get(path)
    assert (None if raw is None else json.loads(raw)) == walk(tree, path)


def test_a_path_without_a_star_is_cut_as_it_always_was() -> None:
    assert Listing(("data",)).is_plain
    assert Listing(("rows", "*")).is_plain
    assert not Listing(("edges", "*", "node")).is_plain
