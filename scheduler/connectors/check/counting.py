"""How many entries does an answer list? A page says each key once, so that is how one sees that two entries have the same."""

from dataclasses import replace

from worker.connectors.contract import Page
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.reading.reader import shared_reader
from worker.errors import HeadraceError
from worker.parsing.wording import counted


def doubled(spec: StreamManifest, body: bytes, page: Page) -> str | None:
    """In words, how many entries share their keys with others; None: none do, or nobody can tell."""
    if spec.shape.explode is not None:
        return None
    # Times are left out: their zone may be a setting, which a manifest alone doesn't know.
    keyed = replace(spec.shape, cursor=None, updated_at=None)
    try:
        count = shared_reader(keyed).read(body).seen.count
    except HeadraceError:
        return None  # a hook makes the answer readable
    keys = len(page.records) + len(page.rejected) + len(page.gone)
    if keys >= count:
        return None
    return f"{counted(count, 'entry', 'entries')} with {counted(keys, 'key')}"
