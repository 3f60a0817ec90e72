"""A system that counts sessions: a log-in by user and password, cookies, a licence for few, and tokens against forgery.

POST /api/login     {name, password} -> {sessionTimeout}, and two cookies; 403 where the licence has no session left
POST /api/logout    gives the session back
GET  /api/parts     401 without a session
GET  /odata/        with Basic; `x-csrf-token: Fetch` brings a token and a cookie
POST /odata/orders  403 `x-csrf-token: Required` without that token and that cookie
GET  /signed        200 where Authorization signs the URL without its scheme
"""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Source
from worker.connectors.manifest.model import manifest_in
from worker.parsing.documents import read_document

PASSWORD = "planted-password-of-the-plant"
LOGIN: Mapping[str, Any] = {
    "login": {
        "request": {"path": "/login", "json": {"name": "headrace", "password": "{password}"}},
        "cookies": ["SESSION", "ROUTE"],
        "expires": {"in": "sessionTimeout"},
        "logout": {"path": "/logout"},
    }
}
CSRF: Mapping[str, Any] = {
    "basic": {"username": {"setting": "user"}, "password": {"secret": "password"}},
    "csrf": {"path": "/"},
}
SIGN: Mapping[str, Any] = {
    "sign": {
        "secret": "password",
        "params": {"at": "{timestamp}", "why": "a b+c/d"},
        "text": "{url}",
        "headers": {"Authorization": "{signature}"},
    }
}


def source_with(auth: Mapping[str, Any], base_url: str) -> Source:
    """One connection whose manifest has that auth."""
    manifest = {
        "manifest": 1,
        "system": "sessions",
        "title": "Sessions",
        "protocol": "rest",
        "base_url": "{base_url}",
        "settings": {
            "base_url": {"required": True, "description": "Where."},
            "user": {"default": "headrace", "description": "Who."},
        },
        "secrets": {"password": {"description": "The password."}},
        "auth": auth,
        "streams": {"parts": {"path": "/parts", "records": "data", "key": "id"}},
    }
    document = read_document(json.dumps(manifest).encode(), "manifest.json")
    return ManifestConnector(manifest_in(document)).bind({"base_url": base_url})


@dataclass
class Sessions:
    """The system, and what it saw."""

    url: str = ""
    timeout: float = 1800.0
    """What it says that a session lasts."""
    licence: int = 1
    logins: int = 0
    logouts: int = 0
    tokens: int = 0
    written: int = 0
    open: set[str] = field(default_factory=set)
    token: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        """Every session and token, as after a restart."""
        with self.lock:
            self.open.clear()
            self.token = ""

    def log_in(self, body: bytes) -> tuple[int, dict[str, Any], list[str]]:
        given = json.loads(body)
        with self.lock:
            self.logins += 1
            if given != {"name": "headrace", "password": PASSWORD}:
                return 401, {"message": "Wrong password"}, []
            if len(self.open) >= self.licence:
                return 403, {"message": "The licence allows no more sessions"}, []
            session = f"planted-session-{self.logins:04}"
            self.open.add(session)
        cookies = [
            f"SESSION={session}; HttpOnly; expires=Wed, 21 Oct 2099 07:28:00 GMT",
            "ROUTE=.node1; path=/",
            "theme=dark",
        ]
        return 200, {"sessionTimeout": self.timeout}, cookies

    def log_out(self, cookies: Mapping[str, str]) -> int:
        with self.lock:
            self.logouts += 1
            self.open.discard(cookies.get("SESSION", ""))
        return 204

    def fetch(self) -> str:
        with self.lock:
            self.tokens += 1
            self.token = f"planted-csrf-{self.tokens:04}"
            return self.token

    def write(self, token: str | None, cookies: Mapping[str, str]) -> bool:
        with self.lock:
            good = bool(self.token) and token == self.token == cookies.get("FORGERY")
            self.written += good
            return good


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    system: Sessions

    def do_GET(self) -> None:
        cookies = self._cookies()
        if self.path == "/api/parts":
            good = cookies.get("SESSION") in self.system.open and cookies.get("ROUTE") == ".node1"
            self._say(200 if good and "theme" not in cookies else 401, {"data": [{"id": 1}]})
        elif self.path == "/odata/" and self.headers["x-csrf-token"] == "Fetch":
            token = self.system.fetch()
            self._say(200, {}, [f"FORGERY={token}; secure"], {"x-csrf-token": token})
        elif self.path.startswith("/signed"):
            url = f"{self.headers['Host']}{self.path}"
            right = hmac.new(PASSWORD.encode(), url.encode(), hashlib.sha256).hexdigest()
            self._say(200 if self.headers["Authorization"] == right else 401, {"data": []})
        else:
            self._say(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == "/api/login":
            self._say(*self.system.log_in(body))
        elif self.path == "/api/logout":
            self._say(self.system.log_out(self._cookies()), None)
        elif self.path == "/odata/orders":
            good = self.system.write(self.headers["x-csrf-token"], self._cookies())
            self._say(201 if good else 403, {}, (), {} if good else {"x-csrf-token": "Required"})
        else:
            self._say(404, {})

    def _cookies(self) -> dict[str, str]:
        read = SimpleCookie(self.headers["Cookie"] or "")
        return {name: morsel.value for name, morsel in read.items()}

    def _say(
        self, status: int, body: Any, cookies: Any = (), headers: Mapping[str, str] | None = None
    ) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest shows what the test says."""


@contextmanager
def sessions_system() -> Iterator[Sessions]:
    """It, on a free port, stopped in the end."""
    system = Sessions()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"system": system}))
    server.daemon_threads = True
    system.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield system
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
