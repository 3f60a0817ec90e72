"""Which statement asks for these rows? Made of SQLAlchemy's parts: names are quoted by the dialect, values are parameters.

Postgres writes the JSON itself, to the last digit of every type; other databases send values (`values`). Where a database
can't compare rows, a place in the order is said column by column. Pure.
"""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement, quoted_name

from worker.connectors.protocols.sql_asking import Asking, Moment
from worker.sql.values import value_at

COMPARES_ROWS = frozenset({"postgresql", "sqlite"})
AS_TEXT, AS_BASE64 = "text", "base64"
"""How Postgres is to write a column, where its own way isn't ours."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of what is read."""

    name: str
    written: str = ""
    """`AS_TEXT`, `AS_BASE64`, or as the database writes it."""
    kind: str = ""
    """`datetime`, `zoned` or `date` where parameters must be such, too; else they are said as the manifest has them."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A page's statement, and what its rows are: those of `names`, and then their places in the order."""

    select: sa.Select[*tuple[Any, ...]]
    names: tuple[str, ...]
    """None: the first value is the row as JSON."""
    places: int


def look(asking: Asking) -> sa.Select[Any]:
    """What tells the columns: it has no rows."""
    return sa.select(sa.literal_column("*")).select_from(_relation(asking, ())).limit(0)


def page(asking: Asking, columns: Sequence[Column], dialect: str) -> Statement:
    """The rows that are asked for, of a relation with these columns."""
    known = {column.name: column for column in columns}
    wanted = [known[name] for name in asking.fields] if asking.fields else list(columns)
    order = _order(asking)
    needed = dict.fromkeys(
        [*(column.name for column in wanted), *(name for group in order for name in group)]
    )
    relation = _relation(asking, [*needed, *asking.equals, *asking.cursor])
    say = _Saying(dialect, known)
    groups = [_first_of(relation, group) for group in order]
    select = sa.select(*(relation.c[name] for name in needed))
    for condition in _conditions(asking, relation, order, groups, say):
        select = select.where(condition)
    select = select.order_by(*groups).limit(asking.rows)
    if dialect == "postgresql":
        return _as_json(select, wanted, order)
    names = tuple(column.name for column in wanted)
    found = select.with_only_columns(
        *(relation.c[name] for name in names), *groups, maintain_column_froms=True
    )
    return Statement(found, names, len(groups))


def greatest(asking: Asking) -> sa.Select[Any]:
    """What tells the greatest cursor of all."""
    relation = _relation(asking, asking.cursor)
    return sa.select(sa.func.max(_first_of(relation, asking.cursor))).select_from(relation)


def _relation(asking: Asking, names: Sequence[str]) -> Any:
    columns: list[sa.ColumnClause[Any]] = [sa.column(quoted(name)) for name in dict.fromkeys(names)]
    if asking.query:
        # What looks like a parameter of SQLAlchemy's is the query's own; a comment at its end must not go on.
        text = asking.query.replace(":", r"\:") + "\n"
        return sa.text(text).columns(*columns).subquery("asked")
    *schema, name = asking.table
    return sa.table(quoted(name), *columns, schema=quoted(schema[0]) if schema else None)


def _order(asking: Asking) -> list[tuple[str, ...]]:
    """By what rows are sorted: each of them columns, of which the first that isn't null counts."""
    cursor = [asking.cursor] if asking.by_cursor and asking.cursor else []
    return [*cursor, *((name,) for name in asking.key if (name,) not in cursor)]


def _first_of(relation: Any, names: Sequence[str]) -> ColumnElement[Any]:
    found = [relation.c[name] for name in names]
    return found[0] if len(found) == 1 else sa.func.coalesce(*found)


