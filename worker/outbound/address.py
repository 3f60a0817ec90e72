"""Where may an outbound event go? Anywhere but to where no receiver of ours is.

Promises: the name is resolved and each of its addresses checked before every connection, which then goes to one of those
that were checked: a name that means something else a moment later (DNS rebinding) changes nothing. Link-local addresses,
those of clouds' metadata, multicast and the like are always refused, however they are written (mapped into IPv6, as one
number); loopback unless the setting allows it. Private networks are where receivers of a self-hosted Headrace are.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from worker.errors import InvalidInput, NeedsOperator
from worker.http.wire.deadline import DeadlineBackend

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

LONGEST = 2000
PORTS = {"https": 443, "http": 80}
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # most clouds
            "169.254.170.2",  # containers of AWS
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure
            "192.0.0.192",  # Oracle
        ),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_THIS = ipaddress.ip_network("0.0.0.0/8")
_HINT = "Give the address of the program that receives the events."


class AddressRefused(NeedsOperator):
    """Events must not go there."""

    def __init__(self, host: str, why: str) -> None:
        hint = "HEADRACE_OUTBOUND_LOOPBACK=true allows it." if why == "loopback" else _HINT
        super().__init__(
            "address_refused", f"Events are not sent to {host}: its address is {why}.", hint=hint
        )


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


def refusal(address: Address, *, loopback: bool) -> str | None:
    """Why events must not go to this address, in a word; None: they may. Pure."""
    seen = _unwrapped(address)
    if seen in _METADATA:
        return "a cloud's metadata service"
    if seen.is_loopback:
        return None if loopback else "loopback"
    nowhere = seen.is_unspecified or (seen.version == 4 and seen in _THIS)
    site_local = isinstance(seen, ipaddress.IPv6Address) and seen.is_site_local
    return next(
        (
            word
            for word, so in (
                ("link-local", seen.is_link_local),
                ("multicast", seen.is_multicast),
                ("unspecified", nowhere),
                ("reserved", seen.is_reserved or site_local),
            )
            if so
        ),
        None,
    )


def check_host(target: Target, *, loopback: bool, resolve: Resolve | None = None) -> list[str]:
    """The addresses of a host, all of which events may go to. Raises `AddressRefused`, or `OSError` for a name that isn't known."""
    found = (resolve or resolve_host)(target.host, target.port)
    for text in found:
        why = refusal(ipaddress.ip_address(text.partition("%")[0]), loopback=loopback)
        if why is not None:
            raise AddressRefused(target.host, why)
    return found


def resolve_host(host: str, port: int) -> list[str]:
    """What the system's resolver says, each address once."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


class CheckedBackend(DeadlineBackend):
    """Opens connections to checked addresses. The host's name stays what certificates are checked against."""

    def __init__(self, *, loopback: bool, resolve: Resolve | None = None) -> None:
        self._loopback = loopback
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        target = Target("", host, port, host, "")
        try:
            addresses = check_host(target, loopback=self._loopback, resolve=self._resolve)
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError(f"{host} has no address") from exc
        for address in addresses[:-1]:
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return super().connect_tcp(addresses[-1], port, timeout, local_address, socket_options)


def trusted() -> ssl.SSLContext:
    """Certificates of the operating system's store and certifi's."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and (address in _NAT64 or (address.packed[:12] == bytes(12) and int(address) > 1)):
        inner = ipaddress.IPv4Address(address.packed[12:])
    return inner or address


def _bad(words: str, place: str | None) -> InvalidInput:
    return InvalidInput("bad_url", words, place=place, hint=_HINT)
