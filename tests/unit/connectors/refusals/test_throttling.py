"""A manifest says how a system says "too many requests" in a body; nothing else is taken for it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Response
from worker.connectors.manifest.model import load_manifest
from worker.errors import InvalidInput, Throttled

THROTTLED = {"path": "error.code", "values": [1100], "wait": "error.object.ADVISORY_MS", "unit": "ms"}
MANIFEST: dict[str, Any] = {
    "manifest": 1,
    "system": "plant",
    "title": "Plant",
    "protocol": "rest",
    "base_url": "https://plant.example.com",
    "streams": {"parts": {"path": "/parts", "records": "data", "key": "id"}},
}


def load(folder: Path, throttled: Any) -> Any:
    file = folder / "plant" / "manifest.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump({**MANIFEST, "errors": {"throttled": throttled}}))
    return ManifestConnector(load_manifest(file)).bind({})


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"code": 1100, "object": {"ADVISORY_MS": 2500}}}, 2.5),
        ({"error": {"code": "1100"}}, None),
        ({"error": {"code": 1100, "object": {"ADVISORY_MS": "soon"}}}, None),
        ({"error": {"code": 1100, "object": {"ADVISORY_MS": True}}}, None),
        ({"data": "x" * 20_000, "error": {"code": 1100, "object": {"ADVISORY_MS": 2500}}}, 2.5),
    ],
)
def test_it_is_told_by_its_words_and_with_its_time(
    tmp_path: Path, status: int, body: Any, seconds: float | None
) -> None:
    found = load(tmp_path, THROTTLED).failure(Response(status, {}, json.dumps(body).encode(), ""))
    assert isinstance(found, Throttled)
    assert found.seconds == seconds


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": []}',
        b'{"error": {"code": 1101}}',
        b'{"error": [1100]}',
        b'{"error": {"code": [1100]}}',
        b"not JSON",
        b"",
        b'{"data": [{"error": {"code": 1100}}, "' + b"x" * 20_000 + b'"]}',
    ],
)
def test_other_answers_are_not_taken_for_it(tmp_path: Path, body: bytes) -> None:
    assert load(tmp_path, THROTTLED).failure(Response(200, {}, body, "")) is None


@pytest.mark.parametrize(
    "wrong", [{}, {"path": "a"}, {"path": "a", "values": []}, {**THROTTLED, "unit": "h"}]
)
def test_a_manifest_that_says_it_wrongly_is_refused(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        load(tmp_path, wrong)
