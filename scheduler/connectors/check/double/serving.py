"""A double's server: threads of this process behind a port of loopback."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from scheduler.connectors.check.double.exchange import Answer, Call

Says = Callable[[Call], Answer | None]
"""The answer to a call; None: there is none, and the connection is dropped."""


class Serving(ThreadingHTTPServer):
    """Stopped by `stop`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, says: Says) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.says = says
        self._stopped = False
        self._thread = threading.Thread(target=self._listen, name="double", daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self) -> None:
        """At once: a hundred of them are stopped for one report."""
        self._stopped = True
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server_port), timeout=1.0):
            self._thread.join()
        self.server_close()

    def _listen(self) -> None:
        """Until somebody knocks who has stopped it."""
        while True:
            try:
                request, address = self.socket.accept()
            except OSError:
                if self._stopped:
                    return
                raise
            if self._stopped:
                request.close()
                return
            self.process_request(request, address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the trouble."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def answer(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        call = Call(self.command, unquote(parts.path), parts.query, headers, body)
        said = cast("Serving", self.server).says(call)
        if said is None:
            self.close_connection = True
            return
        self._write(said)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815

    def _write(self, said: Answer) -> None:
        content = said.content
        headers = {"Content-Type": said.content_type, "Content-Length": str(len(content)), **said.headers}
        self.send_response_only(said.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if said.cut:
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: the double keeps a log of its own."""


def http_date(at: Any) -> str:
    """For the header `Date`."""
    return format_datetime(at.replace(microsecond=0), usegmt=True)
