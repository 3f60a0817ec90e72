"""What is sent over a connection, and what comes back? Plain data.

Promises: what can't be written as HTTP is refused before anything is sent, without a word of it in the error: a value
may be a secret. How a message is framed (its length) is decided here alone, so no header can say otherwise.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import httpx

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
_TARGET = re.compile(r"[!-~]+")
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "host"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Who a connection leads to."""

    scheme: str
    host: str
    """In ASCII; an IPv6 address without its brackets."""
    port: int

    @property
    def secure(self) -> bool:
        return self.scheme == "https"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request as it goes over the wire."""

    origin: Origin
    method: str
    target: str
    """Path and query."""
    host: str
    """The name and port that the system is called by."""
    headers: Sequence[tuple[str, str]]
    body: bytes | None = None

    def check(self) -> None:
        """Refuse what can't be written."""
        if not _TOKEN.fullmatch(self.method) or not _TARGET.fullmatch(self.target):
            raise httpx.LocalProtocolError("the request line can't be written")
        for name, value in self.headers:
            if name in _OURS or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise httpx.LocalProtocolError("a header can't be written")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, its body as it came (compressed, if it was). Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TooLarge(Exception):
    """The body is larger than it may be; the rest of it was not read."""


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by name, in lower case; what comes twice stands with a comma between (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def text_of(raw: bytes) -> str:
    """A header as text: most are ASCII, some are UTF-8, and every byte is Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
