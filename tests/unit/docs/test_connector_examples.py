"""Examples of manifests in the pages about connectors are manifests: each is read, and each of its streams asked."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from unit.docs.pages import ROOT

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Window
from worker.connectors.manifest.model import manifest_in
from worker.parsing.documents import read_document

HEAD = """\
manifest: 1
system: example
title: Example
base_url: https://system.example.com
settings: {company: {description: The company.}, site: {description: The site.}}
"""
PAGE = ROOT / "docs" / "connectors" / "requests.md"


def examples() -> Iterator[Any]:
    for number, block in enumerate(
        re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    ):
        yield pytest.param(block, id=f"{PAGE.name}-{number}")


@pytest.mark.parametrize("block", [*examples()])
def test_an_example_is_a_manifest_whose_streams_can_be_asked(block: str) -> None:
    protocol = "" if block.startswith("protocol:") else "protocol: rest\n"
    manifest = manifest_in(read_document((HEAD + protocol + block).encode(), "example/manifest.yaml"))
    source = ManifestConnector(manifest).bind({"company": "C1", "site": "NORTH"})
    assert source.stream_names
    for name in source.stream_names:
        assert source.stream(name).request(Window(), None).url.startswith("https://system.example.com/")
