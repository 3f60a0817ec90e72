"""A receiver of outbound events: a real HTTP server that checks each signature with the library, and answers as told."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_" + "c2lnbmluZy1zZWNyZXQtb2YtdGhlLXRlc3RzLTMyYnl0ZXM="

Answer = int | tuple[int, dict[str, str]]


@dataclass
class Receiver:
    """What came, and what is said to it. `answer` decides by the event; by default it is 204."""

    url: str = ""
    answer: Callable[[dict[str, Any]], Answer] = lambda _: 204
    events: list[dict[str, Any]] = field(default_factory=list)
    """Every event that came with a signature that is right, whatever was answered."""
    ids: list[str] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    forged: int = 0
    secret: str = SECRET
    busy: int = 0
    most_busy: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.gate.set()

    def keys(self) -> list[str]:
        return [event["data"]["key"] for event in self.events]

    def taken(self) -> dict[str, list[Any]]:
        """Of each record, what came of it, in order."""
        found: dict[str, list[Any]] = defaultdict(list)
        for event in self.events:
            found[event["data"]["key"]].append((event["data"].get("record") or {}).get("value"))
        return dict(found)

    def hear(self, body: bytes, headers: dict[str, str]) -> Answer:
        with self._lock:
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            try:
                event = Webhook(self.secret).verify(body, headers)
            except WebhookVerificationError:
                self.forged += 1
                return 401
            self.gate.wait(20)
            assert json.loads(body) == event
            with self._lock:
                self.events.append(event)
                self.ids.append(headers["webhook-id"])
                self.request_ids.append(headers.get("x-request-id", ""))
            return self.answer(event)
        finally:
            with self._lock:
                self.busy -= 1


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = receiver.hear(body, headers)
            status, more = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            if "content-length" not in {name.lower() for name in more}:
                self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # a handful knocks at once, and a busy machine would turn some of it away

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook/planted-path"
    try:
        yield receiver
    finally:
        receiver.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
