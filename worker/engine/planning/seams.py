"""Does a page go on where the one before ended? Pure.

While pages are read by their places, a delete or an edit before the place moves what comes after it: a record slips from
the page that is due to one that was read, and nobody reads it. So pages overlap. Each has to hold one of the last records
of the page before it, with the same content, since what wasn't changed doesn't move by itself: then everything after that
record is here, and nothing lies between the two pages. Where it holds none, a page farther back is read, until one is
found. It makes no difference when a page was read, so pages may be read side by side, or days apart.

Where pages can't overlap, a total that has changed says the same, though it doesn't see a record that only moved.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import xxhash

from worker.connectors.contract import Gone, Page, Record, Rejected, Seam

Mark = tuple[str, str]
"""A record's key and what it holds. What can't be taken or is gone has its place in the list, too, and a mark."""

MARKS = 8
"""So many of a page's last records are remembered: should the very last be changed or deleted, the next tells it, too."""
MOST_TURNS_BACK = 50
"""Beyond half of the pages that were read. Where records move faster than they are read, no reading is ever whole."""
MOST_AT_ONE_PLACE = 20
"""So often a reading turns back from one place. More often, it isn't the list that moves."""
MOST_ANEW = 5
"""So often a reading begins again at the first page."""


def marks_of(page: Page, before: Sequence[Mark]) -> tuple[Mark, ...]:
    """The last records that were read, after this page."""
    if page.listed is not None:
        return (*before, *page.listed.marks)[-MARKS:]
    last = (
        *map(_mark, page.records[-MARKS:]),
        *map(_aside, page.rejected[-MARKS:]),
        *map(_gone, page.gone[-MARKS:]),
    )
    return (*before, *last)[-max(MARKS, len(last)) :]


def goes_on(seam: Seam, page: Page, marks: Sequence[Mark], total: int | None) -> bool:
    """Whether nothing can lie between this page and those read before it."""
    match seam:
        case "record":
            known = dict(marks)
            if page.listed is not None:
                return not known or any(known.get(key) == held for key, held in page.listed.marks)
            return not known or any(known.get(key) == held for key, held in _marks(page, known))
        case "total":
            return total is None or page.total is None or page.total == total
        case _:
            return True


def without_marked(page: Page, marks: Sequence[Mark]) -> Page:
    """The page without what it shares with the one before: that was counted and stored. What can't be taken may be
    alike in two places, so it is set aside once more, which changes nothing.
    """
    known = dict(marks)
    return replace(page, records=[record for record in page.records if not _is_known(record, known)])


def _marks(page: Page, known: Mapping[str, str]) -> Iterator[Mark]:
    """Of what may be known."""
    yield from (_mark(record) for record in page.records if record.key in known)
    yield from map(_aside, page.rejected)
    yield from map(_gone, page.gone)


def _is_known(record: Record, known: Mapping[str, str]) -> bool:
    return record.key in known and _mark(record) == (record.key, known[record.key])


def _mark(record: Record) -> Mark:
    """With version and cursor: a record that was only touched moves, too."""
    return record.key, f"{record.digest.hex()} {record.version} {record.cursor}"


def _aside(bad: Rejected) -> Mark:
    return "rejected " + xxhash.xxh3_128_hexdigest(bad.raw), "rejected"


def _gone(gone: Gone) -> Mark:
    return "gone " + gone.key, "gone"
