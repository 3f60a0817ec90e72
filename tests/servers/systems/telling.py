"""A system that sends webhooks, as its manifest describes them; no more of it than that."""

import json
from collections.abc import Mapping
from typing import Any

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Webhooks
from worker.connectors.manifest.model import read_manifest
from worker.connectors.manifest.schema import schema
from worker.parsing.documents import read_document, validate

MANIFEST: Mapping[str, Any] = {
    "manifest": 1,
    "system": "telling",
    "title": "Telling",
    "protocol": "rest",
    "base_url": "https://telling.example.com",
    "secrets": {name: {"required": False, "description": "One."} for name in ("hook", "next")},
    "auth": {"bearer": {"secret": "hook"}},
    "defaults": {"records": "data", "key": "id", "version": "rev"},
    "streams": {
        "parts": {"path": "/parts"},
        "bins": {"path": "/bins", "key": ["site", "bin"]},
        "orders": {"path": "/orders"},
    },
}
VERIFY = {"hmac": {"secret": "hook", "header": "X-Signature"}}
EVENTS = [{"stream": "parts", "key": "id"}]


def manifest_text(said: Mapping[str, Any] | None, **more: Any) -> str:
    """Indented, so that each part has a line of its own to complain about. None: it sends no webhooks."""
    webhooks = {} if said is None else {"webhooks": {"verify": VERIFY, "events": EVENTS, **said}}
    return json.dumps({**MANIFEST, **webhooks, **more}, indent=1)


def webhooks_of(**said: Any) -> Webhooks:
    """What a manifest says that holds these parts of `webhooks`."""
    document = read_document(manifest_text(said).encode(), "manifest.yaml")
    validate(document, schema())
    found = ManifestConnector(read_manifest(document)).bind({}).webhooks
    assert found is not None
    return found
