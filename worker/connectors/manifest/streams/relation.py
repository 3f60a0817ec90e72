"""What is read of a database, for a stream of the protocol `sql`? A table or view, or what a query of the user's returns.

orders: {table: public.orders, key: id, incremental: {field: updated_at}}
totals: {query: "select plant, sum(hours) as hours from work group by plant", key: plant}
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.connectors.reading.shape import FieldPath

LONGEST = 128
"""Characters of a name: what the most generous of databases takes."""

STRANGE = frozenset(
    {
        "arrays", "body", "conditions", "content_type", "detail", "domain", "explode", "headers", "method", "model", "paging",
        "params", "path", "single", "total", "variables", "where",
    }
)  # fmt: skip
STRANGE_CURSOR = frozenset(
    {"descending", "in", "param", "precision_param", "since", "template", "until", "until_param"}
)
"""Words of requests: a database isn't asked by them."""

Complain = Callable[[Sequence[str], str], Exception]


@dataclass(frozen=True, slots=True)
class Relation:
    """One of the two."""

    table: tuple[str, ...] = ()
    """Its name, with the schema before it where the stream says one."""
    query: str = ""

    @property
    def shown(self) -> str:
        """How errors and the log call it; of a query, that it is one."""
        return ".".join(self.table) or "query"


def read_relation(data: Mapping[str, Any], complain: Complain) -> Relation:
    """The stream's own words; the schema has been checked already."""
    check_words(data, complain)
    if ("table" in data) == ("query" in data):
        message = "a stream of a database is read from a table or from a query: say one of them."
        raise complain(("table",) if "table" in data else ("key",), message)
    if "query" in data:
        query = data["query"].strip().rstrip(";").rstrip()
        if not query or "\0" in query:
            raise complain(("query",), "the query is empty.")
        return Relation(query=query)
    named = data["table"]
    parts = tuple(named.split(".", 1)) if isinstance(named, str) else tuple(named)
    if not all(map(_is_name, parts)):
        raise complain(
            ("table",), "a table is named as orders, as public.orders, or as a list of schema and table."
        )
    return Relation(parts)


def check_words(data: Mapping[str, Any], complain: Complain) -> None:
    """Refuse what would be left out in silence."""
    for name in sorted(STRANGE & data.keys()):
        if data[name]:
            raise complain(
                (name,),
                f"{name} says nothing of a database: say `table` or `query`, `key`, `fields` and `rows`.",
            )
    if isinstance(data.get("filters"), Mapping):
        raise complain(("filters",), "filters of a database are a list of its columns.")
    for name in sorted(STRANGE_CURSOR & data.get("incremental", {}).keys()):
        raise complain(
            ("incremental", name), f"{name} says nothing of a database, which is asked by the column itself."
        )


def column_of(path: FieldPath, complain: Complain, *where: str) -> str:
    """The column that a path names: records of a database have no deeper places."""
    if len(path) != 1 or not _is_name(path[0]):
        message = f'{".".join(path)} names no column; write one whose name holds a dot as a list, ["a.b"].'
        raise complain(where, message)
    return path[0]


def _is_name(text: str) -> bool:
    return 0 < len(text) <= LONGEST and text.isprintable()