def _conditions(
    asking: Asking,
    relation: Any,
    order: Sequence[tuple[str, ...]],
    groups: Sequence[ColumnElement[Any]],
    say: "_Saying",
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if asking.cursor:
        cursor = _first_of(relation, asking.cursor)
        if asking.since is not None:
            found.append(cursor >= say.moment(asking.since, asking.cursor[0]))
        if asking.until is not None:
            upto = cursor <= say.moment(asking.until, asking.cursor[0])
            found.append(upto if asking.since is not None else sa.or_(upto, cursor.is_(None)))
    found += [say.equals(name, relation.c[name], text) for name, text in asking.equals.items()]
    if asking.behind:
        found.append(say.behind(groups, [group[0] for group in order], asking.behind))
    return found


class _Saying:
    """Parameters as a dialect wants them."""

    def __init__(self, dialect: str, columns: dict[str, Column]) -> None:
        self._dialect = dialect
        self._columns = columns

    def moment(self, moment: Moment, column: str) -> Any:
        kind = self._columns[column].kind
        if not moment.at or not kind:
            return self._value(moment.said)
        at = datetime.fromisoformat(moment.at).astimezone(UTC)
        if kind == "zoned":
            return self._typed(at)
        local = _said_in(ZoneInfo(moment.zone), moment, at).replace(tzinfo=None)
        return self._typed(local.date() if kind == "date" else local)

    def equals(self, name: str, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
        """What a key or filter says as text, compared as the column is."""
        if self._dialect == "postgresql":
            if self._columns[name].written == AS_BASE64:
                return column == sa.func.decode(self._value(text), "base64")
            return column == self._value(text)
        ways: list[Any] = [text]
        if _is_number(text):
            ways.append(int(text))
        if self._dialect == "sqlite" and (raw := _bytes_of(text)) is not None:
            ways.append(raw)
        return sa.or_(*(column == self._typed(way) for way in ways))

    def behind(
        self, groups: Sequence[ColumnElement[Any]], columns: Sequence[str], places: Sequence[Any]
    ) -> ColumnElement[bool]:
        values = [self._value(value_at(place)) for place in places]
        if len(groups) == 1:
            return groups[0] > values[0]
        if self._dialect in COMPARES_ROWS:
            return sa.tuple_(*groups) > sa.tuple_(*values)
        del columns
        ways = [
            sa.and_(*(groups[before] == values[before] for before in range(at)), groups[at] > values[at])
            for at in range(len(groups))
        ]
        return sa.and_(groups[0] >= values[0], sa.or_(*ways))

    def _value(self, value: Any) -> ColumnElement[Any]:
        """Postgres takes text for what its column is, and so reads back exactly what it wrote."""
        return self._typed(str(value) if self._dialect == "postgresql" else value)

    def _typed(self, value: Any) -> ColumnElement[Any]:
        return sa.bindparam(None, value, type_=sa.types.NullType())


def _as_json(select: Any, wanted: Sequence[Column], order: Sequence[tuple[str, ...]]) -> Statement:
    page = select.subquery("page")
    shown = (
        sa.select(*(_written(page.c[column.name], column) for column in wanted))
        .select_from(page)
        .correlate(page)
        .lateral("shown")
    )
    row = sa.cast(sa.func.row_to_json(shown.table_valued()), sa.Text)
    places = [sa.cast(_first_of(page, group), sa.Text) for group in order]
    return Statement(sa.select(row, *places).select_from(page.join(shown, sa.true())), (), len(places))


def _written(column: ColumnElement[Any], how: Column) -> ColumnElement[Any]:
    if how.written == AS_TEXT:
        return sa.cast(column, sa.Text).label(quoted(how.name))
    if how.written == AS_BASE64:
        plain = sa.func.replace(sa.func.encode(column, "base64"), "\n", "")
        return plain.label(quoted(how.name))
    return column


def quoted(name: str) -> quoted_name:
    return quoted_name(name, quote=True)


def _said_in(zone: ZoneInfo, moment: Moment, at: datetime) -> datetime:
    """The bound in the column's zone. As requests say it, an hour that comes twice is all within it."""
    try:
        said = at if isinstance(moment.said, int) else datetime.fromisoformat(moment.said)
    except ValueError:
        said = at
    return said.astimezone(zone) if said.tzinfo else said


def _is_number(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdecimal() and len(text) <= 19


def _bytes_of(text: str) -> bytes | None:
    """What a key of bytes says; None: it can be none."""
    try:
        return b64decode(text, validate=True) if text else None
    except (ValueError, UnicodeEncodeError):
        return None
