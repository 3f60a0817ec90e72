"""Whether values of a Postgres come as they are, to the last digit."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from servers.systems.databases import Read

from worker.connectors.contract import Window

pytestmark = pytest.mark.integration

VALUES: dict[str, tuple[str, str, Any]] = {
    "whole": ("bigint", "-9223372036854775808", -9223372036854775808),
    "fixed": ("numeric", "12345678901234567890.1234567890", "12345678901234567890.1234567890"),
    "money_like": ("numeric(12,2)", "10", "10.00"),
    "not_fixed": ("numeric", "'NaN'", "NaN"),
    "endless": ("numeric", "'-Infinity'", "-Infinity"),
    "domain": ("amount", "1.50", "1.50"),
    "real": ("real", "0.1", 0.1),
    "double": ("double precision", "0.1 + 0.2::float8", 0.30000000000000004),
    "no_number": ("double precision", "'NaN'", "NaN"),
    "infinite": ("double precision", "'Infinity'", "Infinity"),
    "yes": ("boolean", "true", True),
    "nothing": ("text", "null", None),
    "empty": ("text", "''", ""),
    "text": ("text", "E'ü\"\\\\\\n\\t🙂\\x7f'", 'ü"\\\n\t🙂\x7f'),
    "padded": ("char(4)", "'ab'", "ab  "),
    "bytes": ("bytea", "decode(repeat('00ff', 60), 'hex')", ""),
    "no_bytes": ("bytea", "''", ""),
    "zoned": ("timestamptz", "'2026-03-29 03:30:00.123456+02'", "2026-03-29T01:30:00.123456+00:00"),
    "naive": ("timestamp", "'2026-03-29 02:30:00'", "2026-03-29T02:30:00"),
    "never": ("timestamptz", "'infinity'", "infinity"),
    "long_ago": ("date", "'0044-03-15 BC'", "0044-03-15 BC"),
    "far": ("timestamp", "'12026-01-01'", "12026-01-01T00:00:00"),
    "day": ("date", "'2026-02-28'", "2026-02-28"),
    "clock": ("time", "'23:59:59.999999'", "23:59:59.999999"),
    "span": ("interval", "'-1 year 2 mons 3 days 04:05:06.7'", "P-10M3DT4H5M6.7S"),
    "one_of": ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "numbers": ("int[]", "'{1,null,3}'", [1, None, 3]),
    "texts": ("text[]", "array['a,b', '{', null]", ["a,b", "{", None]),
    "nested": ("int[][]", "'{{1,2},{3,4}}'", [[1, 2], [3, 4]]),
    "document": ("jsonb", """'{"a": [1.50, null, {"b": "c"}]}'""", {"a": [1.5, None, {"b": "c"}]}),
    "state": ("state", "'half open'", "half open"),
    "pair": ("pair", "row(1, 'x')::pair", {"a": 1, "b": "x"}),
    "net": ("inet", "'10.0.0.1/8'", "10.0.0.1/8"),
    "range": ("int4range", "'[1,5)'", "[1,5)"),
    "bits": ("bit(3)", "B'101'", "101"),
}
MADE = """
create type state as enum ('open', 'half open');
create type pair as (a int, b text);
create domain amount as numeric(9, 2);
"""


def test_every_type_comes_as_it_is(source: psycopg.Connection[Any], reads: Read) -> None:
    source.execute(MADE)
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in VALUES.items())
    source.execute(f"create table kinds (id int primary key, {columns})")
    source.execute(f"insert into kinds select 1, {', '.join(value for _, value, _ in VALUES.values())}")
    found = reads({"kinds": {"table": "kinds", "key": "id"}}).rows("kinds")[0]
    expected = {name: value for name, (_, _, value) in VALUES.items()}
    expected["bytes"] = found["bytes"]
    assert found == {"id": 1, **expected}
    assert len(found["bytes"]) == 160
    assert "\n" not in found["bytes"]


def test_json_with_what_postgres_cannot_keep_comes_with_its_bytes(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    source.execute("create table notes (id int primary key, body json)")
    source.execute("""insert into notes values (1, '{"a": "x\\u0000y", "n": 1e400}')""")
    record = reads({"notes": {"table": "notes", "key": "id"}}).records("notes")[0]
    assert record.exact is not None
    assert b"\\u0000" in record.exact


def test_the_same_row_is_the_same_whoever_asks_and_from_where(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    """What its digest is made of depends on no setting of the database or its user."""
    source.execute(
        "create table kinds (id int primary key, at timestamptz, span interval, part real, b bytea)"
    )
    source.execute("insert into kinds values (1, '2026-03-01 00:00+00', '1 mon 2 days', 0.1, '\\x00')")
    reader = reads({"kinds": {"table": "kinds", "key": "id"}})
    before = reader.records("kinds")[0].digest
    for setting in ("timezone = 'Asia/Tokyo'", "datestyle = 'german'", "intervalstyle = 'postgres_verbose'",
                    "extra_float_digits = 0", "bytea_output = 'escape'"):  # fmt: skip
        source.execute(f"alter role current_user set {setting}")
    reader.carrier.close()
    try:
        assert reader.records("kinds")[0].digest == before
    finally:
        source.execute("alter role current_user reset all")


@pytest.mark.parametrize(
    ("zone", "kind", "stored", "moment"),
    [
        ("UTC", "timestamp", "2026-03-01 12:00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("Asia/Tokyo", "timestamp", "2026-03-01 21:00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("Etc/GMT+8", "timestamp", "2026-03-01 04:00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("Asia/Tokyo", "timestamptz", "2026-03-01 04:00:00-08", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("Etc/GMT+8", "text", "2026-03-01T04:00:00-08:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_time_is_asked_for_in_the_zone_of_its_column(
    source: psycopg.Connection[Any], reads: Read, zone: str, kind: str, stored: str, moment: datetime
) -> None:
    source.execute(f"create table orders (id int primary key, at {kind})")
    source.execute("insert into orders values (1, %s)", (stored,))
    incremental = {"field": "at", "zone": zone}
    if kind == "text":
        incremental["precision"] = "s"
    reader = reads({"orders": {"table": "orders", "key": "id", "incremental": incremental}})
    assert [record.cursor for record in reader.records("orders", Window(moment, moment))] == [moment]
    later = moment.replace(second=1)
    assert reader.records("orders", Window(later)) == []
    assert reader.records("orders", Window(None, moment.replace(hour=11))) == []


def test_a_column_that_keeps_days_is_asked_for_by_the_day(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    source.execute("create table orders (id int primary key, at date)")
    source.execute("insert into orders values (1, '2026-03-01'), (2, '2026-03-02')")
    reader = reads(
        {"orders": {"table": "orders", "key": "id", "incremental": {"field": "at", "format": "date"}}}
    )
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert [record.key for record in reader.records("orders", Window(noon, noon))] == ["1", "2"]
    assert [record.key for record in reader.records("orders", Window(noon.replace(day=2)))] == ["2"]


def test_a_key_is_asked_for_as_what_it_is_and_one_that_can_be_none_is_not_there(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    """Else a record that is there would be taken for gone."""
    kinds = ("bytea", "timestamptz", "interval", "char(5)", "numeric", "date", "uuid", "inet")
    source.execute(
        "create table keys (k0 bytea, k1 timestamptz, k2 interval, k3 char(5), k4 numeric, k5 date, k6 uuid, k7 inet)"
    )
    source.execute(
        "insert into keys values ('\\x00ff', '2026-03-29 03:30:00.5+02', '1 mon 2 days', 'ab', 1.50, '0044-03-15 BC',"
        " 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8')"
    )
    reader = reads({f"s{at}": {"table": "keys", "key": f"k{at}"} for at in range(len(kinds))})
    for at, kind in enumerate(kinds):
        key = reader.records(f"s{at}")[0].key
        assert [record.key for record in reader.one(f"s{at}", key).records] == [key], kind
        if kind not in {"char(5)", "bytea"}:
            assert reader.one(f"s{at}", "no such key").gone, kind
    assert reader.one("s4", "9" * 400).gone
