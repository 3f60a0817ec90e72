"""How far do the cursors on a page reach, and where must one stop that is a number? Pure.

Numbers have no clock: nothing bounds a window of them beforehand. Where its pages come in any other order, a record that was
read may change while the next page is, with a number that is less than the greatest of all: a cursor that went there would
never ask for that change. What is certain is that whatever changes after the first page gets a number above all that had been
given out before it: those on the page, unless each of its records was asked for by itself; those that the window before had
seen; and what the system says (`Page.given_out`). So far the cursor goes, and no further. The next window reads the rest once
more, and then everything that this one saw had been given out before it.
"""

from worker.connectors.contract import CursorValue, Page, StreamTraits, Window


def is_unbounded(traits: StreamTraits, window: Window) -> bool:
    """Whether nothing but what was seen early says how far the cursor may go."""
    ordered = traits.ordered or (traits.ordered_since and window.since is not None)
    return traits.incremental and not (traits.timestamps or traits.token or ordered)


def greatest_of(page: Page) -> CursorValue | None:
    """The greatest cursor of what is on a page; None: nothing there has one."""
    cursors = [record.cursor for record in page.records if record.cursor is not None]
    if page.listed is not None and page.listed.reached is not None:
        cursors.append(page.listed.reached)
    return max(cursors, default=None)


def higher(
    high: CursorValue | None, greatest: CursorValue | None, bound: CursorValue | None = None
) -> CursorValue | None:
    """The greater of the two, as far as it may go."""
    if greatest is None:
        return high
    capped = greatest if bound is None else min(greatest, bound)
    return capped if high is None else max(high, capped)


def is_beyond(greatest: CursorValue | None, until: CursorValue | None) -> bool:
    """Whether a page that holds this goes past the window's end."""
    return until is not None and greatest is not None and greatest > until  # type: ignore[operator]
