"""Which references to secrets may somebody point a connection at? Decisions on plain data.

Whoever may change a connection decides where its secrets are sent. So nobody may name a secret that isn't theirs, and
nobody may send a secret elsewhere that they couldn't have named: a change of the address counts like a new reference.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.access.principal import Principal
from worker.errors import HeadraceError
from worker.secrets import Reference, is_within, parse_reference
from worker.secrets.reference import covers
from worker.secrets.stores.known import store_of

LONGEST_PREFIX = 1000
SENT_BY = ("system", "settings", "network", "environment")
"""What of a connection decides where, and over whom, its secrets are sent."""


class NotAllowed(HeadraceError):
    """The token is valid, and not for this. `place` is the field that goes beyond it. Answered 403."""

    def __init__(self, code: str, message: str, *, place: str | None = None, hint: str | None = None) -> None:
        super().__init__(code, message, hint=hint)
        self.place = place


def may_point_at(principal: Principal | None, reference: Reference | str) -> bool:
    """Whether they may point a connection at it; None: the command line, which has the workers' rights anyway.

    What the connection's environment allows is another question (`worker.secrets.check_reference`). A text that is no
    reference raises `InvalidInput`.
    """
    found = parse_reference(reference) if isinstance(reference, str) else reference
    if principal is None:
        return True
    if principal.secret_prefixes is None:
        return not principal.limited
    return is_within(found, principal.secret_prefixes)


def refused_secrets(
    principal: Principal | None, before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> list[str]:
    """The names of the secrets that keep this change from being made; `before` is None for a new connection.

    Both are rows of a connection: `system`, `settings`, `network`, `environment`, and `secrets`, which are references.
    What goes where it went before may stay, whosever it is.
    """
    known: Mapping[str, str] = (before or {}).get("secrets") or {}
    elsewhere = before is None or any(before.get(part) != after.get(part) for part in SENT_BY)
    return [
        name
        for name, reference in (after.get("secrets") or {}).items()
        if (elsewhere or known.get(name) != reference) and not may_point_at(principal, reference)
    ]


def require_secrets(
    principal: Principal | None, before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> None:
    """Raise `NotAllowed` where a change would send a secret that isn't theirs."""
    if refused := refused_secrets(principal, before, after):
        allowed = " or ".join((principal.secret_prefixes if principal else None) or ())
        raise NotAllowed(
            "secret_not_allowed",
            f"This token may not point a connection at the secret given for {', '.join(refused)}.",
            place=f"body.secrets.{refused[0]}",
            hint=f"It may use references that begin with {allowed}."
            if allowed
            else "It may use none: a token's `secret_prefixes` say which.",
        )


def is_prefix(text: str) -> bool:
    """Whether this can be the beginning of references: `env://LIVE_`, `vault://live/`. A scheme at least."""
    scheme, mark, rest = text.partition("://")
    parts = rest.split("/")
    return (
        store_of(scheme) is not None
        and bool(mark)
        and len(text) <= LONGEST_PREFIX
        and text.isprintable()
        and not any(character.isspace() or character in "%\\" for character in text)
        and not {".", ".."} & set(parts)
    )


def all_within(prefixes: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether each of the prefixes that are wanted lies within one of those that are there."""
    there = tuple(prefixes)
    return all(any(covers(prefix, text) for prefix in there) for text in wanted)
