"""What is one version of a system's manifest? The files as they were read, a digest of what they say, and the connector.

A release is what the manifest says (`1.2.0`). What comes with Headrace never changes under one release, so that is its
version; a folder of somebody's own may, so its version has the digest with it (`1.2.0+3fa9c1d2`).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from worker.connectors.connector import ManifestConnector
from worker.connectors.manifest.model import Manifest, manifest_from
from worker.errors import InvalidInput
from worker.parsing.documents import load_document, read_document

MANIFEST = "manifest.yaml"
DIGITS = 8
"""Of the digest, where it is part of a version."""
MOST_BYTES = 1024 * 1024
_RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kept:
    """A version as it is kept when its files are gone: the texts of these, by name."""

    system: str
    version: str
    digest: str
    files: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Edition:
    """One version of one system, ready to be used."""

    kept: Kept
    release: str
    connector: ManifestConnector = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)
    """The manifest as it was written."""
    fixed: bool = False
    """It comes with Headrace: under one version it is always the same."""

    @property
    def system(self) -> str:
        return self.kept.system

    @property
    def version(self) -> str:
        """What a connection is pinned to."""
        return self.kept.version


def read_edition(folder: Path, *, fixed: bool) -> Edition:
    """The version that lies in a folder. `InvalidInput` names the file and the line of what is wrong."""
    texts = tuple((path.name, _text(path)) for path in files_of(folder))
    # What comes with Headrace says the same for as long as this process lives, so it is made sense of once.
    manifest, data, digest = _read_once(folder, texts) if fixed else _read(folder, texts)
    version = manifest.version if fixed else f"{manifest.version}+{digest[:DIGITS]}"
    kept = Kept(manifest.system, version, digest, dict(texts))
    return Edition(kept, manifest.version, ManifestConnector(manifest), data, fixed)


def _read(folder: Path, texts: tuple[tuple[str, str], ...]) -> tuple[Manifest, Mapping[str, Any], str]:
    """The manifest, what it says, and the digest of that."""
    files, path = dict(texts), folder / MANIFEST
    document = (
        read_document(files[MANIFEST].encode(), str(path)) if MANIFEST in files else load_document(path)
    )
    return manifest_from(document, folder), document.data, digest_of(document.data, files)


_read_once = lru_cache(maxsize=256)(_read)


def files_of(folder: Path) -> list[Path]:
    """The files that make up a version: the manifest, and Python beside it."""
    return sorted(path for path in (folder / MANIFEST, *folder.glob("*.py")) if path.is_file())


def digest_of(data: Any, files: Mapping[str, str]) -> str:
    """The same for manifests that say the same, however they are laid out and commented; code counts as it stands."""
    code = {name: text for name, text in files.items() if name != MANIFEST}
    said = json.dumps([data, code], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(said.encode()).hexdigest()


def release_of(version: str) -> str:
    """The release that a version belongs to."""
    return version.partition("+")[0]


def order_of(version: str) -> tuple[int, int, int, bool, str]:
    """Sorts versions as semantic versioning does: what comes before a release (`2.0.0-rc.1`) is less than it."""
    found = _RELEASE.match(release_of(version))
    if found is None:
        return (0, 0, 0, False, version)
    major, minor, patch, before = found.groups()
    return (int(major), int(minor), int(patch), before is None, before or "")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as exc:
        words = f"The file can't be read: {exc.strerror}."
        raise InvalidInput("unreadable_file", words, place=str(path)) from None
    if len(content) > MOST_BYTES:
        raise InvalidInput(
            "file_too_large", f"The file is larger than {MOST_BYTES // 1024} kB.", place=str(path)
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise InvalidInput("bad_text", "The file is not UTF-8 text.", place=f"{path}:{line}") from None
