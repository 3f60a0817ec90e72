"""What is a store? The protocol, and what goes wrong in the same words for all of them.

A store reads and writes; it keeps nothing in mind but its own log-in. Caching, environments and redaction of what it
returns are `opening`'s. Two kinds of failure matter, because running connections go on after the one and not after the
other: `StoreUnavailable` (nobody answers, sealed, throttled) and `NeedsOperator` (refused, gone, without such a field).
"""

from typing import Protocol

from worker.errors import NeedsOperator, Transient


class StoreUnavailable(Transient):
    """The store gave no answer about this reference: it may well do so later."""

    def __init__(self, store: str, why: str) -> None:
        super().__init__(
            "secret_store_unavailable",
            f"The secret store {store} can't be used now: {why}.",
            hint="Is it up, unsealed, and reachable from this worker? Runs are tried again by themselves.",
        )
        self.store = store
        self.why = why


class Store(Protocol):
    """Where secrets of one scheme are kept. `name` is what follows `scheme://`, in its canonical form."""

    @property
    def cached(self) -> bool:
        """Reading costs a request, so a value is used for a while."""
        ...

    def canonical(self, name: str) -> str:
        """The one form of a name, or `ValueError` with what is wrong, in words that don't repeat it."""
        ...

    def place(self, name: str) -> str:
        """What is away when the store is: a server's address, a region. Safe to show."""
        ...

    def read(self, name: str) -> str:
        """The value. Raises `NeedsOperator`, or `StoreUnavailable`."""
        ...

    def writable(self, name: str) -> bool:
        """Whether a value may be written there, as far as that can be told without writing."""
        ...

    def write(self, name: str, value: str) -> None:
        """Put the value there, whatever was there before. Raises as `read` does."""
        ...

    def compare_and_set(self, name: str, expected: str, value: str) -> bool:
        """Put the value there if `expected` is there still; False if it isn't."""
        ...

    def remove(self, name: str) -> None:
        """Take away what was written there, and nothing beside it. Harmless where nothing is. Raises as `write` does."""
        ...


def unresolved(reference: str, why: str, hint: str) -> NeedsOperator:
    """A reference leads to no value."""
    return NeedsOperator("secret_unresolved", f"{reference} can't be opened: {why}.", hint=hint)


def not_writable(reference: str, why: str) -> NeedsOperator:
    """A value can't be put there."""
    return NeedsOperator(
        "secret_not_writable",
        f"No value can be written to {reference}: {why}.",
        hint="Name a reference that may be written: a file, Vault, AWS Secrets Manager or Azure Key Vault.",
    )
