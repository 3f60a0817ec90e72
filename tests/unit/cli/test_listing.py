"""The list of commands that `--help` shows."""

import pytest
import typer

from scheduler.cli import entry
from scheduler.cli.entry import run, whole_app
from scheduler.cli.listing import SECTIONS, first_sentence


def test_every_command_stands_in_one_section() -> None:

    listed = [name for names in SECTIONS.values() for name in names]
    commands = typer.main.get_command(whole_app()).commands  # type: ignore[attr-defined]
    assert sorted(listed) == sorted(name for name, command in commands.items() if not command.hidden)


def test_a_command_is_the_same_whether_it_is_loaded_alone_or_with_all() -> None:
    whole = typer.main.get_command(whole_app()).commands  # type: ignore[attr-defined]
    for name in whole:
        alone = entry._command_of(name).commands
        assert name in alone
        assert alone.keys() <= whole.keys()
        assert getattr(alone[name], "commands", {}).keys() == getattr(whole[name], "commands", {}).keys()


def test_the_version_is_said_without_any_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("headrace ")
    assert entry._command_of("--version").commands == {}


@pytest.mark.parametrize("command", [[], ["runs"], ["subscriptions"], ["demo"]])
def test_no_summary_is_cut(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    assert "..." not in capsys.readouterr().out.replace("[ARGS]...", "")


def test_a_summary_is_the_first_sentence_and_knows_names_with_full_stops() -> None:
    text = "Bring db.example up to\n    version 1.2 now. Then more.\n\nA second paragraph."
    assert first_sentence(text) == "Bring db.example up to version 1.2 now."
