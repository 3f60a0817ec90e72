"""Where may an outbound event go? Anywhere but to where no receiver of ours is.

What is refused, and that a name can't mean something else a moment later, is `worker.http.wire.destination`'s; beside
that, loopback is refused unless the setting allows it. Private networks are where receivers of a self-hosted Headrace are.
"""

from dataclasses import dataclass

import httpx

from worker.errors import InvalidInput
from worker.http.wire.destination import Guard, Resolve

LONGEST = 2000
PORTS = {"https": 443, "http": 80}
_HINT = "Give the address of the program that receives the events."
_ALLOWS = "HEADRACE_OUTBOUND_LOOPBACK=true allows it."


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that events go to, taken apart."""

    scheme: str
    host: str
    """In ASCII; an IPv6 address without its brackets."""
    port: int
    place: str
    """Host, and port where it isn't the scheme's own: all that is said of the URL in logs, as a path may be a secret."""
    path: str
    """Path and query."""


def read_target(text: str, *, place: str | None = None) -> Target:
    """The URL, or `InvalidInput` in words that don't repeat it."""
    try:
        url = httpx.URL(text)
        is_named = bool(url.host)  # as people write it, which not every host in ASCII can be
    except (httpx.InvalidURL, ValueError, TypeError):
        raise _bad("The URL can't be read.", place) from None
    if len(text) > LONGEST or url.scheme not in PORTS or not is_named:
        raise _bad("The URL must be an absolute one, with https:// or http://.", place)
    if url.userinfo or url.fragment:
        raise _bad("The URL must have no user, no password and no fragment.", place)
    host = url.raw_host.decode("ascii")
    named = f"[{host}]" if ":" in host else host
    return Target(
        url.scheme,
        host,
        url.port or PORTS[url.scheme],
        named if url.port is None else f"{named}:{url.port}",
        url.raw_path.decode("ascii"),
    )


def guard_of(*, loopback: bool, resolve: Resolve | None = None) -> Guard:
    """What keeps events from going where they must not."""
    return Guard(loopback=loopback, hint=_HINT, loopback_hint=_ALLOWS, resolve=resolve)


def check_host(target: Target, *, loopback: bool, resolve: Resolve | None = None) -> list[str]:
    """The addresses of a host, all of which events may go to. Raises `AddressRefused`, or `OSError` for a name that isn't known."""
    return guard_of(loopback=loopback, resolve=resolve).addresses(target.host, target.port)


def _bad(words: str, place: str | None) -> InvalidInput:
    return InvalidInput("bad_url", words, place=place, hint=_HINT)
