"""How does a request prove who it is by what never changes? Nothing is asked of the system beforehand."""

import base64
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from worker.connectors.auth.values import Credential, header_value, open_named, with_header
from worker.connectors.contract import Request, Response


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
