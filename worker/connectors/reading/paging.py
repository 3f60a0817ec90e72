"""Which page comes next? Arithmetic on positions, one small class for each way of paging.

A position is a small JSON object, kept with each page's commit. A page that leads to itself, or to one already seen,
raises Transient `paging_stuck`; a link to another host is refused (`next_link_elsewhere`), since it would carry the
connection's credentials there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit, urlunsplit

import msgspec

from worker.connectors.contract import Position, Response
from worker.errors import NeedsOperator, Transient

FieldPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What an answer says about its place among the pages."""

    count: int
    """How many records it holds, bad ones too."""
    pointer: Any = None
    """What stands at `Paging.pointer`, decoded; None if nothing does."""
    total: int | None = None


class Paging(Protocol):
    """One way of paging."""

    @property
    def pointer(self) -> FieldPath | None:
        """Where the body says what comes next."""
        ...

    def params(self, position: Position | None) -> Sequence[tuple[str, str]]: ...

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        """The next position; None at the end."""
        ...


@dataclass(frozen=True, slots=True)
class OnePage:
    """Everything comes in one answer."""

    pointer: FieldPath | None = None

    def params(self, position: Position | None) -> Sequence[tuple[str, str]]:
        del position
        return ()

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del position, seen, response
        return None


@dataclass(frozen=True, slots=True)
class ByOffset:
    """Skip so many, send so many. Ends at an empty page, or a short one unless the total says that more is there."""

    param: str
    limit_param: str
    size: int
    until_empty: bool = False
    pointer: FieldPath | None = None

    def params(self, position: Position | None) -> Sequence[tuple[str, str]]:
        return ((self.param, str(_count(position, "offset", 0))), (self.limit_param, str(self.size)))

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del response
        offset = _count(position, "offset", 0) + seen.count
        return {"offset": offset} if _goes_on(seen, offset, self.size, until_empty=self.until_empty) else None


@dataclass(frozen=True, slots=True)
class ByNumber:
    """Pages are numbered. Ends like `ByOffset`."""

    param: str
    size_param: str | None
    size: int
    first: int = 1
    until_empty: bool = False
    pointer: FieldPath | None = None

    def params(self, position: Position | None) -> Sequence[tuple[str, str]]:
        number = (self.param, str(_count(position, "page", self.first)))
        return (number, (self.size_param, str(self.size))) if self.size_param else (number,)

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del response
        page = _count(position, "page", self.first)
        so_far = _count(position, "so_far", 0) + seen.count
        if not _goes_on(seen, so_far, self.size, until_empty=self.until_empty):
            return None
        return {"page": page + 1, "so_far": so_far}


@dataclass(frozen=True, slots=True)
class ByCursor:
    """The answer holds an opaque text for the next request. Ends where it is missing, null or empty."""

    param: str
    path: FieldPath
    size_param: str | None = None
    size: int = 0

    @property
    def pointer(self) -> FieldPath | None:
        return self.path

    def params(self, position: Position | None) -> Sequence[tuple[str, str]]:
        size = ((self.size_param, str(self.size)),) if self.size_param else ()
        return (*size, (self.param, str(position["cursor"]))) if position else size

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del response
        value = seen.pointer
        if value is None or value is False or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Transient(
                "malformed_page", f"The cursor of the next page is {type(value).__name__}, not text."
            )
        return _advance(position, "cursor", str(value))


@dataclass(frozen=True, slots=True)
class ByLink:
    """The answer holds the URL of the next page, in its body or in a `Link` header. It is followed as it is."""

    base_url: str = ""
    path: FieldPath | None = None
    size_param: str | None = None
    size: int = 0

    @property
    def pointer(self) -> FieldPath | None:
        return self.path

    def params(self, position: Position | None) -> Sequence[tuple[str, str]]:
        return ((self.size_param, str(self.size)),) if self.size_param and position is None else ()

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        link = seen.pointer if self.path is not None else link_of(response.headers)
        if link is None or link is False or link == "":
            return None
        if not isinstance(link, str):
            raise Transient(
                "malformed_page", f"The link to the next page is {type(link).__name__}, not text."
            )
        return _advance(position, "url", same_origin(self.base_url, link, seen_at=response.url))


def link_of(headers: Mapping[str, str]) -> str | None:
    """The `rel="next"` link of a Link header (RFC 8288)."""
    for match in re.finditer(
        r"<([^>]*)>((?:\s*;\s*[^;,=]+(?:=(?:\"[^\"]*\"|[^;,]*))?)*)", headers.get("link", "")
    ):
        if re.search(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?next(?:\s[^\"]*)?\"|next\b)", match[2], re.IGNORECASE):
            return match[1]
    return None


def same_origin(base_url: str, link: str, *, seen_at: str = "") -> str:
    """The URL that a link means, if it leads to the connection's own host. `http` written by a server behind TLS becomes `https`."""
    base = urlsplit(base_url)
    try:
        parts = urlsplit(urljoin(seen_at, link))
        if base.scheme == "https" and parts.scheme == "http" and parts.port in {None, 80}:
            parts = parts._replace(scheme="https", netloc=parts.hostname or "")
        same = _origin(parts) == _origin(base) and "@" not in parts.netloc
    except ValueError:
        parts, same = base, False
    if not same:
        shown = ascii(link.split("?", maxsplit=1)[0])[:120]
        raise NeedsOperator(
            "next_link_elsewhere",
            f"The link to the next page leads to another host: {shown}, not {base.scheme}://{base.netloc}.",
            hint="If the system lives there now, change base_url of the connection.",
        )
    return urlunsplit(parts._replace(fragment=""))


def _origin(parts: Any) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _count(position: Position | None, name: str, default: int) -> int:
    return int(position[name]) if position else default


def _goes_on(seen: Seen, so_far: int, size: int, *, until_empty: bool) -> bool:
    if seen.count == 0:
        return False
    if seen.total is not None and so_far < seen.total:
        return True
    return until_empty or seen.count >= size


def _advance(position: Position | None, name: str, value: str) -> Position:
    """The next position. A circle of any length is found with one remembered page (Brent's method)."""
    if position is None:
        return {name: value, "mark": value, "steps": 0, "reach": 1}
    if value in {position[name], position["mark"]}:
        raise Transient(
            "paging_stuck", "The system sends the same page again and again: its next page was already read."
        )
    steps = position["steps"] + 1
    if steps >= position["reach"]:
        return {name: value, "mark": value, "steps": 0, "reach": position["reach"] * 2}
    return {name: value, "mark": position["mark"], "steps": steps, "reach": position["reach"]}


def decode_pointer(raw: bytes) -> Any:
    """What stands where the next page is named."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Transient("malformed_page", "What names the next page can't be read.") from None
