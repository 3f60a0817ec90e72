"""From which address does a request come, also through proxies? Pure.

`X-Forwarded-For` is what clients and proxies say, so only what a trusted proxy added is believed: read from its end, past
all trusted addresses. Whoever connects without a trusted proxy is believed nothing.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LONGEST = 100
"""Characters of an address, with a zone."""


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks, or single addresses. `ValueError` for what is neither."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def source_of(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """The address that a request comes from; None where nobody who can be believed says one.

    `forwarded` are the values of all `X-Forwarded-For` headers in their order.
    """
    nearest = _address(peer)
    if nearest is None or not _is_trusted(nearest, trusted):
        return None if nearest is None else str(nearest)
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    for hop in reversed(hops):
        found = _address(hop)
        if found is None:
            return None  # a trusted proxy passed on what no address is: then nobody knows
        if not _is_trusted(found, trusted):
            return str(found)
        nearest = found
    return str(nearest)


def is_within(source: str | None, networks: Sequence[str] | None) -> bool:
    """Whether an address lies within one of the networks; None: there is no limit. An unknown address lies within none."""
    if networks is None:
        return True
    address = _address(source)
    return address is not None and _is_trusted(address, read_networks(networks))


def neighbourhood(source: str | None) -> str:
    """Whom a source is counted with: an IPv6 customer has a /64 of addresses, and is one guesser."""
    address = _address(source)
    if address is None:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


def _address(text: str | None) -> Address | None:
    return _parsed(text) if text and len(text) <= LONGEST else None


@lru_cache(maxsize=1_000)
def _parsed(text: str) -> Address | None:
    """Most requests come from few addresses, and reading one costs as much as proving a webhook."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _is_trusted(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
