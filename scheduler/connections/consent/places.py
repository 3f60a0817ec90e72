"""Where in a store is a value put that somebody typed in? Pure.

Each time at a place of its own, so what a connection uses now stays as it is until the new one was tried.
"""

import re

from worker.errors import InvalidInput
from worker.secrets.stores.known import kind_of, store_of

WRITABLE = ("file", "vault", "aws-sm", "azure-kv")


def reference_for(store: str, connection: str, mark: str, name: str) -> str:
    """`file:///run/secrets/` -> `file:///run/secrets/plant-north-3f9c-token`. `mark` makes it new."""
    scheme, found, _ = store.partition("://")
    kind = kind_of(scheme)
    if not found or kind not in WRITABLE or store_of(scheme) is None:
        raise InvalidInput(
            "bad_store",
            "A store is the beginning of references that can be written to.",
            place="body.store",
            hint="Such as file:///var/lib/headrace/secrets/, vault://secret/customers/ or aws-sm://customers/.",
        )
    slug = re.sub(r"[^a-z0-9]+", "-", connection.lower()).strip("-")[:40] or "connection"
    if kind == "vault":
        return f"{store}{slug}-{mark}#{name}"
    text = f"{store}{slug}-{mark}-{name}"
    return text.replace("_", "-") if kind == "azure-kv" else text
