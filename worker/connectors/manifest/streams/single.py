"""How is one record asked for, and which records alone? The manifest's `single:` and `filters:` of a stream.

single: {path: "/api/v1/parts/{key}", record: data}     # left out of it: the stream's own path, the answer itself
filters: [status, site_id]                              # parameters; for tryton, fields
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from worker.connectors.manifest.templates import fill_path
from worker.connectors.reading.shape import FieldPath, field_path_of
from worker.connectors.requests.conditions import Condition
from worker.errors import BadRecord, InvalidInput
from worker.parsing.documents import suggest

ABSENT = (404, 410)
KEY = "{key}"


@dataclass(frozen=True, slots=True)
class Single:
    """How a system is asked for one record."""

    path: str
    record: FieldPath
    absent: frozenset[int]
    params: Mapping[str, str | Sequence[str]] | None = None
    """Instead of those that the stream's other requests carry; None: the same."""
    method: str = "GET"
    body: Any = None
    """With {key} for the key."""
    number: bool = False
    """The key is a number where it stands alone in a body or condition of JSON."""
    by: Condition | None = None
    """The condition by which the stream itself is asked for that record alone."""
    quote: str = ""
    """The mark that stands around the key in the path, which is doubled inside of it."""

    def typed(self, key: str) -> str | int:
        """The key as the body says it."""
        if not self.number:
            return key
        if not key.isdecimal() or len(key) > 18:
            raise BadRecord("bad_key", f"{key[:40]!r} is no number, as the keys of this stream are.")
        return int(key)

    def _marked(self, key: str) -> str:
        return key.replace(self.quote, self.quote * 2) if self.quote else key

    def url(self, base_url: str, settings: Mapping[str, Any], key: str) -> str:
        """Of the record with this key, which can't break out of its place."""
        if key in {".", ".."}:
            raise BadRecord("bad_key", f"{key!r} can be no part of a path.")
        before, found, after = self.path.partition(KEY)
        if not found:
            return base_url + fill_path(before, settings)
        return (
            base_url
            + fill_path(before, settings)
            + quote(self._marked(key), safe="")
            + fill_path(after, settings)
        )


def single_of(data: Mapping[str, Any]) -> Single | None:
    """What a stream says of it, over its manifest's defaults; None: nothing."""
    found = data.get("single")
    if found is None:
        return None
    return Single(
        path=found.get("path", data.get("path", "") + ("" if {"body", "by"} & found.keys() else f"/{KEY}")),
        record=field_path_of(found.get("record", "")),
        absent=frozenset(found.get("absent", ABSENT)),
        params=found.get("params"),
        method=found.get("method", "POST" if "body" in found else data.get("method", "GET")),
        body=found.get("body"),
        number=found.get("number", False),
        quote=found.get("quote", ""),
        by=found.get("by"),
    )


def check_filters(stream: str, known: Sequence[str], values: Mapping[str, str]) -> None:
    """`InvalidInput` for the first name that the system can't be asked by."""
    for name in values:
        if name not in known:
            names = f"There are: {', '.join(known)}." if known else "Its manifest names no filters."
            raise InvalidInput(
                "unknown_filter",
                f"{stream} can't be asked for by {name!r}. {names}",
                place="filters",
                hint=suggest(name, known) or None if known else None,
            )
