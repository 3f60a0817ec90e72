"""How is a request exchanged for its answer? By httpx's transport, without the layers of its client above it.

A client's cookies, redirects, proxies and log line are not wanted here, and cost as much as the exchange itself; so a
request with its proof goes only where it was meant to, and nothing of one reaches another but its connection.
Promises: what must happen at the last moment before a request leaves happens once its connection stands.
"""

from typing import Any, Protocol

import httpx

from worker.http.wire.deadline import Deadline, within
from worker.http.wire.message import Answer, Outgoing, TooLarge, joined

CONNECT = 10.0
POOL = 10.0


class Moments(Protocol):
    """Who wants to know how far a request has come."""

    def connecting(self) -> None: ...
    def before_sending(self) -> None:
        """What it raises ends the exchange, and nothing was sent."""
        ...

    def answered(self) -> None:
        """The head of the answer is here."""
        ...

    def comes(self, size: int) -> None:
        """The body has so many bytes, or has them so far. What it raises ends the exchange."""
        ...


class Wire:
    """A way to a system. Safe to share between threads."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def exchange(self, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int) -> Answer:
        """The answer, its body at most `most` bytes long; else `TooLarge`. Raises httpx's exceptions."""
        outgoing.check()
        told = _Told(moments)
        request = httpx.Request(
            outgoing.method,
            f"{outgoing.origin.scheme}://{outgoing.host}{outgoing.target}",
            headers=outgoing.headers,
            content=outgoing.body,
            extensions={"timeout": _time_outs(deadline.wait), "trace": told.trace},
        )
        with within(deadline):
            response = self._transport.handle_request(request)
            try:
                told.answered()
                return _read(response, outgoing.method, most, moments)
            finally:
                response.close()

    def close(self) -> None:
        self._transport.close()


class _Told:
    """Tells of the moments as httpcore comes by them; a transport that answers from memory has none of them."""

    __slots__ = ("_moments", "_sent")

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self._sent = False

    def trace(self, event: str, _info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            self._moments.connecting()
        elif event == "http11.send_request_headers.started":
            self._sent = True
            self._moments.before_sending()

    def answered(self) -> None:
        if not self._sent:
            self._moments.before_sending()
        self._moments.answered()


def _time_outs(wait: float) -> dict[str, float]:
    return {"connect": min(CONNECT, wait), "read": wait, "write": wait, "pool": min(POOL, wait)}


def _read(response: httpx.Response, method: str, most: int, moments: Moments) -> Answer:
    headers = joined(response.headers.multi_items())
    length = _length(headers, method)
    if length is not None:
        if length > most:
            raise TooLarge
        moments.comes(length)
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
        if length is None:
            moments.comes(size)
        taken.append(chunk)
    return Answer(response.status_code, headers, taken[0] if len(taken) == 1 else b"".join(taken))


def _length(headers: dict[str, str], method: str) -> int | None:
    """How long the body is, where the system says so beforehand."""
    length = headers.get("content-length", "")
    return int(length[:20]) if length.isdecimal() and method != "HEAD" else None
