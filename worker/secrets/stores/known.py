"""Which stores are there? One object for each scheme; none connects to anything before it is asked."""

from collections.abc import Mapping

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
