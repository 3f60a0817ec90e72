"""How is a request sent by somebody else's transport? The wire over any of httpx's: for systems that none reaches.

Connections are the transport's own business; it may call the `trace` of a request as httpcore does.
"""

from typing import Any

import httpx

from worker.http.wire.exchange import Moments
from worker.http.wire.line import Deadline
from worker.http.wire.message import Answer, Outgoing, TooLarge, joined


class ForeignWire:
    """A wire made of one of httpx's transports."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def exchange(self, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int) -> Answer:
        outgoing.written()

        def trace(event: str, _info: dict[str, Any]) -> None:
            if event == "connection.connect_tcp.started":
                moments.connecting()

        request = httpx.Request(
            outgoing.method,
            f"{outgoing.origin.scheme}://{outgoing.host}{outgoing.target}",
            headers=list(outgoing.headers),
            content=outgoing.body,
            extensions={"timeout": httpx.Timeout(deadline.wait).as_dict(), "trace": trace},
        )
        moments.before_sending()
        response = self._transport.handle_request(request)
        try:
            moments.answered()
            return self._read(response, outgoing.method, most, moments)
        finally:
            response.close()

    @staticmethod
    def _read(response: httpx.Response, method: str, most: int, moments: Moments) -> Answer:
        headers = joined(response.headers.multi_items())
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > most and method != "HEAD":
            raise TooLarge
        if response.is_stream_consumed:  # a transport that answers from memory has unpacked it already
            headers.pop("content-encoding", None)
            if len(response.content) > most:
                raise TooLarge
            return Answer(response.status_code, headers, response.content)
        taken, size = [], 0
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > most:
                raise TooLarge
            moments.comes(size)
            taken.append(chunk)
        return Answer(response.status_code, headers, b"".join(taken))
