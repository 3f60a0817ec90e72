"""A system at which webhooks are registered, with all that goes wrong there: it loses answers, disables, forgets."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = """\
manifest: 1
system: hooking
title: Hooking
protocol: rest
base_url: "{base_url}"
settings:
  base_url: {required: true, description: Where it lives.}
secrets:
  token: {description: Its token.}
  hook_secret: {required: false, description: What signs its webhooks.}
auth: {bearer: {secret: token}}
streams:
  parts: {path: /parts, key: id, records: data, single: {}, paging: {cursor: {param: c, path: next}}}
webhooks:
  verify: {hmac: {secret: hook_secret, header: X-Signature}}
  events:
    - {stream: parts, key: id}
  register:
    list: {path: /hooks, records: data}
    url: target
    enabled: {status: active}
    expires: ends_at
    secret: hook_secret
    create: {path: /hooks, body: {target: "{url}", secret: "{secret}"}, answer: data}
    renew: {path: "/hooks/{id}/renew"}
    enable: {method: PATCH, path: "/hooks/{id}", body: {status: active}}
    remove: {path: "/hooks/{id}"}
"""
TOKEN = "the-token-of-hooking"


@dataclass
class Hooking:
    """What it holds, and how it behaves."""

    base_url: str = ""
    hooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    lasts: timedelta | None = None
    loses_answers: int = 0
    refuses: int = 0
    hands_out: str | None = None
    keeps: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **said: Any) -> dict[str, Any]:
        number = str(len(self.asked) * 100 + len(self.hooks) + 1)
        hook = {"id": number, "status": "active", **said}
        if self.lasts:
            hook["ends_at"] = (datetime.now(UTC) + self.lasts).isoformat()
        if self.keeps:
            self.hooks[number] = {key: value for key, value in hook.items() if key != "secret"}
        return hook

    def does(self, method: str, path: str) -> int:
        return sum(asked == (method, path) for asked in self.asked)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if (method, path) == ("GET", "/hooks"):
            return 200, {"data": list(self.hooks.values())}
        if (method, path) == ("POST", "/hooks"):
            self.sent.append(body)
            hook = self.add(**body)
            return 201, {"data": hook | ({"key": self.hands_out} if self.hands_out else {})}
        if parts[1] not in self.hooks:
            return 404, {}
        if method == "DELETE":
            del self.hooks[parts[1]]
            return 204, None
        if method == "PATCH":
            self.hooks[parts[1]].update(body)
        elif self.lasts:
            self.hooks[parts[1]]["ends_at"] = (datetime.now(UTC) + self.lasts).isoformat()
        return 200, {"data": self.hooks[parts[1]]}


@contextmanager
def hooking_system() -> Iterator[Hooking]:
    """It on a free port, stopped in the end."""
    system = Hooking()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            with system.lock:
                system.asked.append((self.command, self.path))
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    status, said = 401, {"error": "no"}
                elif system.refuses:
                    system.refuses -= 1
                    status, said = 422, {"error": f"Unhappy with {body}"}
                else:
                    status, said = system.answer(self.command, self.path, body)
                if self.command == "POST" and system.loses_answers:
                    system.loses_answers -= 1
                    self.close_connection = True
                    return
            content = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815 - the server's names

        def log_message(self, *_: Any) -> None:
            """Nothing: pytest shows what the test says."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    system.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield system
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
