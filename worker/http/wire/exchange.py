"""How is a request exchanged for its answer? By httpcore over a pool of ours, or by a transport that a caller brings.

httpx's client, its requests and its answers are left out between: cookies, redirects, proxies and a log line are not
wanted here, and cost more than the exchange itself. So a request with its proof goes only where it was meant to, and
nothing of one reaches another but its connection.
Promises: what must happen at the last moment before a request leaves happens once its connection stands.
"""

from collections.abc import Iterable
from typing import Any, Protocol, cast

import httpcore
import httpx

from worker.http.wire.deadline import Deadline, within
from worker.http.wire.message import Answer, Outgoing, TooLarge, joined, text_of
from worker.http.wire.pool import Pool

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


class Wire(Protocol):
    """A way to a system. Safe to share between threads."""

    def exchange(self, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int) -> Answer:
        """The answer, its body at most `most` bytes long; else `TooLarge`. Raises httpx's exceptions."""
        ...


class PooledWire:
    """Straight to the system, over connections that are kept."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def exchange(self, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int) -> Answer:
        outgoing.check()
        with within(deadline, moments):
            try:
                response = self._pool.handle_request(_request(outgoing, deadline))
                body = cast("_Body", response.stream)
                try:
                    moments.answered()
                    headers = joined((text_of(name), text_of(value)) for name, value in response.headers)
                    return Answer(
                        response.status, headers, _read(body, headers, outgoing.method, most, moments)
                    )
                finally:
                    body.close()
            except _HTTPCORE as exc:
                kind: type[httpx.TransportError] = getattr(httpx, type(exc).__name__, httpx.NetworkError)
                raise kind(str(exc)) from exc

    def close(self) -> None:
        self._pool.close()


class TransportWire:
    """By any of httpx's transports. Connections are its own business; it may call `trace` as httpcore does."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def exchange(self, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int) -> Answer:
        outgoing.check()

        def trace(event: str, _info: dict[str, Any]) -> None:
            if event == "connection.connect_tcp.started":
                moments.connecting()

        request = httpx.Request(
            outgoing.method,
            f"{outgoing.origin.scheme}://{outgoing.host}{outgoing.target}",
            headers=outgoing.headers,
            content=outgoing.body,
            extensions={"timeout": _time_outs(deadline.wait), "trace": trace},
        )
        moments.before_sending()
        response = self._transport.handle_request(request)
        try:
            moments.answered()
            headers = joined(response.headers.multi_items())
            chunks: Iterable[bytes]
            if response.is_stream_consumed:  # it answered from memory, and has unpacked it already
                headers.pop("content-encoding", None)
                chunks = [response.content]
            else:
                chunks = response.iter_raw()
            body = _read(chunks, headers, outgoing.method, most, moments)
            return Answer(response.status_code, headers, body)
        finally:
            response.close()


_HTTPCORE = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


class _Body(Iterable[bytes], Protocol):
    def close(self) -> None: ...


def _request(outgoing: Outgoing, deadline: Deadline) -> httpcore.Request:
    origin, body = outgoing.origin, outgoing.body
    headers = [(b"Host", outgoing.host.encode("ascii"))]
    headers += [(name.encode("ascii"), value.encode("ascii")) for name, value in outgoing.headers]
    if body is not None or outgoing.method in _HAVE_A_BODY:
        headers.append((b"Content-Length", b"%d" % len(body or b"")))
    url = httpcore.URL(
        scheme=origin.scheme.encode("ascii"),
        host=origin.host.encode("ascii"),
        port=origin.port,
        target=outgoing.target.encode("ascii"),
    )
    return httpcore.Request(
        outgoing.method.encode("ascii"),
        url,
        headers=headers,
        content=body or None,
        extensions={"timeout": _time_outs(deadline.wait)},
    )


_HAVE_A_BODY = frozenset({"POST", "PUT", "PATCH"})


def _time_outs(wait: float) -> dict[str, float]:
    return {"connect": min(CONNECT, wait), "read": wait, "write": wait, "pool": min(POOL, wait)}


def _read(
    chunks: Iterable[bytes], headers: dict[str, str], method: str, most: int, moments: Moments
) -> bytes:
    length = _length(headers, method)
    if length is not None:
        if length > most:
            raise TooLarge
        moments.comes(length)
    taken, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise TooLarge
        if length is None:
            moments.comes(size)
        taken.append(chunk)
    return taken[0] if len(taken) == 1 else b"".join(taken)


def _length(headers: dict[str, str], method: str) -> int | None:
    """How long the body is, where the system says so beforehand."""
    length = headers.get("content-length", "")
    return int(length[:20]) if length.isdecimal() and method != "HEAD" else None
