"""What goes to a system and what comes back: requests and answers as plain data, and the window that a run asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

CursorValue = datetime | int
"""A place in a stream's order of change: an aware UTC datetime, or a whole number."""


TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a code
"""The code of the `NeedsOperator` that `Stream.read` raises where the system knows the window's token no longer."""


Position = Mapping[str, Any]
"""Where paging stands, as JSON: what a stream needs to describe the next request. Kept with each page's commit, so a
run goes on after a crash where its last page ended. Opaque to the engine."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to a system. `url` is absolute, or relative to the connection's base URL."""

    method: str
    url: str
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cost: int = 1
    """How much of the account's budget it takes."""
    absent: frozenset[int] = frozenset()
    """Statuses that are an answer here and no failure: what was asked for isn't there."""
    asked: bool = False
    """It is the request that was asked for, though its proof is in its body and has changed that."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a system answered. Header names are in lower case; `body` is decompressed and complete."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Window:
    """What a run asks for: records changed at or after `since` and, where the system can be asked so, up to `until`.

    `since` is inclusive, with the overlap taken off already. None is without a bound.
    """

    since: CursorValue | None = None
    until: CursorValue | None = None
    token: str | None = None
    """Where the cursor is a token: what the last window ended with. None reads everything."""
