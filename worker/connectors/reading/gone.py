"""Which records does an answer name as gone? Marks inside a list, and lists of tombstones, become `Page.gone`."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from worker.connectors.contract import Family, Gone, Listed, Page, Record, Rejected
from worker.connectors.reading.explosion import stems_of
from worker.connectors.reading.fields import walk
from worker.connectors.reading.keys import make_key
from worker.connectors.reading.shape import Removed
from worker.connectors.reading.suspects import parse_carefully
from worker.errors import BadRecord


def take_removed(page: Page, removed: Removed) -> Page:
    """The page with its marked entries as deletes. A mark tells of a delete only: what else it lacks harms nothing.

    Most pages hold none, which is seen at the bytes of the field's name.
    """
    name = removed.field[-1].encode()
    entries: list[Record | Rejected] = [*page.records, *page.rejected]
    found = {entry.raw: key for entry, key in _marked(entries, removed, name)}
    if not found:
        return page
    page.gone = [*page.gone, *(Gone(key, "delta") for key in found.values())]
    page.records = [record for record in page.records if record.raw not in found]
    page.rejected = [bad for bad in page.rejected if bad.raw not in found]
    return page


def _marked(
    entries: Sequence[Record | Rejected], removed: Removed, name: bytes
) -> Iterator[tuple[Record | Rejected, str]]:
    for entry in entries:
        if name not in entry.raw:
            continue
        try:
            data = parse_carefully(entry.raw)
            mark = walk(data, removed.field)
            if mark is not None and mark is not False:
                yield entry, make_key([walk(data, path) for path in removed.key])
        except BadRecord:
            continue  # it stays what it was read as: a record, or set aside


def when_of(entry: Record) -> datetime | None:
    """When the record went of which an entry tells, where the list says so."""
    return entry.cursor if isinstance(entry.cursor, datetime) else None


def orphaned(page: Page, fields: int) -> Page:
    """A page of a list of tombstones of parents, which so many fields name: all of their children are gone."""
    families = [
        Family(stem, "tombstone", when_of(entry), told=True)
        for entry in page.records
        for stem in stems_of(entry.key, fields)
    ]
    page.listed = Listed([(entry.key, entry.digest.hex()) for entry in page.records], True, families)
    return page


def buried(page: Page) -> Page:
    """A page of a list of tombstones: each entry says that the record of its key is gone.

    The entries stay in `records`, too, for the cursor; they are no content.
    """
    page.gone = [Gone(entry.key, "tombstone", when_of(entry)) for entry in page.records]
    return page
