"""What did somebody do wrong who wrote this YAML? The parser's words are about its states; these are about the file. Pure."""

import re

import yaml

_OPENS = re.compile(r"""\s*(?:- )?(?:[^\s"'{\[][^:]*:\s+)?(["'{\[])""")
_NAMES = {"{": "{…}", "[": "[…]", '"': "quotes", "'": "quotes"}


def mistake_in(  # noqa: PLR0911 - one for each mistake
    text: str, error: yaml.MarkedYAMLError
) -> tuple[int, str]:
    """The line to look at, counted from 1, and what is wrong there."""
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark or error.context_mark
    begins = error.context_mark or mark
    if mark is None or begins is None:
        return 1, "it can't be read"
    lines = text.split("\n")
    here = lines[mark.line] if mark.line < len(lines) else ""
    before, at = here[: mark.column], here[mark.column : mark.column + 1]
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return mark.line + 1, _bad_start("\t")
    if "cannot start any token" in problem:
        return mark.line + 1, _bad_start(at)
    if "end of stream" in problem and "quoted" in context:
        return begins.line + 1, "the quote that begins here isn't closed"
    if "expected ',' or" in problem:
        return begins.line + 1, _not_closed(
            lines[begins.line][begins.column :][:1], same=begins.line == mark.line
        )
    if "mapping values are not allowed" in problem:
        return _stray_colon(lines, mark.line, before)
    if "did not find expected key" in problem or "expected '-' indicator" in problem:
        return mark.line + 1, _out_of_line(here, before)
    if "expected ':'" in problem:
        return begins.line + 1, "this line has no colon with a blank behind it, and so no key"
    known = next((words for said, words in _OTHERS.items() if said in problem), None)
    return mark.line + 1, known or ": ".join(part for part in (context, problem) if part)


def _bad_start(character: str) -> str:
    if character == "\t":
        return "a tab stands here, and only blanks indent"
    return f"a text that begins with {character} must be in quotes"


def _not_closed(bracket: str, *, same: bool) -> str:
    if same:
        return "a comma is missing here, or a text with a colon in it isn't in quotes"
    return f"the {bracket} that stands here isn't closed, or a comma is missing in what follows"


def _stray_colon(lines: list[str], line: int, before: str) -> tuple[int, str]:
    if re.search(r":\s", before):
        return (
            line + 1,
            "a second colon stands in this line: a text with a colon and a blank in it must be in quotes",
        )
    above = next((number for number in range(line - 1, -1, -1) if lines[number].strip()), None)
    if above is not None and re.match(r"\s*[A-Za-z0-9_-]+:[^\s:/]", lines[above]):
        return above + 1, "behind the colon of a key stands a blank"
    return line + 1, "this line is indented deeper than the one above it allows"


def _out_of_line(here: str, before: str) -> str:
    if before.strip():
        opens = _OPENS.match(here)
        what = _NAMES[opens[1]] if opens else "quotes, {…} or […]"
        return f"nothing may follow behind {what}: put the whole text in quotes"
    if here.lstrip().startswith("- "):
        return "a list can't stand beside keys: is it indented too little?"
    return "this line is indented otherwise than those that it belongs to"


_OTHERS = {
    "unknown escape": r"in double quotes \ begins an escape: use single quotes",
    "expected comment or line break": "behind | and > the text begins on the next line: or put it in quotes",
    "expected node content": "a value is missing here, or a text that begins with a bracket isn't in quotes",
    "sequence entries are not allowed": "a list begins on the line below its key",
}
