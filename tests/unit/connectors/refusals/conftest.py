"""A system whose manifest says something of errors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Response, Source
from worker.connectors.manifest.model import load_manifest

MANIFEST: dict[str, Any] = {
    "manifest": 1,
    "system": "plant",
    "title": "Plant",
    "protocol": "rest",
    "base_url": "https://plant.example.com",
    "streams": {"parts": {"path": "/parts", "records": "data", "key": "id"}},
}


@pytest.fixture
def system(tmp_path: Path) -> Callable[..., Source]:
    """The source of a system with that section `errors`."""

    def load(**errors: Any) -> Source:
        file = tmp_path / "plant" / "manifest.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump({**MANIFEST, "errors": errors}))
        return ManifestConnector(load_manifest(file)).bind({})

    return load


@pytest.fixture
def answer() -> Callable[..., Response]:
    def make(body: Any, status: int = 200, **headers: str) -> Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(status, named, content, "https://plant.example.com/parts")

    return make
