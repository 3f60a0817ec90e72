"""The list of commands that `--help` shows."""

import pytest
import typer

from scheduler.cli.entry import run, whole_app
from scheduler.cli.listing import SECTIONS, first_sentence


def test_every_command_stands_in_one_section() -> None:

    listed = [name for names in SECTIONS.values() for name in names]
    commands = typer.main.get_command(whole_app()).commands  # type: ignore[attr-defined]
    assert sorted(listed) == sorted(name for name, command in commands.items() if not command.hidden)


@pytest.mark.parametrize("command", [[], ["runs"], ["subscriptions"], ["demo"]])
def test_no_summary_is_cut(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    assert "..." not in capsys.readouterr().out.replace("[ARGS]...", "")


def test_a_summary_is_the_first_sentence_and_knows_names_with_full_stops() -> None:
    text = "Bring db.example up to\n    version 1.2 now. Then more.\n\nA second paragraph."
    assert first_sentence(text) == "Bring db.example up to version 1.2 now."
