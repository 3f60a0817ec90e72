"""The only place where a secret is opened. Everywhere else there are references, which are safe to store and show."""

from worker.secrets.opening import (
    EITHER,
    allowed_prefixes,
    check_reference,
    is_writable,
    open_again,
    open_secret,
    remove_secret,
    reopen_secret,
    replace_secret,
    stores_away,
    write_secret,
)
from worker.secrets.reference import Reference, is_within, parse_reference
from worker.secrets.stores.port import StoreUnavailable
from worker.secrets.value import Secret

__all__ = [
    "EITHER",
    "Reference",
    "Secret",
    "StoreUnavailable",
    "allowed_prefixes",
    "check_reference",
    "is_within",
    "is_writable",
    "open_again",
    "open_secret",
    "parse_reference",
    "remove_secret",
    "reopen_secret",
    "replace_secret",
    "stores_away",
    "write_secret",
]
