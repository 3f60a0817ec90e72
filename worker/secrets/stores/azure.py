"""Secrets in Azure Key Vault: `azure-kv://vault/name[/version]`.

Headrace logs in by Azure's default chain: a managed identity, the identity of a workload, or AZURE_CLIENT_ID and its like.
The service compares and sets in no single step: whoever calls holds a lock, and others who write there may be overwritten.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, NamedTuple

from worker.config import get_settings
from worker.secrets.stores.extra import load, login_refused
from worker.secrets.stores.port import StoreUnavailable, not_writable, unresolved

CONNECT, READ = 3.0, 5.0
_NAME = re.compile(r"([a-z0-9-]{1,127})/([a-z0-9-]{1,127})(?:/([0-9a-f]{32}))?")
_HINT = "Check the names, and that Headrace's identity may read it (docs/secrets.md#azure-key-vault)."
_LOGIN = "Give Headrace an identity by Azure's default chain: docs/secrets.md#azure-key-vault."


class Name(NamedTuple):
    """A reference, taken apart."""

    vault: str
    name: str
    version: str | None

    @classmethod
    def read(cls, name: str) -> "Name":
        found = _NAME.fullmatch(name.lower())  # neither vaults nor secrets have a case there
        if found is None or not name.isascii():
            raise ValueError("isn't like azure-kv://vault/name or azure-kv://vault/name/version")
        return cls(found[1], found[2], found[3])


class AzureStore:
    """All vaults that the identity may see."""

    cached = True

    def __init__(self) -> None:
        self._lock = Lock()
        self._clients: dict[str, Any] = {}
        self._credential: Any = None

    def canonical(self, name: str) -> str:
        Name.read(name)
        return name.lower()

    def place(self, name: str) -> str:
        return f"Azure Key Vault {Name.read(name).vault}"

    def read(self, name: str) -> str:
        wanted = Name.read(name)
        with self._asking(name):
            value = self._client(wanted.vault).get_secret(wanted.name, wanted.version).value
        if not value or not value.strip():
            raise unresolved(f"azure-kv://{name}", "it is empty", _HINT)
        return str(value)

    def writable(self, name: str) -> bool:
        """Azure doesn't say before it is written to; a version that is named never changes."""
        return Name.read(name).version is None

    def write(self, name: str, value: str) -> None:
        wanted = Name.read(name)
        if wanted.version is not None:
            raise not_writable(f"azure-kv://{name}", "it names one version, and versions never change")
        with self._asking(name):
            self._client(wanted.vault).set_secret(wanted.name, value)

    def compare_and_set(self, name: str, expected: str, value: str) -> bool:
        if self.read(name) != expected:
            return False
        self.write(name, value)
        return True

    def remove(self, name: str) -> None:
        """Where the vault keeps what was deleted for a while, it does so here, too."""
        wanted = Name.read(name)
        errors = load("azure-kv", "azure", "azure.core.exceptions")[0]
        with self._asking(name), suppress(errors.ResourceNotFoundError):
            self._client(wanted.vault).begin_delete_secret(wanted.name)

    def _client(self, vault: str) -> Any:
        identity, secrets = load("azure-kv", "azure", "azure.identity", "azure.keyvault.secrets")
        url = get_settings().azure_vault_url.replace("{vault}", vault)
        with self._lock:
            if url not in self._clients:
                # Each client learns by itself whom to ask for a token, and for which resource.
                self._credential = self._credential or identity.DefaultAzureCredential()
                self._clients[url] = secrets.SecretClient(
                    url,
                    self._credential,
                    connection_timeout=CONNECT,
                    read_timeout=READ,
                    retry_total=1,
                    retry_backoff_max=1,
                    permit_redirects=False,  # a vault answers itself
                    logging_enable=False,
                )
            return self._clients[url]

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        """What the service says, in our words: its own hold URLs, and identities that are nobody's business."""
        errors = load("azure-kv", "azure", "azure.core.exceptions")[0]
        reference, place = f"azure-kv://{name}", self.place(name)
        try:
            yield
        except errors.ResourceNotFoundError:
            raise unresolved(reference, "there is no such secret or version", _HINT) from None
        except errors.ClientAuthenticationError as exc:
            why = (
                f"it refuses our identity ({_code(exc)})"
                if exc.status_code
                else "no identity is to be had here"
            )
            raise login_refused(place, why, _LOGIN) from None
        except errors.HttpResponseError as exc:
            status = int(exc.status_code or 0)
            if status >= 500 or status in {0, 408, 429}:
                raise StoreUnavailable(place, f"it answered {_code(exc)}") from None
            raise unresolved(reference, f"Azure refuses it ({_code(exc)})", _HINT) from None
        except errors.AzureError as exc:
            raise StoreUnavailable(place, f"asking it failed ({type(exc).__name__})") from None


def _code(error: Any) -> str:
    """Azure's own word for it, and the status."""
    code = getattr(getattr(error, "error", None), "code", None)
    return " ".join(str(part) for part in (error.status_code, code) if part) or type(error).__name__
