"""Which streams come before which? What a manifest says of it must make sense."""

import json
from pathlib import Path
from typing import Any

import pytest

from worker.connectors.manifest.model import Manifest, read_manifest
from worker.errors import InvalidInput
from worker.parsing.documents import read_document


def manifest(**after: list[str]) -> Manifest:
    data: dict[str, Any] = {
        "manifest": 1, "system": "family", "title": "Family", "protocol": "rest", "base_url": "https://example.com",
        "defaults": {"records": "data", "key": "id"},
        "streams": {name: {"path": f"/{name}", **({"after": above} if above else {})} for name, above in after.items()},
    }  # fmt: skip
    return read_manifest(read_document(json.dumps(data).encode(), "manifest.yaml"))


def test_a_stream_knows_its_parents() -> None:
    streams = manifest(sites=[], assets=["sites"], orders=["sites", "assets"]).streams
    assert {name: stream.traits.after for name, stream in streams.items()} == {
        "sites": (), "assets": ("sites",), "orders": ("sites", "assets"),
    }  # fmt: skip


def test_two_parents_may_have_one_parent() -> None:
    manifest(a=[], b=["a"], c=["a"], d=["b", "c"])


@pytest.mark.parametrize(
    "after", [{"a": ["a"]}, {"a": ["b"], "b": ["a"]}, {"a": ["c"], "b": ["a"], "c": ["b"], "d": ["a"]}]
)
def test_a_circle_is_refused(after: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidInput, match="would come after the other: a > "):
        manifest(**after)


def test_a_parent_that_is_none_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInput, match="no such stream") as raised:
        manifest(sites=[], assets=["site"])
    assert "sites" in (raised.value.hint or "")
    assert Path(raised.value.place or "").name.startswith("manifest.yaml")
