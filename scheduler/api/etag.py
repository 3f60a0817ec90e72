"""Did somebody else change it meanwhile? What people edit has an `ETag`, and a change may name the one that it is made to.

`If-None-Match` needs nothing here: the frame answers 304 where the tag of an answer is one that the client has already.
"""

import json
from typing import Any

import xxhash
from fastapi import Request, Response

from worker.errors import HeadraceError


class Stale(HeadraceError):
    """What was to be changed isn't what the client has seen. Answered 412."""

    def __init__(self) -> None:
        super().__init__(
            "changed_meanwhile",
            "It was changed since you read it: your If-Match names another state.",
            hint="Read it again, and make your change to what it is now.",
        )


def etag_of(shape: Any) -> str:
    """The tag of what is shown; the same content has the same tag, in every process."""
    text = json.dumps(shape, sort_keys=True, default=str, ensure_ascii=False)
    return f'"{xxhash.xxh3_128_hexdigest(text)}"'


def tag(response: Response, shape: Any) -> None:
    """Give an answer the tag of what it shows."""
    response.headers["ETag"] = etag_of(shape)


def refuse_stale(request: Request, shape: Any) -> None:
    """Raise `Stale` where the client's `If-Match` isn't the tag of this: what is there now, read under the lock of the change.

    A client that sends none changes whatever is there.
    """
    given = request.headers.getlist("if-match")
    if given and not matches(",".join(given), etag_of(shape), weak=False):
        raise Stale


def matches(header: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of tags, or `*`, names this one. A weak tag never says that something may be overwritten."""
    for part in header.split(","):
        name = part.strip()
        if name in {"*", etag} or (weak and name.removeprefix("W/") == etag):
            return True
    return False
