"""Does what is written lead somewhere, and name only what is there?"""

import json
import re
from itertools import chain
from pathlib import Path

import pytest
from unit.docs.pages import (
    PAGES,
    ROOT,
    SYSTEM_PAGES,
    Block,
    anchors,
    blocks,
    inline_codes,
    links,
    place,
    prose,
)

from scheduler.cli.pages.manifest import manifest_reference
from scheduler.cli.pages.settings import settings_markdown
from worker.config import Settings
from worker.connectors.manifest.schema import schema

FOR_TESTS = {"HEADRACE_TEST_PG", "HEADRACE_TEST_CACHE", "HEADRACE_TEST_TAPS"}


@pytest.mark.parametrize("page", [*PAGES, *SYSTEM_PAGES], ids=place)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


def test_every_page_is_reached_from_the_readme_and_from_the_index() -> None:
    for start in (ROOT / "README.md", ROOT / "docs" / "index.md"):
        reached = {(start.parent / target.partition("#")[0]).resolve() for target in links(start)}
        missing = {*PAGES} - {*reached, ROOT / "README.md", ROOT / "docs" / "index.md"}
        assert not missing, f"{place(start)} doesn't lead to them"


def test_the_settings_page_is_what_the_settings_say() -> None:
    """If not: make docs"""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_markdown()


def test_the_manifest_pages_are_what_the_schema_says() -> None:
    """If not: make docs"""
    folder = ROOT / "docs" / "connectors"
    assert (folder / "manifest.md").read_text(encoding="utf-8") == manifest_reference().rstrip() + "\n"
    assert json.loads((folder / "manifest.schema.json").read_text(encoding="utf-8")) == schema()


def test_every_setting_says_what_it_does() -> None:
    assert not [name for name, field in Settings.model_fields.items() if not field.description]


@pytest.mark.parametrize("page", [*PAGES, *SYSTEM_PAGES], ids=place)
def test_every_variable_that_is_named_is_a_setting(page: Path) -> None:
    known = {f"HEADRACE_{name.upper()}" for name in Settings.model_fields} | FOR_TESTS
    known |= {f"{name}_TEST" for name in known if name.startswith("HEADRACE_VAULT_")}  # of `vault+test://`
    assert {*re.findall(r"HEADRACE_[A-Z_]+[A-Z]", page.read_text(encoding="utf-8"))} <= known


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = {*re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)}
    shown = chain(
        inline_codes(page), *(block.text.splitlines() for block in blocks("sh") if block.page == page)
    )
    named = {match[1] for text in shown if (match := re.match(r"make ([a-z]+)", text))}
    assert named <= targets


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_every_json_example_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_every_file_of_the_tree_that_is_named_exists(page: Path) -> None:
    named = [
        code for code in inline_codes(page) if re.fullmatch(r"(worker|scheduler|tests|docs)/[\w/.-]*", code)
    ]
    assert not [code for code in named if not (ROOT / code).exists()]


def test_the_readme_draws_the_tree_as_it_is() -> None:
    tree = next(block.text for block in blocks("text") if "worker/  " in block.text)
    drawn: set[Path] = set()
    top = Path()
    for line in tree.splitlines():
        names = line[:19].split()
        top = top if line.startswith(" ") else Path(names[0])
        drawn |= {top / name for name in names} if line.startswith(" ") else {top}
    assert not [path for path in drawn if not (ROOT / path).exists()]
    packages = {
        path.parent.relative_to(ROOT)
        for part in ("worker", "scheduler")
        for path in (ROOT / part).glob("*/__init__.py")
    }
    assert packages <= drawn


def test_no_page_speaks_of_how_it_was_made_or_shouts() -> None:
    for page in PAGES:
        assert not re.search(r"[\U0001F300-\U0001FAFF☀-➿]|/work/|/tmp/", prose(page)), place(page)


def test_every_page_that_the_code_sends_people_to_exists() -> None:
    named = {
        name
        for part in ("worker", "scheduler")
        for file in (ROOT / part).rglob("*")
        if file.suffix in {".py", ".sql", ".json", ".yaml"}
        for name in re.findall(r"docs/[\w-]+\.md", file.read_text(encoding="utf-8"))
    }
    assert "docs/settings.md" in named
    assert not [name for name in named if not (ROOT / name).exists()]
