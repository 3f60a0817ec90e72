"""Azure Key Vault's REST surface for secrets, over TLS, and the place where a managed identity gets its tokens."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from servers.network.certificates import Authority


@dataclass
class Azure:
    """All vaults are one here. `refuses`: a status that is answered to everything, with Azure's word for it."""

    folder: Path
    secrets: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """By name: versions with their values, the latest last."""
    tokens: list[str] = field(default_factory=list)
    refuses: tuple[int, str] | None = None
    elsewhere: str = ""
    """Where all are sent who ask, if it isn't empty."""
    asked: list[str] = field(default_factory=list)
    port: int = 0
    identity_port: int = 0

    def put(self, name: str, value: str) -> str:
        version = uuid4().hex
        self.secrets.setdefault(name, []).append((version, value))
        return version

    @property
    def environment(self) -> dict[str, str]:
        """In which a program with a managed identity runs here, and trusts this server."""
        return {
            "HEADRACE_AZURE_VAULT_URL": f"https://127.0.0.1:{self.port}",
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{self.identity_port}/token",
            "IDENTITY_HEADER": "planted-identity-header",
            "REQUESTS_CA_BUNDLE": str(self.folder / "azure-authority.pem"),
        }


@contextmanager
def running_azure(folder: Path, port: int = 0, identity_port: int = 0) -> Iterator[Azure]:
    """The vaults and the identity, on those ports or free ones."""
    authority = Authority("the tests' Azure")
    (folder / "azure-authority.pem").write_text(authority.certificate)
    azure = Azure(folder)
    context = authority.issue("vault", ["127.0.0.1"]).server_context(folder)
    with (
        _serving(azure, _Vault, port, context) as azure.port,
        _serving(azure, _Identity, identity_port) as azure.identity_port,
    ):
        yield azure


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    azure: Azure

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest shows what the test says."""

    def answer(self, status: int, body: Any, **headers: str) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Identity(_Answering):
    """App Service's way of handing out tokens to a managed identity."""

    def do_GET(self) -> None:
        if self.headers.get("X-IDENTITY-HEADER") != "planted-identity-header":
            self.answer(401, {})
            return
        self.azure.tokens.append(f"planted-azure-t0ken-{uuid4().hex}")
        self.answer(
            200, {"access_token": self.azure.tokens[-1], "expires_on": "4102444800", "token_type": "Bearer"}
        )


class _Vault(_Answering):
    def do_GET(self) -> None:
        if (parts := self._let_in()) is None:
            return
        wanted = parts[2] if len(parts) > 2 else ""
        found = [each for each in self.azure.secrets.get(parts[1], []) if wanted in {"", each[0]}]
        if not found:
            self._refuse(404, "SecretNotFound")
            return
        self._item(parts[1], *found[-1])

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if (parts := self._let_in()) is None:
            return
        value = json.loads(body)["value"]
        self._item(parts[1], self.azure.put(parts[1], value), value)

    def do_DELETE(self) -> None:
        if (parts := self._let_in()) is None:
            return
        if (versions := self.azure.secrets.pop(parts[1], None)) is None:
            self._refuse(404, "SecretNotFound")
            return
        self._item(parts[1], *versions[-1])

    def _let_in(self) -> list[str] | None:
        """The path's parts. As the service does, it says first whose tokens it takes, and for which resource."""
        path = urlsplit(self.path).path
        self.azure.asked.append(f"{self.command} {path}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self.azure.tokens or token != self.azure.tokens[-1]:
            # Its host must end with the resource's, or the client refuses to send a token.
            where = f"https://0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
            challenge = f'Bearer authorization="https://login.microsoftonline.com/t", resource="{where}"'
            self.answer(401, {"error": {"code": "Unauthorized", "message": "x"}}, WWW_Authenticate=challenge)
            return None
        if self.azure.elsewhere:
            self.answer(307, {}, Location=self.azure.elsewhere)
            return None
        if self.azure.refuses is not None:
            self._refuse(*self.azure.refuses)
            return None
        return path.strip("/").split("/")

    def _refuse(self, status: int, code: str) -> None:
        self.answer(status, {"error": {"code": code, "message": f"{code} of somebody"}})

    def _item(self, name: str, version: str, value: str) -> None:
        identifier = f"https://127.0.0.1:{self.azure.port}/secrets/{name}/{version}"
        attributes = {"enabled": True, "created": 1, "updated": 1}
        self.answer(200, {"value": value, "id": identifier, "attributes": attributes})


@contextmanager
def _serving(
    azure: Azure, handler: type[_Answering], port: int, context: ssl.SSLContext | None = None
) -> Iterator[int]:
    bound = type(handler.__name__, (handler,), {"azure": azure})
    server = ThreadingHTTPServer(("127.0.0.1", port), bound)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
