"""How does a request prove who it is? One generator for each kind; none of them sends anything.

A secret that can't stand in a header (a line end, a letter beyond Latin-1) is refused by its name, never by its value.
"""

import base64
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

from worker.connectors.contract import Request, Response
from worker.errors import NeedsOperator


@dataclass(frozen=True, slots=True)
class Credential:
    """A value that is a secret's (by name), or a plain setting's (by value)."""

    secret: str | None = None
    value: str | None = None

    def open(self, secrets: Mapping[str, str]) -> str:
        return open_named(secrets, self.secret) if self.secret is not None else self.value or ""


class NoAuth:
    """The system lets everybody in."""

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request, Response, None]:
        del secrets, held
        yield request


@dataclass(frozen=True, slots=True)
class HeaderAuth:
    """A secret in a header: `Authorization: Bearer …`, `apikey: …`."""

    name: str
    prefix: str
    secret: str

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request, Response, None]:
        del held
        proof = header_value(self.prefix + open_named(secrets, self.secret), self.secret)
        yield with_header(request, self.name, proof)


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """User and password in every request (RFC 7617)."""

    username: Credential
    password: Credential

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request, Response, None]:
        del held
        pair = f"{self.username.open(secrets)}:{self.password.open(secrets)}"
        yield with_header(request, "Authorization", "Basic " + base64.b64encode(pair.encode()).decode())


def open_named(secrets: Mapping[str, str], name: str) -> str:
    """The opened secret of that name."""
    if name not in secrets:
        raise NeedsOperator(
            "secret_missing",
            f"The connection names no secret {name!r}, which its system needs.",
            hint="Add a reference to it in the connections file.",
        )
    return secrets[name]


def header_value(value: str, secret: str) -> str:
    """The value, if a header can carry it."""
    if not value.isprintable() or not value.isascii():
        raise NeedsOperator(
            "bad_secret",
            f"The secret {secret!r} holds a line end or a character that no header can carry.",
            hint="Check what its reference leads to.",
        )
    return value


def with_header(request: Request, name: str, value: str) -> Request:
    """The request with one more header."""
    return replace(request, headers={**request.headers, name: value})
