"""A manifest, and what connections say over it: read once for each that says something else."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import msgspec

from worker.connectors.bound import Kept
from worker.connectors.describing.mistakes import BadDescription, MergedDocument, first_of
from worker.connectors.describing.words import DESCRIBE, merged, schema_of
from worker.connectors.manifest.model import Manifest, read_manifest
from worker.parsing.documents import Document, find_problems

MOST = 50_000
"""Streams in all that a process keeps descriptions of; connections that say the same share one."""


class Descriptions:
    """The manifests of one system's connections."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._kept = Kept[Manifest](MOST, weight=lambda manifest: 1 + len(manifest.streams))

    def of(self, settings: Mapping[str, Any]) -> Manifest:
        """The manifest as these settings have it, or `BadDescription`. Of a system that isn't open, it is as it is."""
        if DESCRIBE not in settings or self._manifest.document is None:
            return self._manifest
        own = settings[DESCRIBE]
        return self._kept.get(digest(own), lambda: _read(self._manifest, own))


def digest(own: Any) -> bytes:
    """The same for what reads the same; short, since descriptions are long and there are many."""
    return blake2b(msgspec.json.encode(own), digest_size=16).digest()


def _read(manifest: Manifest, own: Any) -> Manifest:
    below = manifest.document
    assert below is not None  # noqa: S101 - or nothing is open
    document = Document("", {DESCRIBE: own}, {})
    problems = find_problems(document, schema_of(manifest.open))
    if problems:
        problems.sort(key=lambda problem: not problem.misspelled)
        raise first_of([BadDescription(each.path, each.code, each.message, each.hint) for each in problems])
    data = merged(below.data, own)
    return replace(
        read_manifest(MergedDocument(below.name, data, below.lines, own)), document=None, hook=manifest.hook
    )
