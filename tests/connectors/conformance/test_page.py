"""Is what docs/connectors/conformance.md says true? Its example is carried out, and its tables hold every check."""

import re
from pathlib import Path

import pytest

from scheduler.connectors.check import live, offline
from scheduler.connectors.check.checking import check_folder
from scheduler.connectors.check.suite import CHECKS

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[3].joinpath("docs", "connectors", "conformance.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_keeps_every_promise(tmp_path: Path) -> None:
    folder = tmp_path / "pumps"
    (folder / "recorded").mkdir(parents=True)
    (folder / "manifest.yaml").write_text(block("yaml"))
    (folder / "double.py").write_text(block("python"))
    (folder / "recorded" / "pumps.json").write_text(block("json"))
    report = check_folder(folder)
    assert report.kept, "\n".join(report.failures())
    assert {row.check: row.mark for row in report.rows}["recorded"] == "passed"


def test_every_check_is_on_the_page_with_its_promise() -> None:
    sentences = {**offline.SENTENCES, **{check.name: check.sentence for check in CHECKS}}
    for name, sentence in sentences.items():
        assert f"| {name} | {sentence} |" in PAGE
    for name in live.SENTENCES:
        assert f"| {name} |" in PAGE
