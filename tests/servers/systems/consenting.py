"""A system with OAuth 2.0 as the standards have it: it asks for PKCE, takes a code once, and replaces refresh tokens."""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

CLIENT, CLIENT_SECRET = "our-client", "secret-of-our-client"
MANIFEST = """\
manifest: 1
system: consenting
title: Consenting CMMS
protocol: rest
base_url: "http://127.0.0.1:{port}"
settings:
  port: {required: true, description: Where it listens.}
secrets:
  client_id: {description: The id of our client.}
  client_secret: {description: The secret of our client.}
  refresh_token: {description: Given by whoever logs in.}
auth:
  oauth2:
    grant: refresh_token
    token_url: "http://127.0.0.1:{port}/token"
    client_id: {secret: client_id}
    client_secret: client_secret
    refresh_token: refresh_token
    scopes: [items.read, offline_access]
    authorize: {url: "http://127.0.0.1:{port}/authorize", params: {prompt: consent}}
defaults:
  records: data
  key: id
streams:
  items: {path: /items}
  orders: {path: /orders}
"""


def write_manifest(folder: Path) -> Path:
    """A folder of connectors with this system."""
    (folder / "consenting").mkdir(parents=True)
    (folder / "consenting" / "manifest.yaml").write_text(MANIFEST)
    return folder


@dataclass
class Consenting:
    """What it remembers."""

    port: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=set)
    access: set[str] = field(default_factory=set)
    given_out: list[str] = field(default_factory=list)
    """All tokens, also those that are spent."""
    verifiers: list[str] = field(default_factory=list)
    forbidden: frozenset[str] = frozenset()

    def authorise(self, query: dict[str, str]) -> str:
        """Somebody says yes: where their browser goes."""
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"]})

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        pair = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
        if authorization != f"Basic {pair}":
            return 401, {"error": "invalid_client"}
        if form["grant_type"] == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            proof = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
            good = (
                asked is not None
                and proof.rstrip(b"=").decode() == asked["code_challenge"]
                and asked["redirect_uri"] == form["redirect_uri"]
            )
            self.verifiers.append(form["code_verifier"])
        else:
            good = form["refresh_token"] in self.refresh
            self.refresh.discard(form["refresh_token"])
        if not good:
            return 400, {"error": "invalid_grant"}
        access, refresh = f"access-{secrets.token_hex(12)}", f"refresh-{secrets.token_hex(12)}"
        self.access.add(access)
        self.refresh.add(refresh)
        self.given_out += [access, refresh]
        return 200, {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": 3600,
            "token_type": "Bearer",
        }


@contextmanager
def consenting() -> Iterator[Consenting]:
    system = Consenting()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", system.authorise(dict(parse_qsl(parts.query))))
                self.end_headers()
            elif self.headers.get("Authorization", "").removeprefix("Bearer ") not in system.access:
                self._say(401, {"error": "who are you?"})
            elif parts.path.strip("/") in system.forbidden:
                self._say(403, {"error": "not for you"})
            else:
                self._say(200, {"data": []})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._say(*system.token(form, self.headers.get("Authorization", "")))

        def _say(self, status: int, content: dict[str, Any]) -> None:
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    system.port = str(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield system
    finally:
        server.shutdown()
        server.server_close()
