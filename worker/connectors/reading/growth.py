"""How much may a page grow by what is put into each of its records? The names of columns, the fields of a parent.

A page's size is bounded while it comes in. A name of a megabyte before each of a million rows would be a terabyte all the same.
"""

from worker.errors import NeedsOperator

MOST = 64 * 1024 * 1024


def grown(before: int, by: int) -> int:
    """The bytes that were put in so far; raises where they are more than a process should hold."""
    if before + by > MOST:
        raise NeedsOperator(
            "page_too_large",
            f"What stands once in the answer and belongs to each record would make it larger by more than {MOST >> 20} MB.",
            hint="Ask for smaller pages in the connector's manifest.",
        )
    return before + by
