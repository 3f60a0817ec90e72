"""What is answered where a request can't be read as HTTP at all: no line, two lengths, an address of 64 KiB and more.

Nothing of ours is asked then, so the server itself says no, and it says so as everything else here does.
Emits: request_unreadable.
"""

import structlog
from starlette.requests import Request
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from scheduler.api.frame import request_id_of
from scheduler.api.problems import REQUEST_ID, problem

log = structlog.get_logger()


class Protocol(HttpToolsProtocol):
    """The server's own, but for its words."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - as it is called
        scope: Scope = {"type": "http", "method": "", "path": "", "headers": []}
        request_id = request_id_of(scope)
        scope["state"] = {REQUEST_ID: request_id}
        answer = problem(
            Request(scope),
            400,
            "bad_request",
            "This can't be read as an HTTP request.",
            hint="An address may have 64 KiB, and a request one length.",
        )
        headers = [*answer.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
        lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers), b"", b""]
        self.transport.write(b"\r\n".join(lines) + bytes(answer.body))
        self.transport.close()
        log.info("request_unreadable", request_id=request_id)
