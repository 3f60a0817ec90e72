"""How does a request get through a proxy?

    https   the proxy is asked to CONNECT, and TLS is spoken with the system through it: the proxy sees a name and a port
    http    the proxy is given the whole URL and passes the request on, which is what proxies expect there

Promises: only the proxy sees its own password, and only the system what the request proves; what the proxy itself says
(it asks for a password, it lets nobody there) is told apart from what the system says.
"""

import re
import ssl
from base64 import b64encode
from dataclasses import dataclass, field, replace

import httpcore
import httpx

from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.http.wire.deadline import BoundedStream, Deadline, DeadlineBackend
from worker.http.wire.destination import Guard
from worker.http.wire.exchange import Moments, Wire
from worker.http.wire.message import Answer, Origin, Outgoing

LONGEST_HEAD = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r)")
ASKS_FOR_LOGIN = 407


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy is, and what it is shown."""

    origin: Origin
    login: str = field(default="", repr=False)
    """`user:password`; empty where it asks for none."""

    @property
    def place(self) -> str:
        return f"{self.origin.host}:{self.origin.port}"

    @property
    def authorization(self) -> str:
        return f"Basic {b64encode(self.login.encode()).decode()}" if self.login else ""


class TunnelBackend(DeadlineBackend):
    """Opens connections through a proxy to wherever they lead. `guard` is for systems; the proxy itself may be anywhere."""

    def __init__(self, proxy: Proxy, tls: ssl.SSLContext, guard: Guard) -> None:
        super().__init__()
        self._proxy = proxy
        self._tls = tls
        self._systems = guard

    def _opened(self, host: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
        self._systems.check_name(host)
        origin = self._proxy.origin
        try:
            stream: httpcore.NetworkStream = BoundedStream(super()._opened(origin.host, origin.port, timeout))
            if origin.secure:
                stream = stream.start_tls(self._tls, origin.host, timeout)
        except (httpcore.NetworkError, httpcore.TimeoutException) as exc:
            raise unreachable(self._proxy, exc) from exc
        try:
            status = _asked_to_connect(stream, self._proxy, host, port, timeout)
        except (httpcore.NetworkError, httpcore.TimeoutException, _NoHead) as exc:
            stream.close()
            raise Transient(
                "proxy_failed", f"The proxy {self._proxy.place} gave no answer when asked for {host}."
            ) from exc
        if not 200 <= status < 300:
            stream.close()
            raise refused(self._proxy, host, status)
        return stream


class ForwardWire:
    """Requests without TLS, which a proxy passes on."""

    def __init__(self, proxy: Proxy, wire: Wire, guard: Guard) -> None:
        self._proxy = proxy
        self._wire = wire
        self._guard = guard

    def exchange(self, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int) -> Answer:
        self._guard.check_name(outgoing.origin.host)
        outgoing.check()
        headers = list(outgoing.headers)
        if self._proxy.login:
            headers.append(("proxy-authorization", self._proxy.authorization))
        target = f"http://{outgoing.host}{outgoing.target}"
        forwarded = replace(outgoing, origin=self._proxy.origin, target=target, headers=headers)
        try:
            answer = self._wire.exchange(forwarded, moments, deadline, most)
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            raise unreachable(self._proxy, exc) from exc
        if answer.status == ASKS_FOR_LOGIN:
            raise refused(self._proxy, outgoing.origin.host, answer.status)
        return answer


def refused(proxy: Proxy, host: str, status: int) -> HeadraceError:
    """What it means that a proxy answered so. Of its words nothing is repeated."""
    if status == ASKS_FOR_LOGIN:
        shown = "does not accept its user and password" if proxy.login else "asks for a user and a password"
        return NeedsOperator(
            "proxy_refused",
            f"The proxy {proxy.place} {shown}.",
            hint="Look at network.proxy_user and network.proxy_password of the connection.",
        )
    if status < 500:
        return NeedsOperator(
            "proxy_refused",
            f"The proxy {proxy.place} answered {status} when asked for {host}.",
            hint=f"Does it let this machine go to {host}, and to that port?",
        )
    return Transient("proxy_failed", f"The proxy {proxy.place} could not reach {host}: it answered {status}.")


def unreachable(proxy: Proxy, error: BaseException) -> HeadraceError:
    """The proxy itself can't be had."""
    distrust: BaseException | None = error
    while distrust is not None and not isinstance(distrust, ssl.SSLError):
        distrust = distrust.__cause__ or distrust.__context__
    if distrust is not None:
        why = getattr(distrust, "verify_message", "") or "it does not speak TLS as it should"
        return NeedsOperator(
            "tls_failed",
            f"The proxy {proxy.place} can't be trusted: {why}.",
            hint="Is it really https://? An authority of your own goes under network.ca.",
        )
    return Transient("proxy_failed", f"The proxy {proxy.place} could not be reached.")


class _NoHead(Exception):
    """What came is no answer to CONNECT."""


def _asked_to_connect(
    stream: httpcore.NetworkStream, proxy: Proxy, host: str, port: int, timeout: float | None
) -> int:
    """The status that the proxy answers with."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    head = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n"
    if proxy.login:
        head += f"Proxy-Authorization: {proxy.authorization}\r\n"
    stream.write(f"{head}\r\n".encode("ascii"), timeout)
    taken = b""
    while b"\r\n\r\n" not in taken:
        piece = stream.read(LONGEST_HEAD, timeout)
        taken += piece
        if not piece or len(taken) > LONGEST_HEAD:
            raise _NoHead
    found = _STATUS.match(taken)
    if found is None:
        raise _NoHead
    status = int(found[1])
    if 200 <= status < 300 and not taken.endswith(b"\r\n\r\n"):
        raise _NoHead  # the system speaks only once it was spoken to
    return status
