"""How does a record that was erased stay away? Its key's digest is known, and no page brings it past this screen.

Promises: neither the record nor word of its end comes back, whichever run reads it. A record that was set aside without
a key may be anybody's, so in a stream with erasures none is kept with its bytes. Without the secret key that the digests
were made with, nobody can tell who was erased: then the run stops, rather than let them come back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from psycopg.rows import DictRow

from worker.connectors.contract import Page
from worker.engine.keep.digests import PrivacyKey
from worker.engine.keep.privacy import without_bytes
from worker.errors import NeedsOperator


@dataclass(frozen=True, slots=True)
class ErasureScreen:
    """Screens the pages of one stream."""

    stream_id: int
    key: PrivacyKey
    erased: Collection[bytes]

    def __call__(self, page: Page) -> Page:
        kept = [bad for bad in page.rejected if bad.key is None or not self._is_erased(bad.key)]
        return replace(
            page,
            records=[record for record in page.records if not self._is_erased(record.key)],
            rejected=[without_bytes(bad) if bad.key is None else bad for bad in kept],
            gone=[gone for gone in page.gone if not self._is_erased(gone.key)],
        )

    def _is_erased(self, key: str) -> bool:
        return self.key.of_key(self.stream_id, key) in self.erased


def erasure_screen(stream_id: int, key: PrivacyKey, rows: Sequence[DictRow]) -> ErasureScreen:
    """The screen for these rows of `erasures`; `NeedsOperator` where the key is another than theirs."""
    if any(bytes(row["made_with"]) != key.mark for row in rows):
        raise NeedsOperator(
            "privacy_key_changed",
            "Records were erased from this stream, and they can't be told by the key behind HEADRACE_PRIVACY_KEY.",
            hint="Give it the key that it had then. If it is lost: `headrace erase CONNECTION STREAM --allow-all`, and erase anew.",
        )
    return ErasureScreen(stream_id, key, frozenset(bytes(row["key_digest"]) for row in rows))
