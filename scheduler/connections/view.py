"""Which connections are there for somebody, and which of them are meant? Views, as parameters of SQL.

A view is what a principal sees, or a part of it: an environment, tenants, connections, labels; None is no limit. All SQL
asks `headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)` with it, so that there is one answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from psycopg.types.json import Jsonb
from sqlalchemy import ColumnElement, cast, func, literal_column
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import BigInteger, Text

from scheduler.access.principal import EVERYTHING
from worker.errors import InvalidInput

View: TypeAlias = Mapping[str, Any]

__all__ = ["EVERYTHING", "View", "labels_of", "meant", "narrowed", "seen"]

_LONGEST = 200


def narrowed(
    view: View,
    *,
    environment: str | None = None,
    tenant: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What is left of a view by these filters; what it doesn't show can't be filtered into it."""
    shown = dict(view)
    if environment is not None:
        if shown["environment"] not in {None, environment}:
            shown["connections"] = []
        else:
            shown["environment"] = environment
    if tenant is not None:
        shown["tenants"] = [tenant] if shown["tenants"] is None or tenant in shown["tenants"] else []
    if labels:
        shown["labels"] = Jsonb(dict(labels))
    return shown


def meant(
    view: View,
    *,
    tenant: str | None = None,
    labels: Mapping[str, str] | None = None,
    environment: str | None = None,
) -> dict[str, Any]:
    """The same for an act on many at once, which nobody means of all that there is: a tenant or a label is needed."""
    if tenant is None and not labels:
        raise InvalidInput(
            "no_filter",
            "Say which connections are meant: those of a tenant, with labels, or both.",
            place="body",
        )
    return narrowed(view, environment=environment, tenant=tenant, labels=labels)


def labels_of(given: Sequence[str], *, place: str | None = None) -> dict[str, str]:
    """Labels as people write them, `key:value` each. All of them must be there."""
    labels: dict[str, str] = {}
    for text in given:
        key, colon, value = text.partition(":")
        if not key or not colon or len(text) > _LONGEST or "\0" in text:
            raise InvalidInput(
                "bad_label",
                "A label is written as key:value.",
                place=place,
                hint="For example `region:north`.",
            )
        if labels.setdefault(key, value) != value:
            raise InvalidInput("bad_label", "A label has one value.", place=place)
    return labels


def seen(view: View) -> ColumnElement[bool]:
    """The same question, in a statement of SQLAlchemy with the table `connections`."""
    labels = view["labels"]
    return func.headrace_sees(
        cast(view["environment"], Text),
        cast(view["tenants"], ARRAY(Text)),
        cast(view["connections"], ARRAY(BigInteger)),
        cast(None if labels is None else labels.obj, JSONB(none_as_null=True)),
        literal_column("connections"),
    )
