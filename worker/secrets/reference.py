"""What does a reference to a secret look like?

    env://NAME                                  an environment variable of the worker
    file:///absolute/path                       a file that the worker may read
    vault://mount/path#key[?version=3]          a field of a secret in Vault or OpenBao (KV version 1 or 2)
    aws-sm://name[#key][?stage=AWSPREVIOUS]     a secret in AWS Secrets Manager, or a field of its JSON
    azure-kv://vault/name[/version]             a secret in Azure Key Vault

`vault+test://` and `aws-sm+test://` lead to the server or account that is named `test`.

What isn't a reference is refused without being repeated, since it may be the secret itself, typed in by mistake. A
reference has one way of being written: nothing in it is decoded, and no `.` or `..` leads elsewhere, so that comparing
the beginnings of two texts says which store and folder they lead to.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from worker.errors import InvalidInput
from worker.secrets.stores.known import STORES, store_of

_FORM = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_LONGEST = 4096
_OPEN_ENDS = ("/", "_", "-", ".", ":")
_PARTS = "/#?"
_HINT = (
    "Put the value into a secret store and write its reference here: env://NAME, file:///absolute/path,"
    " vault://mount/path#key, aws-sm://name or azure-kv://vault/name."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret is kept. Holds no secret."""

    scheme: str
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.name}"


def parse_reference(text: object, *, name: str = "secret") -> Reference:
    """Read a reference, or raise `InvalidInput`; `name` is what the secret is called where it was written."""
    found = _FORM.fullmatch(text) if isinstance(text, str) and len(text) <= _LONGEST else None
    if found is None:
        raise InvalidInput(
            "plain_secret", f"The value given for `{name}` is not a reference to a secret.", hint=_HINT
        )
    scheme, rest = found[1], found[2]
    store = store_of(scheme)
    if store is None:
        near = get_close_matches(scheme.lower(), STORES, n=1)
        known = ", ".join(f"{each}://" for each in STORES)
        raise InvalidInput(
            "unknown_secret_scheme",
            f"The value given for `{name}` has a scheme that isn't known; known are {known}.",
            hint=f"Did you mean {near[0]}://?" if near else _HINT,
        )
    try:
        return Reference(scheme, store.canonical(rest))
    except ValueError as exc:
        raise InvalidInput(
            "bad_secret_reference", f"The value given for `{name}` {exc}.", hint=_HINT
        ) from None


known_reference = lru_cache(maxsize=16_384)(parse_reference)
"""The same for references that are opened again and again."""


def is_within(reference: Reference, prefixes: Iterable[str]) -> bool:
    """Whether the reference begins with one of these texts, such as `vault://live/` or `env://LIVE_`."""
    return any(covers(prefix, str(reference)) for prefix in prefixes)


def covers(prefix: str, text: str) -> bool:
    """Whether all that begins with `text`, a reference or a prefix itself, lies within `prefix`.

    A prefix that ends within a name means that name whole: `vault://live` covers `vault://live/a` and not
    `vault://live-evil/a`. One that ends in `/`, `_` or the like covers whatever follows.
    """
    start, within = _as_written(prefix), _as_written(text)
    if not within.startswith(start):
        return False
    return start.endswith(_OPEN_ENDS) or within == start or within[len(start)] in _PARTS


def _as_written(text: str) -> str:
    """Vaults and secrets in Azure have no case, so their references are kept in small letters."""
    return text.lower() if text.lower().startswith("azure-kv://") else text
