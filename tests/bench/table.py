"""The results of a run as a Markdown table, put between the marks of a page (docs/performance.md) or into a file of its own."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Protocol

from tests.bench.parts.line import Line, shown
from tests.bench.parts.machine import words_of_machine

BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
HEAD = ("figure", "ours", "baseline", "ours ÷ baseline", "target", "met", "baseline and conditions")


class Case(Protocol):
    """What a case came to."""

    @property
    def case(self) -> str: ...
    @property
    def lines(self) -> tuple[Line, ...]: ...
    @property
    def problem(self) -> str: ...


def write_table(path: Path, outcomes: Sequence[Case], *, full: bool) -> None:
    """Write all lines, and what failed."""
    rows = [_row(HEAD), _row(["---"] * len(HEAD))]
    for outcome in outcomes:
        rows += [_row(_cells(line)) for line in outcome.lines]
        if outcome.problem:
            rows.append(_row([outcome.case, "failed", "", "", "", "", outcome.problem[:200]]))
    form = "full run: medians, with the least and the most" if full else "short form"
    put(path, f"{words_of_machine()}; {form}.\n\n" + "\n".join(rows) + "\n")


def put(path: Path, text: str) -> None:
    """Between the marks of a page that has them; else the text becomes the file."""
    page = path.read_text() if path.exists() else ""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    path.write_text(f"{before}{begin}{text}{end}{after}" if begin and end else text)


def _cells(line: Line) -> list[str]:
    return [
        line.figure,
        shown(line.ours, line.unit, line.ours_all),
        shown(line.baseline, line.unit, line.baseline_all) if line.baseline else "-",
        "-" if isnan(line.ratio) else f"{line.ratio:.2f}",
        line.target or "-",
        line.verdict,
        line.note or "-",
    ]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
