"""How does a request get to the API and its answer back, once, whatever happens on the way?

What only looks is tried again after a cut, a 429 and a 5xx; so is a POST, whose `Idempotency-Key` stays the same, so that
the API does its work once. Anything else is tried again only where it can't have been received. Waits follow
`Retry-After`, else they double. Redirects aren't followed: the token goes to one address.
"""

import random
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from scheduler.client.errors import Unavailable, error_of, unreachable
from worker.errors import InvalidInput

ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
TIMEOUT = 30.0
USER_AGENT = "headrace-client"
_AGAIN = frozenset({429, 502, 503, 504})
_IN_FLIGHT = "idempotency_in_flight"
_NOT_RECEIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Sleep = Callable[[float], object]


class Sending:
    """The way to one API with one token. Safe to share between threads."""

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        timeout: float = TIMEOUT,
        attempts: int = ATTEMPTS,
        transport: httpx.BaseTransport | None = None,
        verify: Any = True,
        sleep: Sleep | None = None,
    ) -> None:
        self.place = _checked(url)
        self._token = token
        self._attempts = attempts
        self._closed = Event()
        self._sleep = sleep or self._closed.wait
        self._timeout = timeout
        self._client = httpx.Client(
            base_url=url.rstrip("/"),
            timeout=timeout,
            verify=verify,
            transport=transport,
            follow_redirects=False,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        wait: float = 0.0,
    ) -> httpx.Response:
        """The answer, if it is a 2xx; else one of `errors`. `wait`: so many seconds the API may think beside."""
        sent = dict(headers or {})
        if method == "POST":
            sent.setdefault("Idempotency-Key", str(uuid4()))
        for attempt in range(1, self._attempts + 1):
            try:
                response = self._client.request(
                    method,
                    path,
                    params={name: value for name, value in (params or {}).items() if value is not None},
                    json=body,
                    headers=sent | {"Authorization": f"Bearer {self._shown()}"},
                    timeout=self._timeout + wait,
                )
            except httpx.HTTPError as exc:
                unsent = isinstance(exc, _NOT_RECEIVED)
                if attempt == self._attempts or not (unsent or method in {"GET", "POST"}):
                    raise unreachable(exc, self.place) from exc
                self._sleep(_backoff(attempt))
                continue
            if response.is_success:
                return response
            error = error_of(response)
            again = error.code == _IN_FLIGHT or (
                response.status_code in _AGAIN and (response.status_code == 429 or method in {"GET", "POST"})
            )
            if attempt == self._attempts or not again:
                raise error
            self._sleep(_told_to_wait(response) or _backoff(attempt))
        raise Unavailable("api_unreachable", f"The API at {self.place} could not be asked.")

    def close(self) -> None:
        """Nobody waits any longer, and connections are closed."""
        self._closed.set()
        self._client.close()

    def _shown(self) -> str:
        token = self._token() if callable(self._token) else self._token
        if not token or not _is_plain(token):
            raise InvalidInput(
                "bad_token",
                "What was given as the token for the API is none.",
                hint="It looks like hr_live_… or hr_test_…, on one line and without space around it.",
            )
        return token


def _checked(url: str) -> str:
    """The host and port. What is no address of an API is refused without being repeated: it may hold a password."""
    try:
        parts = urlsplit(url)
        good = parts.port != 0 and bool(parts.hostname) and parts.scheme in {"http", "https"}
    except ValueError:
        good = False
    if not good or "@" in parts.netloc or parts.query or not _is_plain(url):
        raise InvalidInput(
            "bad_url",
            "The API's address can't be read.",
            hint="Write it as https://headrace.example.com, without a user, a password or a query.",
        )
    return parts.netloc


def _is_plain(text: str) -> bool:
    """Whether it can stand in a request's head: visible characters of ASCII alone."""
    return text.isascii() and text.isprintable() and " " not in text


def _told_to_wait(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_WAIT) if text.isdecimal() else None


def _backoff(attempt: int) -> float:
    return float(min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT) * random.uniform(0.7, 1.3))  # noqa: S311 - no secret
