"""Every example of the page about auth is a manifest that can be bound, and whose requests carry a proof."""

import re
from datetime import UTC, datetime

import pytest
from unit.docs.pages import ROOT

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Moment, Renewal, Request, Signing
from worker.connectors.manifest.model import manifest_in
from worker.parsing.documents import read_document

PAGE = ROOT / "docs" / "connectors" / "auth.md"
HEAD = """\
manifest: 1
system: example
title: Example
protocol: rest
streams: {parts: {path: /parts, records: data, key: id}}
"""
BASE = "base_url: https://api.example.com\n"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
MOMENT = Moment(datetime(2026, 3, 1, tzinfo=UTC), "once", lambda request: request.url)


@pytest.mark.parametrize("block", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_is_a_manifest_whose_requests_are_proved(block: str) -> None:
    text = HEAD + ("" if "base_url:" in block else BASE) + block
    manifest = manifest_in(read_document(text.encode(), "example/manifest.yaml"))
    given = {name: "one" for name, each in manifest.settings.items() if each.required}
    given |= {"base": "https://erp.example.com"} if "base" in given else {}
    auth = ManifestConnector(manifest).bind(given).auth
    secrets = {name: f"planted-{name}" for name in manifest.secrets}
    step = next(auth.flow(Request("POST", "/parts"), secrets, {}))
    if isinstance(step, Signing) and "private_key" not in secrets:
        step = step.make(MOMENT)
    if isinstance(step, Request):
        assert {*step.headers} - {"Accept"} or step.body
        assert "planted" not in f"{step.url}{[*step.params]}"
    assert not isinstance(step, Renewal)


def test_there_is_an_example_of_every_way() -> None:
    shown = {line.strip().partition(":")[0] for block in EXAMPLES for line in block.splitlines()}
    ways = {"bearer", "header", "headers", "basic", "login", "oauth2", "sign", "oauth1", "csrf"}
    assert ways <= shown
