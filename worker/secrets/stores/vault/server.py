"""Which servers of Vault or OpenBao are there, and with what does Headrace log in to each?

`vault://` leads to the one that VAULT_ADDR names, `vault+test://` to that of VAULT_ADDR_TEST: all variables of a server end in
its name. Promises: no variable of one server stands in for another's that isn't set, so what logs in to one is sent to no
other.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.config import get_settings
from worker.errors import HeadraceError
from worker.secrets.stores.env import EnvStore, called, endings, variable
from worker.secrets.stores.extra import login_refused
from worker.secrets.stores.file import FileStore
from worker.secrets.stores.port import Store
from worker.telemetry.redaction import redactor

HINT = "Set how Headrace logs in: docs/secrets.md#vault-and-openbao."
REFERRING = ("vault_role_id", "vault_secret_id", "vault_token")
"""Settings that refer to what logs in."""
CERTIFICATES = ("VAULT_CACERT", "VAULT_CAPATH")
KEYS = ("VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY")
"""Files of the client."""


@dataclass(frozen=True, slots=True)
class Server:
    """One of them, by the name that references give it; the one without a name is everybody's."""

    name: str = ""

    def called(self, name: str) -> str:
        """What a variable is called that says something of this server."""
        return called(name, self.name)

    def variable(self, name: str) -> str | None:
        """What a variable of the client's own says."""
        return variable(self.called(name))

    def setting(self, name: str) -> str | None:
        """What one of Headrace's settings says."""
        if self.name:
            return self.variable(f"HEADRACE_{name.upper()}")
        found = getattr(get_settings(), name)
        return None if found is None else str(found)

    @property
    def place(self) -> str:
        return self.variable("VAULT_ADDR") or f"Vault {self.name}".strip()

    def require(self, name: str, hint: str = HINT) -> str:
        """A variable that must be set."""
        if (found := self.variable(name)) is None:
            raise login_refused(self.place, f"{self.called(name)} isn't set", hint)
        return found

    def proof(self) -> tuple[str, dict[str, str]] | str | None:
        """Where to log in, and with what; or a token that needs no log-in; None: nothing is set."""
        mount = self.setting("vault_auth_mount")
        if (role := self.setting("vault_kubernetes_role")) is not None:
            return mount or "kubernetes", {"role": role, "jwt": self._own(f"file://{self._jwt()}")}
        if (role_id := self.setting("vault_role_id")) is not None:
            body = {"role_id": self._own(role_id)}
            if (secret_id := self.setting("vault_secret_id")) is not None:
                body["secret_id"] = self._own(secret_id)
            return mount or "approle", body
        if (token := self.setting("vault_token")) is not None:
            return self._own(token)
        return self.variable("VAULT_TOKEN")

    def check_files(self) -> None:
        """The client would say it at each request, and of a certificate only that something is wrong with it."""
        for name in (*CERTIFICATES, *KEYS):
            if (path := self.variable(name)) is not None and not Path(path).exists():
                raise login_refused(self.place, f"there is nothing where {self.called(name)} leads", HINT)

    def _jwt(self) -> str:
        """The pod's usual token is for one server: another that is given it could log in with it there."""
        return (
            self.require("HEADRACE_VAULT_KUBERNETES_JWT")
            if self.name
            else str(self.setting("vault_kubernetes_jwt"))
        )

    def _own(self, reference: str) -> str:
        """What Headrace logs in with is in the environment or a file: a store can't open itself."""
        scheme, _, name = reference.partition("://")
        known: dict[str, Store] = {"env": EnvStore(), "file": FileStore()}
        store = known.get(scheme)
        try:
            if store is None:
                raise ValueError("must be env://NAME or file:///path")
            value = store.read(store.canonical(name))
        except ValueError as exc:
            raise login_refused(self.place, f"a setting of its log-in {exc}", HINT) from None
        except HeadraceError as exc:
            raise login_refused(self.place, exc.message.rstrip("."), HINT) from None
        redactor.add(value)
        return value


def named_servers() -> tuple[Server, ...]:
    """Those besides everybody's that this process knows an address of."""
    return tuple(Server(name.lower()) for name in endings("VAULT_ADDR_"))


def references_of(servers: Iterable[Server]) -> Iterator[tuple[str, str]]:
    """What the log-ins of servers with names refer to, by the variables that do."""
    for server in servers:
        for name in REFERRING:
            if (reference := server.setting(name)) is not None:
                yield server.called(f"HEADRACE_{name.upper()}"), reference
