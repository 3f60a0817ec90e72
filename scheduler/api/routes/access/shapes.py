"""What do tokens look like outside, and what is asked for to make one?"""

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from scheduler.access.allowed import is_prefix
from scheduler.access.issuing.issue import LONGEST_OVERLAP, OVERLAP
from scheduler.access.principal import Scope
from scheduler.api.shapes import NO_NUL, Moment

RESERVED = frozenset({"cli", "connect-link"})
"""What the audit log calls others than tokens."""


def _unreserved(owner: str) -> str:
    if owner.strip().lower() in RESERVED:
        raise ValueError("nobody is called that: the audit log has another meaning for it")
    return owner


def _network(text: str) -> str:
    try:
        return str(ip_network(text.strip()))
    except ValueError:
        raise ValueError("a network is written like 192.0.2.0/24 or 2001:db8::/48") from None


def _prefix(text: str) -> str:
    if not is_prefix(text):
        raise ValueError("a prefix is the beginning of a reference, such as vault://live/ or env://LIVE_")
    return text


Words = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
Network = Annotated[str, Field(max_length=50, pattern=NO_NUL), AfterValidator(_network)]
Prefix = Annotated[str, Field(max_length=1000, pattern=NO_NUL), AfterValidator(_prefix)]


class NewToken(BaseModel):
    """A token to be made. A limit that is left out is that of the token that asks; `null` is none."""

    model_config = ConfigDict(extra="forbid")

    name: Words
    owner: Annotated[Words, AfterValidator(_unreserved)] | None = None
    """Who uses it and is told of it; left out: whoever asks."""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    connections: Annotated[list[Text], Field(min_length=1, max_length=1000)] | None = None
    """Names or numbers of the connections that it sees, and no others."""
    tenants: Annotated[list[Text], Field(min_length=1, max_length=1000)] | None = None
    """Customers whose connections it sees, also those to come."""
    networks: Annotated[list[Network], Field(min_length=1, max_length=100)] | None = None
    """From where it may be used."""
    secret_prefixes: Annotated[list[Prefix], Field(max_length=100)] | None = None
    """How references must begin that it points a connection at."""
    expires_at: Moment | None = None


class Rotation(BaseModel):
    """How a token is replaced."""

    model_config = ConfigDict(extra="forbid")

    overlap: Annotated[float, Field(ge=0, le=LONGEST_OVERLAP, allow_inf_nan=False)] = OVERLAP
    """Seconds for which the old one is good beside the new one."""
    expires_at: Moment | None = None
    """Of the new one; left out: as the old one would have ended."""


class Revocation(BaseModel):
    """What ends."""

    model_config = ConfigDict(extra="forbid")

    with_made: bool = False
    """Also all tokens that it made, and that those made, and what replaced them."""


class WarningShape(BaseModel):
    """Something to be done about a token."""

    code: str
    words: str


class TokenShape(BaseModel):
    """A token, but for itself."""

    id: UUID
    name: str
    owner: str
    environment: str
    scopes: list[str]
    state: str
    ends_in: str
    connections: list[str] | None
    tenants: list[str] | None
    networks: list[str] | None
    secret_prefixes: list[str] | None
    created_at: datetime
    created_by: UUID | None
    expires_at: datetime | None
    replaced_by: UUID | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    last_used_from: str | None
    warnings: list[WarningShape]


class IssuedShape(TokenShape):
    """A new token. `token` is shown this once."""

    token: str


class RevokedShape(TokenShape):
    """A token that has ended. `changed` is false where it had before."""

    changed: bool
    made: list[UUID]
    """Those that ended with it."""
    notes: list[str]
    """What to think of now."""


class TokensShape(BaseModel):
    """A page of tokens."""

    tokens: list[TokenShape]
    next: str | None


class ActShape(BaseModel):
    """One use of a power."""

    id: UUID
    at: datetime
    actor: str
    token_id: UUID | None
    environment: str | None
    tenant: str | None
    action: str
    target: str
    connection_id: int | None
    request_id: str | None
    source: str | None
    detail: dict[str, Any]


class ActsShape(BaseModel):
    """A page of the audit log, the newest first."""

    acts: list[ActShape]
    next: str | None


class SessionShape(BaseModel):
    """Who is logged in, and what they may do."""

    token_id: UUID
    owner: str
    environment: str
    scopes: list[str]
    expires_at: datetime | None
    """Of the session, when it is opened; else of the token."""
    warning: str | None
