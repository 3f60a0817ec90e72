"""Answers whose rows are lists, with the names of their columns beside them."""

import pytest

from worker.connectors.reading.reader import Reader
from worker.connectors.reading.shape import Shape, TimeField, field_path_of
from worker.errors import NeedsOperator, Transient


def reader_of(rows: str = "rows", columns: str = "columns") -> Reader:
    shape = Shape(
        field_path_of(rows),
        (("id",),),
        cursor=TimeField((("at",),)),
        columns=field_path_of(columns),
        total=("count",) if rows else None,
    )
    return Reader(shape)


def test_each_row_becomes_a_record_whose_values_are_as_they_were_sent() -> None:
    body = b'{"columns":["id","at","na\\"me"],"count":9,"rows":[[1,"2026-01-31T08:00:00Z",{"a": 1.50}],[2,null,"x"]]}'
    reading = reader_of().read(body)
    assert [record.raw for record in reading.records] == [
        b'{"id":1,"at":"2026-01-31T08:00:00Z","na\\"me":{"a": 1.50}}',
        b'{"id":2,"at":null,"na\\"me":"x"}',
    ]
    assert [record.cursor is None for record in reading.records] == [False, True]
    assert (reading.seen.count, reading.seen.total, reading.seen.last) == (2, 9, reading.records[-1].raw)


def test_names_may_stand_in_each_entry_of_a_list() -> None:
    body = b'{"meta":{"view":{"columns":[{"fieldName":"id"},{"fieldName":"at"}]}},"data":[["a",null]]}'
    records = reader_of("data", "meta.view.columns.*.fieldName").read(body).records
    assert [record.raw for record in records] == [b'{"id":"a","at":null}']


def test_the_first_row_may_hold_the_names() -> None:
    reader = reader_of("", "")
    assert [record.key for record in reader.read(b'[["id","at"],["7",null],["8",null]]').records] == [
        "7",
        "8",
    ]
    assert reader.read(b"[]").records == []


def test_a_row_that_does_not_fit_its_columns_is_set_aside_alone() -> None:
    reading = reader_of().read(b'{"columns":["id","at"],"rows":[[1,null,3],[2,null],"x",{"id":4,"at":null}]}')
    assert [record.key for record in reading.records] == ["2", "4"]
    assert [bad.raw for bad in reading.rejected] == [b"[1,null,3]", b'"x"']


def test_a_row_that_only_a_careful_look_can_read_is_taken_all_the_same() -> None:
    reading = reader_of().read(
        b'{"columns":["id","at"],"rows":[["a",null],["b\\u0000",null],["c","\\ud800"]]}'
    )
    assert [record.key for record in reading.records] == ["a"]
    assert {bad.code for bad in reading.rejected} == {"bad_key", "bad_cursor"}


def test_what_is_asked_for_alone_is_cut_in_the_same_way() -> None:
    assert reader_of().cut(b'{"columns":["id","at"],"rows":[[1,null]]}') == [b'{"id":1,"at":null}']


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"rows":[[1]]}', "at 'columns' what the columns"),
        (b'{"columns":["id","id"],"rows":[[1,2]]}', "two columns that are called 'id'"),
        (b'{"columns":[1],"rows":[[1]]}', "at 'columns' what the columns"),
        (b'{"columns":{"a":1},"rows":[[1]]}', "at 'columns' what the columns"),
    ],
)
def test_an_answer_whose_columns_have_no_names_is_no_page(body: bytes, words: str) -> None:
    with pytest.raises(Transient) as caught:
        reader_of().read(body)
    assert words in str(caught.value)


def test_a_few_bytes_that_would_become_gigabytes_are_a_page_too_large() -> None:
    """An answer of 0.2 MB whose one name would stand in each of its rows."""
    body = b'{"columns":["%s"],"rows":[%s]}' % (b"x" * 100_000, b",".join([b"[1]"] * 10_000))
    with pytest.raises(NeedsOperator) as caught:
        reader_of().read(body)
    assert caught.value.code == "page_too_large"
