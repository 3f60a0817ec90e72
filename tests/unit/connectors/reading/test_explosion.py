"""Lines become records of their own: with their bytes as sent, and their parent's fields behind them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.connectors.contract import Family
from worker.connectors.reading.explosion import stems_of
from worker.connectors.reading.keys import make_key
from worker.connectors.reading.reader import Reader, Reading
from worker.connectors.reading.shape import Explode, Removed, Shape, TimeField, field_path_of
from worker.errors import NeedsOperator

PARENT = (("order", ("id",)), ("at", ("updated",)))
CURSOR = TimeField((("at",),))


def reader(path: str = "lines", *, by: int = 1, removed: Removed | None = None, **more: Any) -> Reader:
    explode = Explode(field_path_of(path), PARENT, by, removed)
    key = (("order",), ("no",))
    return Reader(Shape(("data",), key, CURSOR, updated_at=CURSOR, explode=explode, total=("total",), **more))


def read(*parents: bytes, by: int = 1, path: str = "lines", **more: Any) -> Reading:
    return reader(path, by=by, **more).read(b'{"data":[' + b",".join(parents) + b'],"total":9}')


def stems(reading: Reading) -> list[str]:
    assert reading.listed is not None
    return [family.stem for family in reading.listed.families]


ORDER = b'{"id":"PO-7","updated":"2026-01-31T08:00:00Z","lines":[{ "no" : 1, "n": 1.50 },{"no":2}, {} ]}'


def test_a_line_keeps_its_bytes_and_gets_the_fields_of_its_order() -> None:
    reading = read(ORDER)
    assert [record.raw for record in reading.records] == [
        b'{ "no" : 1, "n": 1.50,"order":"PO-7","at":"2026-01-31T08:00:00Z"}',
        b'{"no":2,"order":"PO-7","at":"2026-01-31T08:00:00Z"}',
    ]
    first = reading.records[0]
    assert (first.key, first.cursor) == ('["PO-7",1]', datetime(2026, 1, 31, 8, tzinfo=UTC))
    assert [(bad.raw, bad.code) for bad in reading.rejected] == [
        (b'{"order":"PO-7","at":"2026-01-31T08:00:00Z"}', "bad_key")
    ]
    assert (reading.seen.count, reading.seen.total, reading.seen.last) == (1, 9, ORDER)


def test_parents_whose_fields_would_grow_to_gigabytes_are_a_page_too_large() -> None:
    parent = b'{"id":7,"updated":"%s","lines":[%s]}' % (b"x" * 100_000, b",".join([b"{}"] * 400))
    with pytest.raises(NeedsOperator) as caught:
        read(parent, parent)
    assert caught.value.code == "page_too_large"


def test_the_fields_of_the_parent_win_over_those_of_the_same_name() -> None:
    (record,) = read(b'{"id":7,"lines":[{"order":"x","no":1}]}').records
    assert record.key == "[7,1]"


def test_a_whole_list_is_a_family_and_one_that_is_not_said_is_none() -> None:
    told = read(
        b'{"id":7,"lines":[]}', b'{"id":8,"lines":null}', b'{"id":9}', b'{"id":"a","lines":[{"no":1}]}'
    )
    assert stems(told) == ["[7,", '["a",']
    assert stems(read(b'{"id":7,"lines":[]}', by=0)) == []


def test_a_line_whose_key_cannot_be_read_may_be_any_that_is_missing() -> None:
    assert stems(read(b'{"id":7,"lines":[{"no":1},{"no":null}]}')) == []
    assert stems(read(b'{"id":7,"lines":[{"no":1},7]}')) == []
    (bad,) = read(b'{"id":7,"updated":"soon","lines":[{"no":1}]}').rejected
    assert bad.key == "[7,1]"
    assert stems(read(b'{"id":7,"updated":"soon","lines":[{"no":1}]}')) == ["[7,"]


def test_it_silences_its_own_order_and_no_other() -> None:
    reading = read(
        b'{"id":7,"lines":[{"no":1},{"x":1}]}', b'{"id":8,"lines":[{"no":1}]}', b'{"id":9,"lines":[]}'
    )
    assert stems(reading) == ["[8,", "[9,"]
    assert [record.key for record in reading.records] == ["[7,1]", "[8,1]"]
    assert len(reading.rejected) == 1
    twice = read(b'{"id":7,"lines":[{}]}', b'{"id":7,"lines":[]}', b'{"id":8,"lines":[]}')
    assert stems(twice) == ["[8,"], "whichever time its order came"


def test_orders_without_lines_still_move_the_cursor() -> None:
    listed = read(
        b'{"id":7,"updated":"2026-01-31T08:00:00Z","lines":[]}', b'{"id":8,"updated":"2026-01-30T08:00:00Z"}'
    ).listed
    assert listed is not None
    assert listed.reached == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert read(b'{"id":7,"updated":"soon","lines":[]}').listed.reached is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("parent", "code"),
    [
        (b"7", "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"id":7,"lines":"x"}', "not_a_list"),
        (b'{"id":7,"lines":{"no":1}}', "not_a_list"),
        (b'{"id":7.5,"lines":[]}', "bad_key"),
        (b'{"id":null,"lines":[{"no":1}]}', "bad_key"),
    ],
)
def test_a_parent_that_cannot_be_taken_apart_is_set_aside_and_stops_no_other(
    parent: bytes, code: str
) -> None:
    reading = read(parent, b'{"id":8,"lines":[{"no":1}]}')
    assert [(bad.raw, bad.code) for bad in reading.rejected] == [(parent, code)]
    assert [record.key for record in reading.records] == ["[8,1]"]


def test_one_bad_line_stops_no_other() -> None:
    deep = b"[" * 5000 + b"]" * 5000
    parent = (
        b'{"id":7,"lines":[{"no":1},{"no":2,"x":'
        + deep
        + b'},{"no":3,"x":NaN},{"no":4,"x":"\xff"},{"no":5}]}'
    )
    reading = read(parent, b'{"id":8,"lines":[{"no":1,"x":"\\u0000"}]}')
    assert [record.key for record in reading.records] == ["[7,1]", "[7,5]", "[8,1]"]
    assert [bad.code for bad in reading.rejected] == ["nested_too_deeply", "not_json", "not_utf8"]
    assert reading.records[2].exact == b'{"no":1,"x":"\\u0000","order":8,"at":null}'


def test_lines_may_lie_behind_stars_and_come_alone() -> None:
    connection = b'{"id":7,"lines":{"edges":[{"node":{"no":1}},{"node":{"no":2}}]}}'
    assert [record.key for record in read(connection, path="lines.edges.*.node").records] == [
        "[7,1]",
        "[7,2]",
    ]
    assert [record.key for record in read(b'{"id":7,"lines":{"no":1}}', or_one=True).records] == ["[7,1]"]


def test_a_mark_in_the_place_of_an_order_takes_its_lines_along() -> None:
    removed = Removed(("@removed",), (("id",),))
    reading = read(
        b'{"id":7,"@removed":{"reason":"deleted"}}', b'{"id":8,"lines":[{"no":1}]}', removed=removed
    )
    assert reading.listed is not None
    assert reading.listed.families == (Family("[7,", told=True), Family("[8,"))
    assert [record.key for record in reading.records] == ["[8,1]"]


def test_a_stem_is_how_the_keys_of_a_family_begin() -> None:
    for value in ("PO-7", 7, 'a"b', "ü"):
        key = make_key([value, 1])
        assert any(key.startswith(stem) for stem in stems_of(make_key([value]), 1))
        assert make_key([value, "N", 1]).startswith(stems_of(make_key([value, "N"]), 2)[0])


LINES = st.lists(
    st.one_of(
        st.fixed_dictionaries({"no": st.integers(0, 5)}, optional={"x": st.text(max_size=3)}), st.none()
    ),
    max_size=4,
)
PARENTS = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(0, 4) | st.text(max_size=2)},
        optional={"lines": LINES | st.none() | st.just("x"), "updated": st.just("2026-01-31T08:00:00Z")},
    )
    | st.none(),
    max_size=4,
)


@settings(max_examples=200)
@given(parents=PARENTS, spaced=st.booleans())
def test_the_fast_and_the_careful_way_find_the_same_lines(parents: Any, spaced: bool) -> None:
    body = json.dumps({"data": parents}, indent=1 if spaced else None, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    fast, careful = reader().read(body), reader().read(body[:-1] + b',"z":NaN}')
    assert fast.records == careful.records
    assert (fast.rejected, fast.listed) == (careful.rejected, careful.listed)
