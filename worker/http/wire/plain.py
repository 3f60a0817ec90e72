"""Is this the kind of answer that nearly all systems give, and what is in it?

HTTP/1.1 with a length, its head whole in what came first. That kind is read here at a fraction of what a whole parser
costs; whatever is the least bit different (chunks, no length, two lengths, an interim answer, an odd byte in a head) is
none of ours: `plain_head` says None, and `careful` reads it from its first byte.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import httpx

from worker.http.wire.line import CHUNK, Deadline, Line
from worker.http.wire.message import TooLarge, joined, text_of

LARGEST_READ = 4 * CHUNK
_END = b"\r\n\r\n"
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [\t -~\x80-\xff]*+)?"
    rb"((?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+)*+)\r\n\r\n"
)
_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)
_NO_BODY = frozenset({204, 205, 304})


@dataclass(frozen=True, slots=True)
class Head:
    """A head with a length."""

    status: int
    headers: Mapping[str, str]
    length: int
    begun: bytes
    """What of the body came with it."""
    stays: bool
    """The connection may be used again."""


def plain_head(came: bytes, method: str) -> Head | None:
    """The head at the beginning of what came, if it is of the plain kind."""
    found = _HEAD.match(came)
    if found is None or method == "HEAD":
        return None
    status = int(found[1])
    headers = joined(
        (name, value.strip(" \t"))
        for name, _, value in (line.partition(":") for line in text_of(found[2]).split("\r\n")[1:])
    )
    length = headers.get("content-length", "")
    if status in _NO_BODY or "transfer-encoding" in headers or not _LENGTH.fullmatch(length):
        return None
    begun = came[found.end() :]
    stays = "connection" not in headers or headers["connection"].lower() == "keep-alive"
    return Head(status, headers, int(length), begun, stays and len(begun) <= int(length))


def rest_of(head: Head, line: Line, deadline: Deadline, most: int) -> bytes:
    """The whole body."""
    if head.length > most:
        raise TooLarge
    size = len(head.begun)
    if size >= head.length:
        return head.begun[: head.length]
    body = BytesIO()
    body.write(head.begun)
    while size < head.length:
        chunk = line.receive(deadline, min(head.length - size, LARGEST_READ))
        if not chunk:
            raise httpx.RemoteProtocolError("the answer ends too early")
        body.write(chunk)
        size += len(chunk)
    return body.getvalue()
