"""What is a proof made of? Secrets by their names, settings by their values, in headers that can carry them.

A secret that can't stand in a header (a line end, a letter beyond Latin-1) is refused by its name, never by its value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from worker.connectors.contract import Request
from worker.errors import NeedsOperator


@dataclass(frozen=True, slots=True)
class Credential:
    """A value that is a secret's (by name), or a plain setting's (by value)."""

    secret: str | None = None
    value: str | None = None

    def open(self, secrets: Mapping[str, str]) -> str:
        return open_named(secrets, self.secret) if self.secret is not None else self.value or ""


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
