"""What does a token allow, and may somebody hand that out? Plain data: nobody gives more than they have."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from scheduler.access.allowed import NotAllowed, all_within
from scheduler.access.principal import Principal, Scope

LIMITS = ("connections", "tenants", "networks", "secret_prefixes", "expires_at")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows; None: no limit of that kind."""

    environment: str
    scopes: frozenset[Scope]
    connections: frozenset[int] | None = None
    tenants: frozenset[str] | None = None
    networks: tuple[str, ...] | None = None
    secret_prefixes: tuple[str, ...] | None = None
    expires_at: datetime | None = None

    @property
    def secrets(self) -> tuple[str, ...] | None:
        """The prefixes as they count: a token that sees only some connections may use no secret unless it says which."""
        limited = self.connections is not None or self.tenants is not None
        return () if self.secret_prefixes is None and limited else self.secret_prefixes


def grant_of(row: Mapping[str, Any]) -> Grant:
    """What the token of a row allows."""
    return Grant(
        environment=row["environment"],
        scopes=frozenset(map(Scope, row["scopes"])),
        connections=None if row["connections"] is None else frozenset(row["connections"]),
        tenants=None if row["tenants"] is None else frozenset(row["tenants"]),
        networks=None if row["networks"] is None else tuple(map(str, row["networks"])),
        secret_prefixes=None if row["secret_prefixes"] is None else tuple(row["secret_prefixes"]),
        expires_at=row["expires_at"],
    )


def own_grant(maker: Principal) -> Grant:
    """What somebody has themselves."""
    return Grant(
        maker.environment,
        maker.scopes,
        **{name: getattr(maker, name) for name in LIMITS},
    )


def completed(maker: Principal | None, given: Grant, said: Iterable[str]) -> Grant:
    """The grant, with the maker's own limits where nothing was said of one."""
    if maker is None:
        return given
    own = own_grant(maker)
    return replace(given, **{name: getattr(own, name) for name in LIMITS if name not in set(said)})


def refuse_excess(maker: Principal | None, wanted: Grant) -> None:
    """Raise `NotAllowed` where a token would allow more than its maker's does; None: the command line, which may all."""
    if maker is None:
        return
    own = own_grant(maker)
    for name, fits in (
        ("environment", wanted.environment == own.environment),
        ("scopes", all(maker.may(scope) for scope in wanted.scopes)),
        ("connections", _subset(wanted.connections, own.connections)),
        ("tenants", _subset(wanted.tenants, own.tenants)),
        ("networks", _networks_fit(wanted.networks, own.networks)),
        ("secret_prefixes", _secrets_fit(wanted.secrets, own.secrets)),
        ("expires_at", _ends_in_time(wanted.expires_at, own.expires_at)),
    ):
        if not fits:
            raise NotAllowed(
                "exceeds_your_token",
                f"A token can't allow more than the one that makes it: its {name} go beyond yours.",
                place=f"body.{name}",
                hint="`GET /v1/tokens/self` says what yours allows; the command line of the installation may do more.",
            )


def _subset(wanted: frozenset[Any] | None, own: frozenset[Any] | None) -> bool:
    return own is None or (wanted is not None and wanted <= own)


def _networks_fit(wanted: tuple[str, ...] | None, own: tuple[str, ...] | None) -> bool:
    if own is None:
        return True
    return wanted is not None and all(any(_is_part(inner, outer) for outer in own) for inner in wanted)


def _is_part(inner: str, outer: str) -> bool:
    small, large = ipaddress.ip_network(inner), ipaddress.ip_network(outer)
    return (
        small.version == large.version
        and large.network_address <= small.network_address  # type: ignore[operator]
        and small.broadcast_address <= large.broadcast_address  # type: ignore[operator]
    )


def _secrets_fit(wanted: tuple[str, ...] | None, own: tuple[str, ...] | None) -> bool:
    return own is None or (wanted is not None and all_within(own, wanted))


def _ends_in_time(wanted: datetime | None, own: datetime | None) -> bool:
    return own is None or (wanted is not None and wanted <= own)
