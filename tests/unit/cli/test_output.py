"""How is something shown?"""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from scheduler.cli.output import ago, cell, clean, print_facts, print_json, print_table

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_json_has_times_in_utc_and_ids_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    berlin = NOW.astimezone(timezone(timedelta(hours=1)))
    print_json({"at": berlin, "id": UUID(int=1), "name": "Prüfung"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"at": "2026-11-24T12:00:00Z", "id": str(UUID(int=1)), "name": "Prüfung"}
    assert "Prüfung" in out


def test_what_a_system_sent_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a"], [["\x1b[2J\x1b]0;owned\x07bad\x9b31m"]], empty="")
    assert not {"\x1b", "\x07", "\x9b"} & set(capsys.readouterr().out)


def test_square_brackets_are_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a"], [["[red]x[/red] [/nope]"]], empty="")
    assert "[red]x[/red] [/nope]" in capsys.readouterr().out


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a"], [], empty="No runs.")
    assert capsys.readouterr().out.strip() == "No runs."


def test_facts_that_are_not_known_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts({"run": "r", "error": None, "worker": "", "pages": 0})
    out = capsys.readouterr().out
    assert "error" not in out
    assert "worker" not in out
    assert "pages" in out


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s ago"), (59, "59s ago"), (119, "1m59s ago"), (125, "2m5s ago"), (7200, "2h ago"), (90061, "1d1h1m ago"),
     (200000, "2d7h ago"), (-40, "in 40s"), (-0.4, "in 0s")],
)  # fmt: skip
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


def test_a_time_that_never_was_is_a_dash() -> None:
    assert ago(None, NOW) is None
    assert cell(None).plain == "-"


def test_numbers_are_grouped_and_truth_is_a_word() -> None:
    assert cell(1234567).plain == "1,234,567"
    assert cell(True).plain == "yes"


def test_clean_keeps_line_ends_and_every_script() -> None:
    assert clean("a\n\tß漢\x00\r\x7f") == "a\n\tß漢"
