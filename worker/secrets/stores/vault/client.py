"""How does Headrace log in to Vault or OpenBao, and what do its answers mean?

By the token that VAULT_TOKEN or a setting names, by AppRole, or by the service account of a pod. A token that is no longer
good is exchanged for another, once; what is refused to a good one is refused. Promises: the server's certificate is always
checked, and nothing that proves who we are follows a redirect.
"""

import re
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from worker.config import Settings, get_settings
from worker.errors import HeadraceError
from worker.secrets.stores.env import EnvStore, variable
from worker.secrets.stores.extra import load, login_refused
from worker.secrets.stores.file import FileStore
from worker.secrets.stores.port import Store, StoreUnavailable
from worker.telemetry.redaction import redactor

TIMEOUT = 5.0
FRESH = 5.0
"""Seconds: a token that is younger isn't doubted, so that what is refused doesn't log in again and again."""
_HINT = "Set how Headrace logs in: docs/secrets.md#vault-and-openbao."
_FILES = ("VAULT_CACERT", "VAULT_CAPATH", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY")
_ELSEWHERE = "it sends us elsewhere, where what Headrace logs in with isn't sent: VAULT_ADDR must name the server itself"
_OURS_REFUSED = re.compile(r"alert (.*certificate|unknown ca|access denied)", re.IGNORECASE)


class Forbidden(Exception):
    """Our token may not do that."""


class NotThere(Exception):
    """Nothing is at that path; `answer` is what the server says of it."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__()
        self.answer = answer


class Invalid(Exception):
    """The server doesn't take the request."""


class VaultClient:
    """The server that VAULT_ADDR names. Connects when it is first asked; safe between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._client: Any = None
        self._logged_in_at = float("-inf")

    @property
    def place(self) -> str:
        return variable("VAULT_ADDR") or "Vault"

    def get(self, path: str, **params: object) -> dict[str, Any]:
        """The answer to a reading. Raises `Forbidden`, `NotThere`, `Invalid`, `StoreUnavailable` and `NeedsOperator`."""
        return self._ask("get", path, params=params)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a writing; raises the same."""
        return self._ask("post", path, json=body)

    def delete(self, path: str) -> None:
        """Take something away; raises the same."""
        self._ask("delete", path)

    def _ask(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        client = self._logged_in()
        token = client.token
        try:
            return self._sent(client, method, path, given)
        except Forbidden:
            if not self._log_in_again(client, token):
                raise
        return self._sent(client, method, path, given)

    def _sent(self, client: Any, method: str, path: str, given: dict[str, Any]) -> dict[str, Any]:
        hvac, _ = _modules()
        try:
            answer = client.adapter.request(method, f"/v1/{path}", **given)
        except hvac.exceptions.Forbidden as exc:
            raise Forbidden(_words(exc)) from None
        except hvac.exceptions.InvalidPath as exc:
            raise NotThere(exc.json if isinstance(exc.json, dict) else {}) from None
        except hvac.exceptions.InvalidRequest as exc:
            raise Invalid(_words(exc)) from None
        except hvac.exceptions.VaultError as exc:
            raise StoreUnavailable(self.place, _words(exc)) from None
        except (
            OSError
        ) as exc:  # as all are that its client raises, and what can't be read from the disk any more
            raise StoreUnavailable(self.place, _how_it_failed(exc)) from None
        if isinstance(answer, dict):
            return answer
        if answer.is_redirect:
            raise StoreUnavailable(self.place, _ELSEWHERE)
        return {}

    def _logged_in(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._new_client()
            if not self._client.token:
                self._log_in(self._client)
            return self._client

    def _new_client(self) -> Any:
        hvac, requests = _modules()
        if variable("VAULT_ADDR") is None:
            raise login_refused(
                "Vault", "VAULT_ADDR isn't set", "Set it to the server's address, such as https://vault:8200."
            )
        for name in _FILES:
            _check_file(name)
        session = requests.Session()
        for scheme in ("https://", "http://"):
            session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=32))
        session.verify = variable("VAULT_CACERT") or variable("VAULT_CAPATH") or True
        if (certificate := variable("VAULT_CLIENT_CERT")) is not None:
            session.cert = (certificate, variable("VAULT_CLIENT_KEY") or certificate)
        # An empty token, or the client takes the one that a person left in their home.
        return hvac.Client(
            token="",
            timeout=TIMEOUT,
            session=session,
            namespace=variable("VAULT_NAMESPACE"),
            allow_redirects=False,
        )

    def _log_in_again(self, client: Any, token: str) -> bool:
        """Whether the token was of no more use, and there is another now."""
        with self._lock:
            if client.token != token:
                return True  # another thread has
            if monotonic() - self._logged_in_at < FRESH or self._is_good(client):
                return False
            self._log_in(client)
            if client.token == token:
                client.token = ""
                raise login_refused(
                    self.place, "the token that it is given has expired or was revoked", _HINT
                )
            return True

    def _is_good(self, client: Any) -> bool:
        try:
            self._sent(client, "get", "auth/token/lookup-self", {})
        except Forbidden:
            return False
        return True

    def _log_in(self, client: Any) -> None:
        settings = get_settings()
        refused = "the server refuses what Headrace logs in with"
        client.token = ""
        try:
            token = self._token(client, settings)
        except (Forbidden, Invalid, NotThere) as exc:
            words = str(exc)
            raise login_refused(self.place, f"{refused} ({words})" if words else refused, _HINT) from None
        if not token:
            raise login_refused(self.place, "nothing is set to log in with", _HINT)
        redactor.add(token)
        client.token = token
        self._logged_in_at = monotonic()

    def _token(self, client: Any, settings: Settings) -> str | None:
        mount = settings.vault_auth_mount
        if settings.vault_kubernetes_role is not None:
            jwt = _own(f"file://{settings.vault_kubernetes_jwt}")
            body = {"role": settings.vault_kubernetes_role, "jwt": jwt}
            return self._token_of(client, mount or "kubernetes", body)
        if settings.vault_role_id is not None:
            body = {"role_id": _own(settings.vault_role_id)}
            if settings.vault_secret_id is not None:
                body["secret_id"] = _own(settings.vault_secret_id)
            return self._token_of(client, mount or "approle", body)
        if settings.vault_token is not None:
            return _own(settings.vault_token)
        return variable("VAULT_TOKEN")

    def _token_of(self, client: Any, mount: str, body: dict[str, str]) -> str | None:
        answer = self._sent(client, "post", f"auth/{mount.strip('/')}/login", {"json": body})
        token = (answer.get("auth") or {}).get("client_token")
        return token if isinstance(token, str) else None


def _own(reference: str) -> str:
    """What Headrace logs in with is in the environment or a file: a store can't open itself."""
    scheme, _, name = reference.partition("://")
    known: dict[str, Store] = {"env": EnvStore(), "file": FileStore()}
    store = known.get(scheme)
    try:
        if store is None:
            raise ValueError("must be env://NAME or file:///path")
        value = store.read(store.canonical(name))
    except ValueError as exc:
        raise login_refused("Vault", f"a setting of its log-in {exc}", _HINT) from None
    except HeadraceError as exc:
        raise login_refused("Vault", exc.message.rstrip("."), _HINT) from None
    redactor.add(value)
    return value


def _check_file(name: str) -> None:
    """The client would say it at each request, and of a certificate only that something is wrong with it."""
    path = variable(name)
    if path is not None and not Path(path).exists():
        raise login_refused("Vault", f"there is nothing where {name} leads", _HINT)


def _modules() -> list[Any]:
    return load("vault", "vault", "hvac", "requests")


def _words(error: Any) -> str:
    """The server's own, on one line."""
    errors = error.errors if isinstance(error.errors, list) else []
    text = " ".join(str(each) for each in errors) or str(error.args[0] if error.args else "")
    return redactor.redact(" ".join(text.split()))[:200] or type(error).__name__


def _how_it_failed(error: Exception) -> str:
    """By its kind: the words of these errors hold the whole URL."""
    name = type(error).__name__
    if name == "SSLError" and _OURS_REFUSED.search(str(error)):
        return "it asks for a certificate that it trusts (VAULT_CLIENT_CERT and VAULT_CLIENT_KEY)"
    known = {
        "SSLError": "its certificate isn't trusted here (VAULT_CACERT names an authority; there is no way around)",
        "ConnectTimeout": "no connection comes about in time",
        "ReadTimeout": "it doesn't answer in time",
        "ConnectionError": "it can't be reached",
    }
    return known.get(name, f"asking it failed ({name})")
