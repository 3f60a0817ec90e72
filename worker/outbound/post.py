"""How does a message get to its receiver? By one POST, within a time for all of it; redirects are not followed.

Nothing of a message or of what is answered is logged: not the body, not a header, not the path of the URL.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cached_property
from typing import cast

import httpcore
from standardwebhooks import Webhook

from worker.http.network.tls import trusted
from worker.http.wire.deadline import Deadline, DeadlineBackend, within
from worker.http.wire.destination import AddressRefused, Resolve
from worker.http.wire.pool import Pool
from worker.outbound.address import Target, guard_of
from worker.outbound.message import Message, signed_headers
from worker.outbound.retry import Failed, outcome_of

WHOLE = 20.0
"""Seconds that one message may take, with the resolving of the name on top."""
WAIT = 10.0
READ = 1.0
MOST_READ = 64 * 1024
"""So much of an answer is read, and for so long, to use its connection again; what it says doesn't matter."""
MOST_OPEN, MOST_IDLE, KEPT_ALIVE = 64, 32, 15.0
USER_AGENT = b"headrace"


class Courier:
    """Carries messages for all subscriptions of a process; safe to share between threads."""

    def __init__(
        self,
        *,
        loopback: bool,
        resolve: Resolve | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._loopback = loopback
        self._resolve = resolve
        self._clock = clock

    @cached_property
    def _pool(self) -> Pool:
        """Made at the first message: most processes send none."""
        backend = DeadlineBackend(guard_of(loopback=self._loopback, resolve=self._resolve))
        return Pool(
            trusted(), most_open=MOST_OPEN, most_idle=MOST_IDLE, kept_alive=KEPT_ALIVE, backend=backend
        )

    def carry(
        self, target: Target, message: Message, signers: list[Webhook], request_id: str
    ) -> Failed | None:
        """None: it was taken; else what came instead. `request_id`: by which the logs of both sides tell of it."""
        now = self._clock()
        headers_sent = {**signed_headers(message, signers, now), "x-request-id": request_id}
        request = _request(target, message, headers_sent)
        try:
            with within(Deadline.of(WHOLE, WAIT)):
                response = self._pool.handle_request(request)
            headers = {name.lower(): value for name, value in response.headers}
            with within(Deadline.of(READ, READ)):
                _finish(cast("Iterable[bytes]", response.stream), headers.get(b"content-length", b"0"))
        except AddressRefused as exc:
            return Failed(exc.message, silent=True)
        except _UNREACHED as exc:
            return Failed(f"{target.place} {_MEANINGS.get(type(exc), 'could not be reached')}", silent=True)
        return outcome_of(response.status, headers.get(b"retry-after", b"").decode("latin-1"), now)

    def close(self) -> None:
        if "_pool" in self.__dict__:
            self._pool.close()


_UNREACHED = (
    httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError,
)  # fmt: skip
_MEANINGS: dict[type[BaseException], str] = {
    httpcore.ConnectTimeout: "did not accept a connection in time",
    httpcore.ReadTimeout: "did not answer in time",
    httpcore.WriteTimeout: "did not take the message in time",
    httpcore.PoolTimeout: "was not asked: too many messages are under way in this worker",
    httpcore.RemoteProtocolError: "broke off its answer",
}


def _request(target: Target, message: Message, headers: dict[str, str]) -> httpcore.Request:
    body = message.body.encode()
    sent = [(b"Host", target.place.encode("ascii")), (b"User-Agent", USER_AGENT)]
    sent += [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    sent.append((b"Content-Length", b"%d" % len(body)))
    url = httpcore.URL(
        scheme=target.scheme.encode("ascii"),
        host=target.host.encode("ascii"),
        port=target.port,
        target=target.path.encode("ascii"),
    )
    times = {"connect": WAIT, "read": WAIT, "write": WAIT, "pool": WAIT}
    return httpcore.Request(b"POST", url, headers=sent, content=body, extensions={"timeout": times})


def _finish(stream: Iterable[bytes], length: bytes) -> None:
    """Read what little there is; more than that, and what breaks off now, ends the connection and nothing else."""
    size = 0
    try:
        if len(length) <= len(str(MOST_READ)):
            for chunk in stream:
                size += len(chunk)
                if size > MOST_READ:
                    break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        pass
    finally:
        stream.close()  # type: ignore[attr-defined]
