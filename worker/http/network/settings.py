"""How do a connection's requests leave, where that is not as everybody's do? By the `network` of its row.

    ca                    references to PEM: only systems that these authorities vouch for are spoken with
    client_certificate    what is shown to a system that asks, with client_key and client_key_password where they are apart
    proxy                 http:// or https://, with proxy_user and a reference to the proxy_password
    addresses             `public`: only addresses of the internet, where somebody from outside has chosen the system's

Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from worker.errors import InvalidInput, NeedsOperator
from worker.http.wire.destination import AddressRefused, Guard
from worker.http.wire.message import Origin

REFERENCES = ("ca", "client_certificate", "client_key", "client_key_password", "proxy_password")
"""What of it leads to a secret store. A certificate is no secret, and lies beside its key."""
_NEEDS = {
    "client_key": "client_certificate",
    "client_key_password": "client_certificate",
    "proxy_user": "proxy",
    "proxy_password": "proxy_user",
}
PUBLIC = "public"
_HINT = "This connection goes to public addresses only (network.addresses); whoever runs Headrace can allow others."
_PUBLIC_ONLY = Guard(loopback=False, private=False, hint=_HINT, loopback_hint=_HINT)
_PORTS = {"http": 80, "https": 443}
_PROXY = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Network:
    """What stands on a connection's row. Empty: as usual."""

    ca: str = ""
    client_certificate: str = ""
    client_key: str = ""
    client_key_password: str = ""
    proxy: str = ""
    proxy_user: str = ""
    proxy_password: str = ""
    addresses: str = ""

    def references(self) -> dict[str, str]:
        """What has to be opened, by name."""
        return {name: value for name, value in asdict(self).items() if value and name in REFERENCES}

    def guard(self) -> Guard:
        """Where a system may be that is reached so."""
        return _PUBLIC_ONLY if self.addresses else Guard()


def network_of(row: Mapping[str, str]) -> Network:
    """What stands on a row. A word that isn't known may be one that must not be left out, so nothing is sent then."""
    unknown = sorted(row.keys() - {each.name for each in fields(Network)})
    if unknown:
        raise NeedsOperator(
            "bad_network",
            f"The connection's network has {', '.join(unknown)}, which this version doesn't know.",
            hint="Update this worker, or take it off the connection.",
        )
    return Network(**row)


def check_network(given: Mapping[str, object]) -> None:
    """Raise `InvalidInput` for what can't be meant. References are looked at by whoever knows the stores."""
    for name, needed in _NEEDS.items():
        if given.get(name) and not given.get(needed):
            raise InvalidInput(
                "bad_network",
                f"{name} means nothing without {needed}.",
                place=name,
                hint=f"Give {needed} too.",
            )
    if given.get("addresses") not in {None, PUBLIC}:
        raise InvalidInput(
            "bad_network",
            f"addresses is {PUBLIC}, or left out.",
            place="addresses",
            hint="Left out, the system may also be in a private network.",
        )
    if given.get("proxy"):
        read_proxy(given["proxy"])
    user = given.get("proxy_user")
    if isinstance(user, str) and ":" in user:
        raise InvalidInput(
            "bad_network",
            "The user must have no colon.",
            place="proxy_user",
            hint="The password goes under proxy_password, as a reference.",
        )


def read_proxy(text: object) -> Origin:
    """Where a proxy is, or `InvalidInput` without repeating what was given: people write passwords there."""
    found = _PROXY.fullmatch(text) if isinstance(text, str) else None
    port = int(found[3] or _PORTS[found[1]]) if found is not None else 0
    if isinstance(text, str) and "@" in text:
        raise InvalidInput(
            "secret_in_settings",
            "The proxy's address holds a user or a password, and it is stored as it is.",
            place="proxy",
            hint="Give proxy_user, and proxy_password as a reference such as env://PROXY_PASSWORD.",
        )
    if found is None or not 0 < port < 65536:
        raise InvalidInput(
            "bad_proxy",
            "The proxy's address can't be read.",
            place="proxy",
            hint="Write it as http://host:port, or https://host:port for one that speaks TLS itself.",
        )
    host = found[2].strip("[]").lower()
    try:
        Guard().check_name(host)
    except AddressRefused as exc:
        raise InvalidInput(exc.code, exc.message, place="proxy", hint=exc.hint) from None
    return Origin(found[1], host, port)
