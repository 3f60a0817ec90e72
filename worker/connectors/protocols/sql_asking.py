"""What is asked of a database? The body of a request of the protocol `sql`: which rows, in which order, from where on.

It is data: statements are made of it by `worker/sql`, which knows the database's dialect.
"""

import msgspec

READ, DISCOVER = "SELECT", "DISCOVER"
"""The methods of requests."""
LAST, MORE, GREATEST = "x-last", "x-more", "x-greatest"
"""Headers of answers: the values by which the last row stands in its order, whether there may be more rows (1 or 0), and the
greatest cursor of all before any row was read."""


class Moment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A bound of the window."""

    said: str | int
    """As the manifest's format has it."""
    at: str = ""
    """The same in UTC (ISO 8601); empty: the cursor is a number."""
    zone: str = "UTC"
    """The zone of columns that keep none."""


class Asking(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rows of one relation."""

    table: tuple[str, ...] = ()
    query: str = ""
    fields: tuple[str, ...] = ()
    """The columns to read; none: all that there are."""
    key: tuple[str, ...] = ()
    cursor: tuple[str, ...] = ()
    """The column of the cursor; of several, the first that isn't null."""
    by_cursor: bool = False
    """Rows come in the order of the cursor and then the key, else of the key."""
    behind: tuple[str | int | float | dict[str, str], ...] = ()
    """What the last row before these holds of that order, as `LAST` said it."""
    since: Moment | None = None
    until: Moment | None = None
    equals: dict[str, str] = {}
    """Columns and what they hold, as text."""
    greatest: bool = False
    """The greatest cursor is asked for, too: a number, of which the rows alone don't say how far they reach."""
    one: bool = False
    """The one row of that key: where its columns can't hold what the key says, there is none."""
    rows: int = 1000
    """At most so many; fewer come where they are large."""
    seconds: int = 60
    """The statement's own time-out, at the database."""

    @property
    def relation(self) -> str:
        return ".".join(self.table) or "query"


class Discovering(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is there?"""

    schema: str = ""
    """Of which schema; empty: of all that aren't the database's own."""
    seconds: int = 60


class FoundColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of a table."""

    name: str
    type: str
    nullable: bool = True
    kind: str = ""
    """`time`, `zoned` (a time that knows its zone), `date`, `number`, or nothing of these."""
    indexed: bool = False
    """An index begins with it."""
    sample: str | int | None = None
    """What stands in it, where the type doesn't say how times are written."""


class FoundTable(msgspec.Struct, frozen=True, omit_defaults=True):
    """A table or view."""

    schema: str
    name: str
    columns: tuple[FoundColumn, ...]
    key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    view: bool = False
    rows: int | None = None
    """About so many, where the database keeps count."""
    comment: str = ""


class FoundTables(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer."""

    tables: tuple[FoundTable, ...]
    left_out: int = 0
    """Tables beyond the most that are told of."""
