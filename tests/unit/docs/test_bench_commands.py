"""Does everything that the pages tell people to measure with exist: cases, modules, and the places for results?"""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from unit.docs.pages import PAGES, ROOT, blocks, inline_codes, shell_lines

from tests.bench.run import case_names
from tests.bench.table import BEGIN, END

SHOWN = [line for block in blocks("sh") for line in shell_lines(block)]
SHOWN += [code for page in PAGES for code in inline_codes(page)]
RESULTS = [ROOT / "docs" / name for name in ("performance.md", "scaling.md")]


def found(pattern: str) -> list[str]:
    return [match[1] for text in SHOWN for match in re.finditer(pattern, text)]


def test_every_case_that_is_named_exists() -> None:
    named = {case for cases in found(r"\bONLY=([a-z_,]+)") for case in cases.split(",")}
    assert "first_load" in named
    assert named <= {*case_names()}


def test_every_module_that_is_started_by_hand_exists() -> None:
    named = found(r"python -m (tests\.[\w.]+)")
    assert "tests.bench.scaling" in named
    assert not [name for name in named if find_spec(name) is None]


@pytest.mark.parametrize("page", RESULTS, ids=lambda page: page.name)
def test_the_results_stand_where_a_run_renews_them(page: Path) -> None:
    _, begin, rest = page.read_text().partition(BEGIN)
    text, end, _ = rest.partition(END)
    assert begin
    assert end
    assert text.count("\n| ") > 3
