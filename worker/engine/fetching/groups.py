"""Which pages go in one commit? Those that are there already, up to a size; nobody waits for one more.

A commit costs the same for one page as for several, so where the source is faster than Postgres, pages are grouped. Where
it is slower, each page is committed as it comes, and the group is one page. A crash repeats one group at most.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from worker.engine.fetching.extract import Fetched

MOST_BYTES = 8 * 1024 * 1024
"""Of what was fetched. A page that is larger is a group of its own."""
MOST_SECONDS = 0.5


def grouped(
    pages: Iterable[Fetched],
    ready: Callable[[], bool],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[Fetched]]:
    """Consecutive pages in groups, in their order. An error of a page comes after those before it were handed out.

    A group is empty once the next is asked for: nobody should hold the pages of two.
    """
    coming = iter(pages)
    failed: Exception | None = None
    while failed is None:
        group = [page for page in [next(coming, None)] if page is not None]
        if not group:
            return
        begun, size = clock(), group[0].size
        while size < MOST_BYTES and clock() - begun < MOST_SECONDS and not group[-1].done and ready():
            try:
                group.append(next(coming))
            except Exception as exc:  # noqa: BLE001 - raised below, once what came before it is committed
                failed = exc
                break
            size += group[-1].size
        yield group
        group.clear()  # else its records are held while the next page comes in
    raise failed
