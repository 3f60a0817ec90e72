"""Is what docs/connectors/conformance.md says true? Its example is carried out, and its tables hold every check."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from scheduler.connectors.check import Answer, Complaint, Double, Row, Table, live, offline
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


@pytest.mark.parametrize("kind", [Table, Row, Answer, Complaint])
def test_every_field_of_what_a_double_is_made_of_is_on_the_page(kind: type) -> None:
    for each in fields(kind):
        assert re.search(rf"`{each.name}`|\b{each.name}[,=)]", PAGE), each.name


def test_everything_that_a_double_may_say_is_on_the_page() -> None:
    for name in (
        "answer", "settings", "admits", "is_login", "render", "write", "key_of", "changed_at", "throttled",
        "failing", "refused", "forbidden", "complaints", "spoil_one", "says_how_long", "short_is_last",
    ):  # fmt: skip
        assert hasattr(Double, name)
        assert f"`{name}" in PAGE


def test_every_check_is_on_the_page_with_its_promise() -> None:
    sentences = {**offline.SENTENCES, **{check.name: check.sentence for check in CHECKS}}
    for name, sentence in sentences.items():
        assert f"| {name} | {sentence} |" in PAGE
    for name in live.SENTENCES:
        assert f"| {name} |" in PAGE
