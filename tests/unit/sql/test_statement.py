"""Statements as databases are told them that aren't at hand here."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy.dialects import mssql, mysql, oracle

from worker.connectors.protocols.sql_asking import Asking, Moment
from worker.errors import NeedsOperator
from worker.sql.columns import check_columns
from worker.sql.statement import Column, page
from worker.sql.values import encode_row, place_of, value_at

NOON = datetime.fromisoformat("2026-03-01T12:00")
EIGHT = NOON.replace(hour=20)
ASKING = Asking(
    table=("erp", "orders"),
    key=("id",),
    cursor=("changed",),
    by_cursor=True,
    behind=({"datetime": "2026-03-01T12:00:00"}, 7),
    since=Moment("2026-03-01T11:00:00Z", "2026-03-01T11:00:00.000000Z", "Asia/Tokyo"),
    rows=10,
)
COLUMNS = (Column("id"), Column("changed", kind="datetime"), Column("na`me"))


def test_where_rows_can_not_be_compared_a_place_is_said_column_by_column() -> None:
    said = page(ASKING, COLUMNS, "mysql").select.compile(dialect=mysql.dialect())  # type: ignore[no-untyped-call]
    assert " ".join(str(said).split()) == (
        "SELECT `erp`.`orders`.`id`, `erp`.`orders`.`changed`, `erp`.`orders`.`na``me`,"
        " `erp`.`orders`.`changed` AS changed__1, `erp`.`orders`.`id` AS id__1"
        " FROM `erp`.`orders` WHERE `erp`.`orders`.`changed` >= %s AND `erp`.`orders`.`changed` >= %s"
        " AND (`erp`.`orders`.`changed` > %s OR `erp`.`orders`.`changed` = %s AND `erp`.`orders`.`id` > %s)"
        " ORDER BY `erp`.`orders`.`changed`, `erp`.`orders`.`id` LIMIT %s"
    )
    assert list(said.params.values()) == [EIGHT, NOON, 7, 10]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("datetime", EIGHT),
        ("zoned", datetime(2026, 3, 1, 11, tzinfo=UTC)),
        ("date", date(2026, 3, 1)),
        ("", "2026-03-01T11:00:00Z"),
    ],
)
def test_a_bound_is_said_as_its_column_is(kind: str, value: object) -> None:
    columns = (Column("id"), Column("changed", kind=kind))
    said = page(ASKING, columns, "mssql").select.compile(dialect=mssql.dialect())  # type: ignore[no-untyped-call]
    assert value in said.params.values()


@pytest.mark.parametrize("said", ["2026-11-01T00:49:00.000000-07:00", "2026-11-01 00:49:00"])
def test_an_hour_that_comes_twice_is_bounded_as_it_was_said(said: str) -> None:
    """At 01:49 before clocks are put back: what is written at 01:10 once they were is later."""
    since = Moment(said, "2026-11-01T08:49:00.000000Z", "America/Los_Angeles")
    asking = Asking(table=("orders",), key=("id",), cursor=("changed",), since=since)
    columns = (Column("id"), Column("changed", kind="datetime"))
    of = page(asking, columns, "mysql").select.compile(dialect=mysql.dialect())  # type: ignore[no-untyped-call]
    assert datetime.fromisoformat("2026-11-01T00:49") in of.params.values()


def test_rows_are_bounded_in_the_words_of_the_database() -> None:
    of = page(ASKING, COLUMNS, "oracle").select.compile(dialect=oracle.dialect())  # type: ignore[no-untyped-call]
    assert "FETCH FIRST" in str(of)


@pytest.mark.parametrize(
    "value",
    [
        7, "x", 0.1, True, Decimal("1.10"), datetime.fromisoformat("2026-03-01T12:00:00.000001"), datetime(2026, 3, 1, tzinfo=UTC),
        date(2026, 3, 1), UUID(int=7), b"\0\xff",
    ],
)  # fmt: skip
def test_a_place_comes_back_as_what_it_was(value: object) -> None:
    placed = place_of(value)
    assert placed is not None
    assert value_at(placed) == value
    assert type(value_at(placed)) is type(value)


def test_values_that_json_has_no_type_for_are_written_to_the_last_digit() -> None:
    row = (
        Decimal("1.10"),
        datetime(2026, 3, 1, tzinfo=UTC),
        b"\0",
        float("nan"),
        [Decimal(1)],
        {"a": b"\0"},
        UUID(int=7),
    )
    assert encode_row("abcdefg", row) == (
        b'{"a":"1.10","b":"2026-03-01T00:00:00Z","c":"AA==","d":"NaN","e":["1"],"f":{"a":"AA=="},'
        b'"g":"00000000-0000-0000-0000-000000000007"}'
    )


def test_a_column_that_is_not_there_is_said_with_the_nearest() -> None:
    with pytest.raises(NeedsOperator) as caught:
        check_columns(ASKING, ["id", "change"])
    assert caught.value.hint == "Did you mean 'change'?"
