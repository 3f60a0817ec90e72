"""The one httpx client of this process.

Promises: made at the first use and anew after a fork, since two processes must not speak on one connection. Nothing of
one request reaches another: cookies are never kept, redirects never followed (a request with its proof goes only where
it was meant to), proxies and `.netrc` in the environment are not used. Certificates are checked against the operating
system's store and certifi's together.
"""

import os
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Lock

import httpcore
import httpx

from worker.http.deadline import DeadlineBackend

MOST_CONNECTIONS = 200
MOST_KEPT_ALIVE = 100
KEPT_ALIVE = 30.0
CONNECT = 10.0
POOL = 10.0


class _Process:
    """What must not survive a fork."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.client: httpx.Client | None = None


_process = _Process()
_inherited: list[_Process] = []


def _after_fork() -> None:
    """The parent's connections stay untouched: closing them here could say goodbye in its name."""
    global _process  # noqa: PLW0603
    _inherited.append(_process)
    _process = _Process()


os.register_at_fork(after_in_child=_after_fork)


def shared_client() -> httpx.Client:
    """The client of this process."""
    process = _process
    with process.lock:
        if process.client is None:
            process.client = new_client(DirectTransport())
        return process.client


def close_shared_client() -> None:
    """Close what is open; the next use opens anew."""
    process = _process
    with process.lock:
        if process.client is not None:
            process.client.close()
        process.client = None


def new_client(transport: httpx.BaseTransport) -> httpx.Client:
    """A client that keeps nothing between requests but connections."""
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.Client(transport=transport, cookies=no_cookies, trust_env=False, follow_redirects=False)


def time_outs(read: float) -> httpx.Timeout:
    """How long each single wait may take; `deadline.within` bounds their sum."""
    return httpx.Timeout(read, connect=min(CONNECT, read), pool=POOL)


class DirectTransport(httpx.HTTPTransport):
    """httpx's transport over a pool whose connections keep the deadline, which httpx has no argument for."""

    def __init__(self) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        context.load_default_certs()
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_KEPT_ALIVE,
            keepalive_expiry=KEPT_ALIVE,
            network_backend=DeadlineBackend(),
        )
