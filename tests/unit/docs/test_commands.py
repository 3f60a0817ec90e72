"""Is every command line that is shown one that the command takes?"""

from pathlib import Path
from typing import Any

import pytest
import typer
from unit.docs.pages import PAGES, Block, blocks, calls, inline_codes, place, shell_lines

from scheduler.cli.entry import whole_app
from scheduler.cli.errors import USAGE_ERRORS


def _idle(command: Any) -> Any:
    """The command, and all below it, with nothing to do but to take their command line."""
    command.callback = lambda **_: None
    for below in getattr(command, "commands", {}).values():
        _idle(below)
    return command


COMMAND = _idle(typer.main.get_command(whole_app()))


def parse(arguments: list[str]) -> None:
    """What typer does with a command line, all but carrying it out."""
    COMMAND.main(args=list(arguments), prog_name="headrace", standalone_mode=False)


def lines_shown() -> list[tuple[Block, list[str]]]:
    return [
        (block, arguments)
        for block in blocks("sh", "console")
        for line in shell_lines(block)
        for arguments in calls(line, "headrace")
    ]


@pytest.mark.parametrize(
    ("block", "arguments"),
    [pytest.param(*shown, id=f"{shown[0]} {' '.join(shown[1])}") for shown in lines_shown()],
)
def test_every_command_line_in_a_block_is_taken(block: Block, arguments: list[str]) -> None:
    del block
    parse(arguments)


def test_a_command_line_with_an_unknown_option_is_not_taken() -> None:
    with pytest.raises(USAGE_ERRORS):
        parse(["sync", "plant", "--wiat"])
    with pytest.raises(USAGE_ERRORS):
        parse(["snyc", "plant"])


def test_lines_are_found_behind_variables_pipes_and_comments() -> None:
    assert list(calls("A_B=1 headrace runs | head -n 3; headrace doctor # headrace no", "headrace")) == [
        ["runs"],
        ["doctor"],
    ]
    assert not list(calls("grep headrace file", "headrace"))
    assert len(lines_shown()) > 20


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_every_command_named_in_a_sentence_exists_with_its_options(page: Path) -> None:
    for code in inline_codes(page):
        for arguments in calls(code, "headrace") if code.startswith("headrace ") else []:
            check_names(arguments)


def check_names(arguments: list[str]) -> None:
    """Placeholders such as FILE stand for what a person gives, so only names are looked at."""
    command = COMMAND
    words = list(arguments)
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no `headrace {' '.join(arguments)}`"
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("-") and word not in {*known, "--help"}]
    assert not unknown, f"`headrace {' '.join(arguments)}`"
