"""Where a browser on this machine comes back to after somebody has logged in at a system (RFC 8252): once, on loopback."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import parse_qsl, urlsplit

from worker.errors import NeedsOperator

PATH = "/callback"
_BACK = b"<!doctype html><meta charset=utf-8><title>Headrace</title><p>You can close this page, and go back to the terminal.</p>"


@dataclass(slots=True)
class Waiting:
    """The listener. What doesn't carry our state is nothing to us."""

    redirect: str
    state: str
    _came: Event = field(default_factory=Event)
    _given: dict[str, str] = field(default_factory=dict)

    def take(self, given: dict[str, str]) -> bool:
        if self._came.is_set() or not secrets.compare_digest(
            given.get("state", "").encode(), self.state.encode()
        ):
            return False
        self._given = given
        self._came.set()
        return True

    def code(self, seconds: float) -> str:
        """What the system gave, or why it gave nothing."""
        if not self._came.wait(seconds):
            raise NeedsOperator(
                "no_consent", "Nobody logged in within the time.", hint="Run the command again."
            )
        if "code" not in self._given:
            raise NeedsOperator(
                "consent_refused", "The system didn't let us in: somebody said no, or may not say yes."
            )
        return self._given["code"]


@contextmanager
def waiting(port: int, state: str) -> Iterator[Waiting]:
    """Listen on loopback as long as the block goes; port 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            good = parts.path == PATH and found.take(dict(parse_qsl(parts.query)))
            self.send_response(200 if good else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(_BACK if good else b"")

        def log_message(self, *_: object) -> None:
            """What comes holds a code."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    found = Waiting(f"http://127.0.0.1:{server.server_port}{PATH}", state)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
