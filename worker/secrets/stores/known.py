"""Which stores are there? One object for each scheme; none connects to anything before it is asked."""

from collections.abc import Mapping

from worker.secrets.stores.env import EnvStore
from worker.secrets.stores.file import FileStore
from worker.secrets.stores.port import Store

STORES: Mapping[str, Store] = {"env": EnvStore(), "file": FileStore()}
