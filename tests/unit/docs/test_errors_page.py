"""The page about errors: each rule does what is written under it, and the hook is run by the tests that stand beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.docs.pages import ROOT, Block, blocks, inline_codes

from worker.connectors.contract import Response
from worker.connectors.hooks.loading import load_hook
from worker.connectors.manifest.schema import schema
from worker.connectors.refusals.kinds import KINDS
from worker.connectors.refusals.refusals import Refusals
from worker.connectors.refusals.rule import Rule
from worker.errors import Throttled
from worker.parsing.documents import Document, find_problems

PAGE = ROOT / "docs" / "connectors" / "errors.md"


def of_page(*languages: str) -> list[Block]:
    return [block for block in blocks(*languages) if block.page == PAGE]


def examples() -> list[tuple[str, str, str]]:
    """A rule, an answer and what comes of it, one after the other."""
    found = of_page("yaml", "http", "text")
    return [
        (rule.text, answer.text, said.text)
        for rule, answer, said in zip(found, found[1:], found[2:], strict=False)
        if (rule.language, answer.language, said.language) == ("yaml", "http", "text")
    ]


def test_there_are_examples() -> None:
    assert len(examples()) >= 8


@pytest.mark.parametrize(("rule", "answer", "said"), examples())
def test_an_example_does_what_is_written_under_it(rule: str, answer: str, said: str) -> None:
    found = yaml.safe_load(rule)
    whole = {**schema()["$defs"]["rule"], "$defs": schema()["$defs"]}
    assert not find_problems(Document("", found, {}), whole)
    head, _, body = answer.partition("\n\n")
    response = Response(int(head.split()[1]), {}, body.encode(), "")
    failure = Refusals.of(rules=(Rule.read(found),)).failure(response)
    assert failure is not None
    seconds = f" ({failure.seconds:g} s)" if isinstance(failure, Throttled) else ""
    assert f"{failure.code}: {failure.message}{seconds}\n" == said


def test_every_kind_is_on_the_page_with_its_code() -> None:
    written = inline_codes(PAGE)
    missing = {*KINDS, *(meaning.code for meaning in KINDS.values())} - {*written, "throttled"}
    assert not missing


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("plant") / "hook.py"
    path.write_text(of_page("python")[0].text)
    return load_hook(path, "plant").kind


def written_tests() -> list[Callable[[Any], None]]:
    names: dict[str, Any] = {}
    exec(compile(of_page("python")[1].text, str(Path(PAGE)), "exec"), names)
    return [value for name, value in names.items() if name.startswith("test_")]


@pytest.mark.parametrize("run", written_tests(), ids=lambda run: run.__name__)
def test_the_hook_of_the_page_passes_its_tests(run: Callable[[Any], None], hook: Any) -> None:
    run(hook)
