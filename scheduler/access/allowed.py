"""Which references to secrets may somebody point a connection at? Decisions on plain data.

Whoever may change a connection decides where its secrets are sent, so nobody may name a secret that isn't theirs. Which
changes ask this question is `scheduler.connections.editing.rights`'s to say.
"""

from collections.abc import Iterable

from scheduler.access.principal import Principal
from worker.errors import HeadraceError
from worker.secrets import Reference, is_within, parse_reference
from worker.secrets.reference import covers
from worker.secrets.stores.known import STORES

LONGEST_PREFIX = 1000


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


def is_prefix(text: str) -> bool:
    """Whether this can be the beginning of references: `env://LIVE_`, `vault://live/`. A scheme at least."""
    scheme, mark, rest = text.partition("://")
    parts = rest.split("/")
    return (
        scheme in STORES
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
