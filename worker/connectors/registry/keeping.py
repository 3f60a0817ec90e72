"""How does a version come back whose files are gone? From the texts that were kept of them.

Code is not taken from there: whoever can write to the database must not thereby be able to run what they like in a worker.
"""

from worker.connectors.connector import ManifestConnector
from worker.connectors.manifest.model import Manifest, manifest_in
from worker.connectors.registry.edition import MANIFEST, Edition, Kept, release_of
from worker.errors import InvalidInput
from worker.parsing.documents import Document, read_document


def edition_of(kept: Kept) -> Edition:
    """The version ready to be used; `InvalidInput` where this Headrace doesn't take it any more, or it holds code."""
    name = f"{kept.system} {kept.version}"
    if code := sorted(set(kept.files) - {MANIFEST}):
        raise InvalidInput(
            "kept_code",
            f"Version {kept.version} of {kept.system} has Python in it ({', '.join(code)}), and that is taken from files only.",
            place=name,
            hint=f"Bring its folder back, or upgrade: `headrace connectors upgrade --system {kept.system} --dry-run`.",
        )
    return Edition(kept, release_of(kept.version), ManifestConnector(manifest_of(kept)), _document(kept).data)


def manifest_of(kept: Kept) -> Manifest:
    """What it says, to be compared; without the code that may belong to it."""
    return manifest_in(_document(kept))


def _document(kept: Kept) -> Document:
    return read_document(kept.files[MANIFEST].encode(), f"{kept.system} {kept.version}")
