"""docs/commands.md against the real commands."""

from pathlib import Path

import pytest

from scheduler.cli.entry import run
from scheduler.cli.pages.commands import reference

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"


def test_the_page_is_what_the_commands_say() -> None:
    """If not: python -P -m scheduler.cli.pages.commands > docs/commands.md"""
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_every_command_teaches_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [
        line.removeprefix("## headrace ").split()
        for line in reference().splitlines()
        if line.startswith("## headrace ")
    ]
    assert len(commands) > 15
    for command in commands:
        assert run([*command, "--help"]) == 0
        assert "Example: " in capsys.readouterr().out, command


def test_every_option_says_what_it_does() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert rows
    assert not [row for row in rows if row.endswith("|  |")]
