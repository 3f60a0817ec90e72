"""What a message tells people to run can be run: the command is there, and so are its options."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
NAMED = re.compile(r"`headrace ([^`\n]+)`")


def named_commands() -> Iterator[tuple[str, str]]:
    for folder in ("worker", "scheduler"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for found in NAMED.findall(file.read_text()):
                yield str(file.relative_to(ROOT)), found


@pytest.mark.parametrize(("file", "words"), sorted({*named_commands()}))
def test_a_command_that_is_named_is_there_with_its_options(file: str, words: str) -> None:
    name = re.match(r"[a-z-]+", words)
    assert name is None or f"headrace {name[0]}" in COMMANDS, file
    for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", words):
        assert option in COMMANDS, file
