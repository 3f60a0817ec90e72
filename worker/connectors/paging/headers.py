"""What do the headers of an answer say of its place among the pages, where its body doesn't?

    total: {header: X-Total-Count}
    paging: {page: {…, pages: {header: X-Total-Pages}}}
    paging: {cursor: {…, more: {header: X-Has-More}}}
    incremental: {kind: token, token: {header: ETag}, header: If-None-Match}

A stream that names no header has none of this, and pays nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from worker.connectors.paging.links import link_of
from worker.connectors.reading.reader import Seen

LAST_MODIFIED = "last-modified"
_YES, _NO = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no", ""})
_WHOLE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Told:
    """The headers that a manifest names, in lower case."""

    total: str | None = None
    """How many records there are in all."""
    pages: str | None = None
    """How many pages."""
    more: str | None = None
    """Whether there is more: true or false, yes or no, 1 or 0."""
    link: str | None = None
    """A link to the next page, of which only counts that there is one."""
    token: str | None = None
    """What the next window begins with."""

    def over(self, seen: Seen, headers: Mapping[str, str]) -> Seen:
        """What was seen in the body, and what the headers say."""
        found: dict[str, Any] = {}
        if self.total is not None:
            found["total"] = _count(headers.get(self.total))
        if self.pages is not None:
            found["pointer"] = _count(headers.get(self.pages))
        if self.link is not None:
            found["pointer"] = link_of(headers) if self.link == "link" else headers.get(self.link)
        if self.more is not None:
            found["more"] = _truth(headers.get(self.more))
        if self.token is not None:
            found["token"] = _token(self.token, headers)
        return replace(seen, **found)


def told_of(data: Mapping[str, Any]) -> Told | None:
    """The headers that a stream names; None: none at all."""
    paging: Mapping[str, Any] = next(iter(data.get("paging", {}).values()), {})
    told = Told(
        total=header_of(data.get("total")),
        pages=header_of(paging.get("pages")),
        more=header_of(paging.get("more")),
        link=header_of(paging.get("link")),
        token=header_of(data.get("incremental", {}).get("token")),
    )
    return None if told == Told() else told


def header_of(place: Any) -> str | None:
    """The name of the header that a manifest says something stands in; None: it stands in the body, or nowhere."""
    return str(place["header"]).lower() if isinstance(place, Mapping) and "header" in place else None


def _count(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() and len(value) < 16 else None


def _truth(value: str | None) -> bool | None:
    said = None if value is None else value.strip().lower()
    return True if said in _YES else False if said in _NO else None


def _token(name: str, headers: Mapping[str, str]) -> str | None:
    """A time of change that is as young as the answer may stand for two states: what changes in the rest of that second
    bears the same (RFC 9110, 8.8.2.2). Then the token before it is kept, and everything asked for once more.
    """
    token = headers.get(name)
    if token is None or name != LAST_MODIFIED:
        return token
    try:
        young = parsedate_to_datetime(headers["date"]) - parsedate_to_datetime(token) < _WHOLE_SECOND
    except (KeyError, ValueError, TypeError):
        return None
    return None if young else token
