"""A source that answers exactly what a test says, byte for byte: what no honest system sends."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    """Their names in lower case."""


@dataclass
class Said:
    """The answer to it."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


Script = Callable[[Asked], Said]


class Scripted:
    """Serves `script`, which may be exchanged at any time."""

    def __init__(self, base_url: str, script: Script) -> None:
        self.base_url = base_url
        self.script = script
        self.asked: list[Asked] = []


@contextmanager
def scripted_source(script: Script) -> Iterator[Scripted]:
    """A source on a free port, stopped in the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()})
            source.asked.append(asked)
            said = source.script(asked)
            if "Date" in said.headers:  # else the server says the time itself
                self.send_response_only(said.status)
            else:
                self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, *_: Any) -> None:
            """Nothing: pytest shows what the test says."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    source = Scripted(f"http://127.0.0.1:{server.server_port}", script)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield source
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
