"""Which stores are there? One object for each scheme; none connects to anything before it is asked.

Of some there may be several, each with a name of its own: `vault+test://` is that of the name `test`.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from worker.secrets.stores.aws.store import AwsStore
from worker.secrets.stores.azure import AzureStore
from worker.secrets.stores.env import EnvStore
from worker.secrets.stores.file import FileStore
from worker.secrets.stores.port import Store
from worker.secrets.stores.vault.store import VaultStore

STORES: Mapping[str, Store] = {
    "env": EnvStore(),
    "file": FileStore(),
    "vault": VaultStore(),
    "aws-sm": AwsStore(),
    "azure-kv": AzureStore(),
}
_SEVERAL: Mapping[str, Callable[[str], Store]] = {"vault": VaultStore, "aws-sm": AwsStore}
_NAMED = re.compile(r"([a-z-]+)\+([a-z][a-z0-9]{0,31})")


def store_of(scheme: str) -> Store | None:
    """The store of a scheme; None where there is none."""
    return STORES.get(scheme) or named_store(scheme)


@lru_cache(maxsize=64)
def named_store(scheme: str) -> Store | None:
    """One with a name. Whether somebody has set where it is shows when it is asked: who refers to it may be elsewhere."""
    found = _NAMED.fullmatch(scheme)
    return _SEVERAL[found[1]](found[2]) if found is not None and found[1] in _SEVERAL else None


def kind_of(scheme: str) -> str:
    """The same scheme without a name."""
    return scheme.partition("+")[0]
