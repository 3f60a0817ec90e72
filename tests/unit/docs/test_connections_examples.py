"""Is every connections file that is shown one that `headrace apply` takes?"""

import re
from pathlib import Path
from textwrap import indent

import pytest
import yaml
from unit.docs.pages import Block, blocks

from scheduler.connections.file.reading import load_schema, read_desired
from worker.connectors.manifest.model import load_manifest
from worker.connectors.registry import Registry
from worker.errors import InvalidInput
from worker.parsing.documents import read_document

REGISTRY = Registry.load()
WHOLE = [block for block in blocks("yaml") if "connections:" in block.text]
MANIFESTS = [block for block in blocks("yaml") if block.text.startswith("manifest:")]
PARTS = [
    block
    for block in blocks("yaml")
    if "connections:" not in block.text
    and not block.text.startswith("manifest:")
    and block.page.parent.name != "connectors"  # those are parts of manifests, and tried as such
]
AROUND = """\
version: 1
connections:
  - id: example
    system: demo
    settings: {base_url: "http://127.0.0.1:8790"}
    secrets: {token: "env://TOKEN"}
"""


def entries(block: Block) -> list[str]:
    """A block may show several values of one field, one after another."""
    parts = re.split(r"^(?=\S)", block.text, flags=re.MULTILINE)
    return [part for part in parts if part.strip() and not part.startswith("#")]


@pytest.mark.parametrize("block", WHOLE, ids=str)
def test_a_whole_file_is_taken_as_it_stands(block: Block) -> None:
    assert read_desired(read_document(block.text.encode(), str(block)), REGISTRY).connections


@pytest.mark.parametrize("block", PARTS, ids=str)
def test_a_part_of_a_file_is_taken_within_a_connection(block: Block) -> None:
    for part in entries(block):
        if part.startswith("- "):  # a connection with something left out
            (shown,) = yaml.safe_load(part.replace(", …", ""))
            assert {*shown} <= {*load_schema()["$defs"]["connection"]["properties"]}
            assert shown["system"] in REGISTRY.systems()
        else:
            text = AROUND + indent(part, "    ")
            assert read_desired(read_document(text.encode(), str(block)), REGISTRY).connections


@pytest.mark.parametrize("block", MANIFESTS, ids=str)
def test_a_manifest_is_taken_as_it_stands(block: Block, tmp_path: Path) -> None:
    file = tmp_path / str(yaml.safe_load(block.text)["system"]) / "manifest.yaml"
    file.parent.mkdir()
    file.write_text(block.text)
    assert load_manifest(file).streams


def test_these_tests_see_what_is_wrong() -> None:
    assert WHOLE
    assert PARTS
    for wrong in (
        "schedule: {every: 5x}",
        'name: "a"\nhistroy: 90d',
        'labels: {a: "b"}\nsecrets: {token: abc}',
    ):
        with pytest.raises(InvalidInput):
            read_desired(read_document((AROUND + indent(wrong, "    ")).encode(), "wrong"), REGISTRY)
