"""The copy, written out."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.cli.commands.copy.records import _Counted, _write_array, _write_csv, _write_lines, as_line


def row(key: str, raw: str, **more: Any) -> dict[str, Any]:
    facts = {
        "version": 1,
        "source_updated_at": None,
        "observed_at": datetime(2026, 1, 1, tzinfo=UTC),
        "deleted_at": None,
    }
    return {"key": key, "raw": raw, **facts, **more}


def counted(*rows: dict[str, Any], most: int | None = None) -> _Counted:
    return _Counted(iter(rows), most)


def test_a_line_holds_the_record_as_it_was_sent() -> None:
    line = as_line(row("1", '{"price":\n 1.10, "n": 12345678901234567890, "a": "\\u00e9"}'))
    assert '"record": {"price":  1.10, "n": 12345678901234567890, "a": "\\u00e9"}' in line
    assert "\n" not in line
    assert json.loads(line)["observed_at"] == "2026-01-01T00:00:00Z"


def test_lines_and_array_hold_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row("1", '{"a": 1}'), row("2", '{"a": 2}')]
    _write_lines(counted(*rows))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    _write_array(counted(*rows))
    assert json.loads(capsys.readouterr().out) == lines


def test_an_empty_stream_is_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    _write_array(counted())
    assert json.loads(capsys.readouterr().out) == []


def test_csv_has_a_column_for_each_field_and_loses_none(capsys: pytest.CaptureFixture[str]) -> None:
    early = [row(str(n), json.dumps({"a": n})) for n in range(200)]
    late = row("late", '{"a": 1.10, "b": ["x, y"], "c": null}')
    _write_csv(counted(*early, late))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "key,deleted_at,a,_more"
    assert lines[-1] == 'late,,1.10,"{""b"": [""x, y""], ""c"": null}"'
    assert len(lines) == 202


def test_csv_quotes_what_would_break_it(capsys: pytest.CaptureFixture[str]) -> None:
    _write_csv(counted(row("a,b", '{"t": "line\\nbreak \\"q\\"", "yes": true, "n": null, "o": {"x": 1}}')))
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "key,deleted_at,t,yes,n,o,_more"
    assert '"a,b",,"line\nbreak ""q""",true,,"{""x"": 1}",' in out


def test_more_is_known_only_when_there_was_one_more() -> None:
    exactly, beyond = counted(row("1", "{}"), most=1), counted(row("1", "{}"), row("2", "{}"), most=1)
    assert [found["key"] for found in exactly] == [found["key"] for found in beyond] == ["1"]
    assert not exactly.more
    assert beyond.more


def test_a_record_that_is_no_object_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    _write_csv(counted(row("1", "[1, 2]")))
    assert capsys.readouterr().out.splitlines() == ["key,deleted_at,value,_more", '1,,"[1, 2]",']
