"""Where does a request go, and may it? Pure.

Promises: only to the scheme, host and port of the connection's base URL, because what proves who we are is sent along.
A relative URL is appended to the base URL's path, with or without a slash before it. A query that is there stays as it
is, to the byte: systems sign their links.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard
from urllib.parse import quote

import httpx

from worker.connectors.contract import Auth, Request, Source, TokenAuth
from worker.errors import NeedsOperator
from worker.http.wire.message import Origin

_PORTS = {"https": 443, "http": 80}
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_AS_IT_IS = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII)
_KEPT = 16_384
_LONGEST_KEPT = 500
"""Streams ask for the same few addresses again and again; links to a next page are longer, and never come twice."""

_KINDS: dict[type, bool] = {}
"""By the class of an `Auth`: to ask whether an object follows a protocol costs as much as a tenth of a request."""


@dataclass(frozen=True, slots=True)
class Address:
    """The whole URL of a request, taken apart."""

    origin: Origin
    place: str
    """The host, and the port where it isn't the scheme's own: what errors call a system by, and its `Host`."""
    target: str
    """Path and query."""
    url: str

    @property
    def host(self) -> str:
        return self.origin.host

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        return self.url

    def asking(self, params: Sequence[tuple[str, str]]) -> "Address":
        """The same with these parameters after what its query holds already."""
        more = ("&" if "?" in self.target else "?") + _written(params)
        return Address(self.origin, self.place, self.target + more, self.url + more)


def address_of(base_url: str, request: Request) -> Address:
    """The whole URL of a request, or `NeedsOperator` where it must not be sent to."""
    kept = len(request.url) <= _LONGEST_KEPT
    address = _known(base_url, request.url) if kept else _resolved(base_url, request.url)
    return address.asking(request.params) if request.params else address


def home_of(source: Source, outgoing: Request) -> str:
    """Which host a request must not leave: the system's, or that of the server which gives out its tokens."""
    auth = source.auth
    if gets_tokens(auth) and outgoing.url == auth.token_url:
        return auth.token_url
    return source.base_url


def gets_tokens(auth: Auth) -> TypeGuard[TokenAuth]:
    """Whether it gets its tokens from a server, which may be another host."""
    kind = type(auth)
    if kind not in _KINDS:
        _KINDS[kind] = isinstance(auth, TokenAuth)
    return _KINDS[kind]


def _resolved(base_url: str, text: str) -> Address:
    base = _base(base_url)
    url = _joined(base, text)
    if _origin(url) != _origin(base) or url.userinfo:
        raise NeedsOperator(
            "elsewhere",
            f"A request of the connection to {_place(base)} was to go to {_place(url)}; its secrets go nowhere else.",
            hint="If the system has moved, change the connection's address.",
        )
    url = url.copy_with(query=url.query or None, fragment=None)
    return Address(_origin(url), _place(url), url.raw_path.decode("ascii"), str(url))


_known = lru_cache(maxsize=_KEPT)(_resolved)


def _place(url: httpx.URL) -> str:
    name = url.raw_host.decode("ascii")
    name = f"[{name}]" if ":" in name else name
    return name if url.port is None else f"{name}:{url.port}"


def _origin(url: httpx.URL) -> Origin:
    return Origin(url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS.get(url.scheme, 0))


def _written(params: Sequence[tuple[str, str]]) -> str:
    # %20, not +: who reads a form takes both, OData only the first.
    return "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in params])


def _quoted(text: str) -> str:
    return text if _AS_IT_IS.fullmatch(text) else quote(text, safe="")


def _base(text: str) -> httpx.URL:
    url = _parsed(text)
    if url.scheme not in _PORTS or not url.host or url.userinfo:
        raise NeedsOperator(
            "bad_address",
            "The connection's address is not one that requests can be sent to.",
            hint="Write it as https://host/path, without a user or password in it.",
        )
    return url


def _joined(base: httpx.URL, text: str) -> httpx.URL:
    if _ABSOLUTE.match(text):
        return _parsed(text)
    if text.startswith("//"):
        return _parsed(f"{base.scheme}:{text}")
    stem = str(base.copy_with(query=None, fragment=None))
    if not text or text[0] in "?#":
        return _parsed(stem + text)
    return _parsed(f"{stem.rstrip('/')}/{text.lstrip('/')}")


def _parsed(text: str) -> httpx.URL:
    try:
        return httpx.URL(text)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise NeedsOperator(
            "bad_address",
            "A request has an address that can't be read.",
            hint="Look at the connection's address and settings, and at the paths in the system's manifest.",
        ) from None
