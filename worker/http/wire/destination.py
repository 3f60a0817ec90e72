"""Where may a connection of ours lead? Anywhere but to where nothing of ours is.

Promises: a name is resolved and each of its addresses checked before every connection, which then goes to one of those
that were checked: a name that means something else a moment later (DNS rebinding) changes nothing. Link-local addresses,
those of clouds' metadata, multicast and the like are always refused, however they are written (mapped into IPv6, as one
number); loopback where it isn't allowed. Private networks are where a self-hosted Headrace and its systems are, so they are
refused only where somebody from outside has chosen the address.
Does not promise anything about what a proxy resolves: there the host is judged as it is written.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from worker.errors import NeedsOperator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

METADATA = "a cloud's metadata service"
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # most clouds
            "169.254.170.2",  # containers of AWS
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # pods of AWS
            "fd20:ce::254",  # Google
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure
            "192.0.0.192",  # Oracle
            "fd00:42::42",  # Scaleway
        ),
    )
)
_METADATA_NAMES = frozenset(
    {
        "api.metadata.cloud.ibm.com", "instance-data", "instance-data.ec2.internal", "metadata", "metadata.goog",
        "metadata.google.internal", "metadata.packet.net", "metadata.platformequinix.com", "metadata.tencentyun.com",
    }
)  # fmt: skip
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ISATAP = frozenset({bytes.fromhex("00005efe"), bytes.fromhex("02005efe")})
"""In an IPv6 address, what stands before the IPv4 one that it is carried over."""
_THIS = ipaddress.ip_network("0.0.0.0/8")
_NUMBERS = re.compile(r"[0-9a-fx.]+", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9._-]+", re.IGNORECASE)


class AddressRefused(NeedsOperator):
    """Nothing of ours goes there."""

    def __init__(self, host: str, why: str, *, hint: str | None = None) -> None:
        super().__init__("address_refused", f"Nothing is sent to {host}: its address is {why}.", hint=hint)


def resolve_host(host: str, port: int) -> list[str]:
    """What the system's resolver says, each address once."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


@dataclass(frozen=True, slots=True)
class Guard:
    """What is allowed, and what is said where it isn't. `loopback`: programs on this machine; `private`: networks that aren't
    of the internet.
    """

    loopback: bool = True
    private: bool = True
    hint: str | None = "Give the address of the system itself."
    loopback_hint: str | None = None
    resolve: Resolve | None = None

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of which may be connected to.

        Raises `AddressRefused`, and `OSError` or `UnicodeError` for a name that isn't known, or is none.
        """
        self.check_name(host)
        found = (self.resolve or resolve_host)(host, port)
        for text in found:
            self._check(host, ipaddress.ip_address(text.partition("%")[0]))
        return found

    def check_name(self, host: str) -> None:
        """The same of a host that somebody else resolves, as far as its name tells."""
        name = host.lower().rstrip(".")
        if name in _METADATA_NAMES:
            raise AddressRefused(host, METADATA, hint=self.hint)
        if (address := written_address(name)) is not None:
            self._check(host, address)
        elif _NAME.fullmatch(name) is None:
            # One who decodes what follows a % comes elsewhere than one who doesn't.
            raise AddressRefused(host, "written so that others may read another", hint=self.hint)

    def _check(self, host: str, address: Address) -> None:
        why = refusal(address, loopback=self.loopback, private=self.private)
        if why is not None:
            raise AddressRefused(host, why, hint=self.loopback_hint if why == "loopback" else self.hint)


def written_address(host: str) -> Address | None:
    """The address that a host is written as: also as one number, in octal or in hexadecimal; None: it is a name."""
    with suppress(ValueError):
        return ipaddress.ip_address(host.partition("%")[0])
    if _NUMBERS.fullmatch(host):
        with suppress(OSError):
            return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def refusal(address: Address, *, loopback: bool, private: bool = True) -> str | None:
    """Why nothing goes to this address, in a word; None: it may. Pure."""
    seen = _unwrapped(address)
    if seen in _METADATA:
        return METADATA
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
                ("private", not (private or seen.is_global)),
            )
            if so
        ),
        None,
    )


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and address.packed[8:12] in _ISATAP:
        inner = ipaddress.IPv4Address(address.packed[12:])
    if inner is None and (address in _NAT64 or (address.packed[:12] == bytes(12) and int(address) > 1)):
        inner = ipaddress.IPv4Address(address.packed[12:])
    return inner or address
