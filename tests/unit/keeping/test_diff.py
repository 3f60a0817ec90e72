"""What differs between two states of a record, and which moment a person means."""

from datetime import UTC, datetime

import pytest

from scheduler.keeping.diff import field_changes
from scheduler.keeping.moment import parse_moment
from worker.errors import InvalidInput

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def fields(before: str | None, after: str | None) -> list[tuple[str, str | None, str | None]]:
    return [(field.path, field.before, field.after) for field in field_changes(before, after)]


def test_objects_are_gone_into_and_lists_compared_as_wholes() -> None:
    before = '{"a":{"b":1,"c":[1,{"d":2}]},"same":[1],"gone":null}'
    after = '{"a":{"b":2,"c":[1,{"d":3}]},"same":[1],"new":{"e":1}}'
    assert fields(before, after) == [
        ("a.b", "1", "2"),
        ("a.c", '[1, {"d": 2}]', '[1, {"d": 3}]'),
        ("gone", "null", None),
        ("new", None, '{"e": 1}'),
    ]


def test_digits_count_as_they_were_sent_and_spaces_do_not() -> None:
    assert fields('{"a":1.1,"b":[1,2]}', '{"a":1.10,"b":[ 1, 2 ]}') == [("a", "1.1", "1.10")]
    assert fields('{"a":1}', '{"a":"1"}') == [("a", "1", '"1"')]
    assert fields('{"a":{}}', '{"a":[]}') == [("a", "{}", "[]")]


def test_of_a_record_that_was_not_there_every_field_is_new() -> None:
    assert fields(None, '{"a":1,"b":"x"}') == [("a", None, "1"), ("b", None, '"x"')]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW.replace(hour=10)),
        ("1d", NOW.replace(day=25)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T14:00+01:00", datetime(2026, 11, 1, 13, tzinfo=UTC)),
        ("2026-11-01 14:00Z", datetime(2026, 11, 1, 14, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago(text: str, moment: datetime) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "999999w"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no time"):
        parse_moment(text, NOW)
