"""Where does a request go, and may it? Pure.

Promises: only to the scheme, host and port of the connection's base URL, because what proves who we are is sent along.
A relative URL is appended to the base URL's path, with or without a slash before it. A query that is there stays as it
is, to the byte: systems sign their links.
"""

import re
from urllib.parse import quote, urlencode

import httpx

from worker.connectors.contract import Request
from worker.errors import NeedsOperator

_PORTS = {"https": 443, "http": 80}
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def address_of(base_url: str, request: Request) -> httpx.URL:
    """The whole URL of a request, or `NeedsOperator` where it must not be sent to."""
    base = _base(base_url)
    url = _joined(base, request.url)
    if _origin(url) != _origin(base) or url.userinfo:
        raise NeedsOperator(
            "elsewhere",
            f"A request of the connection to {place(base)} was to go to {place(url)}; its secrets go nowhere else.",
            hint="If the system has moved, change the connection's address.",
        )
    query = url.query
    if request.params:
        # %20, not +: who reads a form takes both, OData only the first.
        more = urlencode(request.params, quote_via=quote).encode()
        query = query + b"&" + more if query else more
    return url.copy_with(query=query or None, fragment=None)


def place(url: httpx.URL) -> str:
    """The host, and the port where it isn't the scheme's own: what errors call a system by."""
    name = f"[{url.host}]" if ":" in url.host else url.host
    return name if url.port is None else f"{name}:{url.port}"


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port or _PORTS.get(url.scheme)


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
