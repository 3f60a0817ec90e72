"""A system with Python beside its manifest."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from worker.connectors.connector import ManifestConnector
from worker.connectors.hooks.source import HookedSource, hooked
from worker.connectors.manifest.model import load_manifest

MANIFEST: dict[str, Any] = {
    "manifest": 1,
    "system": "plant",
    "title": "Plant",
    "protocol": "rest",
    "base_url": "https://plant.example.com",
    "hook": "hook.py",
    "settings": {"site": {"description": "Which site.", "default": "north"}},
    "streams": {"parts": {"path": "/parts", "records": "data", "key": "id"}},
}


@pytest.fixture
def with_hook(tmp_path: Path) -> Callable[..., HookedSource]:
    """The source of a system with that hook; `Hook` and what it needs are imported already."""

    def make(code: str, **settings: Any) -> HookedSource:
        folder = tmp_path / "plant"
        folder.mkdir(exist_ok=True)
        (folder / "manifest.yaml").write_text(yaml.safe_dump(MANIFEST))
        head = "from worker.connectors.contract import BaseHook, Request, Response\n"
        (folder / "hook.py").write_text(head + dedent(code).lstrip())
        found = hooked(ManifestConnector(load_manifest(folder / "manifest.yaml")).bind(settings))
        assert found is not None
        return found

    return make
