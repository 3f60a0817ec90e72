"""How does Headrace log in to Vault or OpenBao, and what do its answers mean?

By the token that VAULT_TOKEN or a setting names, by AppRole, or by the service account of a pod. A token that is no longer
good is exchanged for another, once; what is refused to a good one is refused. Promises: the server's certificate is always
checked, and nothing that proves who we are follows a redirect.
"""

import re
from threading import Lock
from time import monotonic
from typing import Any

from worker.secrets.stores.extra import load, login_refused
from worker.secrets.stores.port import StoreUnavailable
from worker.secrets.stores.vault.server import HINT, Server
from worker.telemetry.redaction import redactor

TIMEOUT = 5.0
FRESH = 5.0
"""Seconds: a token that is younger isn't doubted, so that what is refused doesn't log in again and again."""
_ELSEWHERE = (
    "it sends us elsewhere, where what Headrace logs in with isn't sent: {} must name the server itself"
)
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
    """One server. Connects when it is first asked; safe between threads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = Lock()
        self._client: Any = None
        self._logged_in_at = float("-inf")

    @property
    def place(self) -> str:
        return self._server.place

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
            raise StoreUnavailable(self.place, _how_it_failed(exc, self._server)) from None
        if isinstance(answer, dict):
            return answer
        if answer.is_redirect:
            raise StoreUnavailable(self.place, _ELSEWHERE.format(self._server.called("VAULT_ADDR")))
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
        server = self._server
        url = server.require("VAULT_ADDR", "Set it to the server's address, such as https://vault:8200.")
        server.check_files()
        session = requests.Session()
        for scheme in ("https://", "http://"):
            session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=32))
        session.verify = server.variable("VAULT_CACERT") or server.variable("VAULT_CAPATH") or True
        certificate = server.variable("VAULT_CLIENT_CERT")
        # What isn't given the client takes from the variables of everybody's server, and a token from the home of a person.
        return hvac.Client(
            url=url,
            token="",
            cert=(certificate, server.variable("VAULT_CLIENT_KEY") or certificate) if certificate else (),
            timeout=TIMEOUT,
            session=session,
            namespace=server.variable("VAULT_NAMESPACE"),
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
                raise login_refused(self.place, "the token that it is given has expired or was revoked", HINT)
            return True

    def _is_good(self, client: Any) -> bool:
        try:
            self._sent(client, "get", "auth/token/lookup-self", {})
        except Forbidden:
            return False
        return True

    def _log_in(self, client: Any) -> None:
        refused = "the server refuses what Headrace logs in with"
        client.token = ""
        try:
            token = self._token(client)
        except (Forbidden, Invalid, NotThere) as exc:
            words = str(exc)
            raise login_refused(self.place, f"{refused} ({words})" if words else refused, HINT) from None
        if not token:
            raise login_refused(self.place, "nothing is set to log in with", HINT)
        redactor.add(token)
        client.token = token
        self._logged_in_at = monotonic()

    def _token(self, client: Any) -> str | None:
        proof = self._server.proof()
        if proof is None or isinstance(proof, str):
            return proof
        mount, body = proof
        answer = self._sent(client, "post", f"auth/{mount.strip('/')}/login", {"json": body})
        token = (answer.get("auth") or {}).get("client_token")
        return token if isinstance(token, str) else None


def _modules() -> list[Any]:
    return load("vault", "vault", "hvac", "requests")


def _words(error: Any) -> str:
    """The server's own, on one line."""
    errors = error.errors if isinstance(error.errors, list) else []
    text = " ".join(str(each) for each in errors) or str(error.args[0] if error.args else "")
    return redactor.redact(" ".join(text.split()))[:200] or type(error).__name__


def _how_it_failed(error: Exception, server: Server) -> str:
    """By its kind: the words of these errors hold the whole URL."""
    name = type(error).__name__
    if name == "SSLError" and _OURS_REFUSED.search(str(error)):
        ours = " and ".join(map(server.called, ("VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY")))
        return f"it asks for a certificate that it trusts ({ours})"
    known = {
        "SSLError": f"its certificate isn't trusted here ({server.called('VAULT_CACERT')} names an authority;"
        " there is no way around)",
        "ConnectTimeout": "no connection comes about in time",
        "ReadTimeout": "it doesn't answer in time",
        "ConnectionError": "it can't be reached",
    }
    return known.get(name, f"asking it failed ({name})")
