"""The stores of this process as if it had just begun: with the environment of a test, and nothing in mind."""

from collections.abc import Callable, Mapping

import pytest

from worker.config import get_settings
from worker.secrets import opening
from worker.secrets.cache import SecretCache
from worker.secrets.stores.aws.store import AwsStore
from worker.secrets.stores.azure import AzureStore
from worker.secrets.stores.known import STORES, named_store
from worker.secrets.stores.vault.store import VaultStore


class Begin:
    """Each call begins anew. `now` is the clock by which what was opened grows old."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.now = 1000.0

    def __call__(self, environment: Mapping[str, str]) -> None:
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        made: Mapping[str, Callable[[], object]] = {
            "vault": VaultStore,
            "aws-sm": AwsStore,
            "azure-kv": AzureStore,
        }
        for scheme, store in made.items():
            self._monkeypatch.setitem(STORES, scheme, store())  # type: ignore[arg-type]
        named_store.cache_clear()
        cache = SecretCache(
            age=lambda: get_settings().secret_cache,
            longest=lambda: get_settings().secret_keep,
            clock=lambda: self.now,
        )
        self._monkeypatch.setattr(opening, "_cache", cache)
