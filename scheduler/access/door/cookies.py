"""Which cookie is a session's, and did our own page send it? Pure.

A browser sends a cookie with whatever page asks for it, so a cookie counts for a change only where the browser says that
one of our pages asked: by `Origin`, which no page can forge, and every browser sends with what isn't safe. Beside that
the cookie is `SameSite=Strict`, so a browser doesn't even send it for others.
"""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


def cookie_name(host: str) -> str:
    """On the machine itself there is no TLS; everywhere else a browser keeps the cookie to this host and to TLS."""
    return "headrace_session" if is_loopback(host) else "__Host-headrace_session"


def session_of(headers: Sequence[str], host: str) -> str | None:
    """The session's value in the Cookie headers; None where there is none, or more than one: a neighbour planted the other."""
    name = cookie_name(host)
    pairs = [part.strip().partition("=") for header in headers for part in header.split(";")]
    values = [value for key, _, value in pairs if key == name]
    return values[0] if len(values) == 1 and _VALUE.fullmatch(values[0]) else None


def set_cookie(value: str, host: str, seconds: int, origins: Sequence[str] = ()) -> str:
    """The header that gives a browser its session; an empty value and 0 seconds take it away.

    Where a proxy has put the name of this machine in the host's place, the page's origin tells of TLS before it.
    """
    plain = is_loopback(host) and not any(each.startswith("https://") for each in origins)
    secure = "" if plain else "; Secure"
    return f"{cookie_name(host)}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def is_ours(origins: Sequence[str], host: str, public_url: str | None) -> bool:
    """Whether a page of this host asks. `host` is what the browser asked for; a proxy may have put its own in its place,
    so the address that people use counts, too.
    """
    if len(origins) != 1:
        return False
    asked = _place(origins[0])
    if asked is None:
        return False
    if public_url is not None and asked == _place(public_url):
        return True
    scheme, name, port = asked
    return _place(f"{scheme}://{host}") == (scheme, name, port) and (scheme == "https" or is_loopback(host))


def is_planted(sites: Sequence[str]) -> bool:
    """Whether a browser says (`Sec-Fetch-Site`) that what asks is a page of another host. One that says nothing is older."""
    return bool({"cross-site", "same-site"} & set(sites))


def is_loopback(host: str) -> bool:
    """Whether a Host header names this very machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _place(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None
