"""How are the newest of few found among very many? Of each its own, by its index, and of those the newest.

A condition such as `tenant = ANY (…)` keeps no order, so Postgres would sort all that fit, or walk through what doesn't.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, cast, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY


def newest_of_each(rows: Select[Any], column: ColumnElement[Any], values: Sequence[Any]) -> Select[Any]:
    """`rows`, which are ordered and limited, for each value of a column: at most so many of each, in no order."""
    each = (
        func.unnest(cast(list(values), ARRAY(column.type)))
        .table_valued("value", name="each")
        .render_derived()
    )
    newest = rows.where(column == each.c.value).lateral("newest")
    return select(newest).select_from(each.join(newest, true()))
