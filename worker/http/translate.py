"""What do httpx's exceptions mean for a run? Each is translated once, here.

    no answer in time            Transient      timeout, busy (our own pool)
    no connection, cut off       Transient      unreachable
    an answer that isn't HTTP    Transient      broken_answer
    a certificate not to trust   NeedsOperator  tls_failed
    ours isn't trusted           NeedsOperator  client_certificate_refused
    a request that can't be made NeedsOperator  bad_request

Messages name the host and the request without its query. The texts of httpx and h11 are left out where they may
repeat a header.
"""

import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from types import TracebackType

import httpx

from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.telemetry.redaction import redactor


class foreign_errors:  # noqa: N801 - used as a statement
    """Raise ours for httpx's; `asked` is method and path. Costs next to nothing where all is well."""

    __slots__ = ("_asked", "_host")

    def __init__(self, host: str, asked: str) -> None:
        self._host = host
        self._asked = asked

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, httpx.LocalProtocolError | httpx.InvalidURL | UnicodeError):
            raise _cannot_be_made(self._host, redactor.redact(self._asked)) from None
        if isinstance(error, httpx.HTTPError):
            raise translated(error, self._host, redactor.redact(self._asked)) from error


_MEANINGS: Sequence[tuple[type[httpx.HTTPError], str, str]] = (
    (
        httpx.PoolTimeout,
        "busy",
        "All connections of this worker were in use; {asked} was not sent to {host}.",
    ),
    (httpx.ConnectTimeout, "unreachable", "{host} did not accept a connection in time."),
    (httpx.TimeoutException, "timeout", "{host} did not answer {asked} in time."),
    (httpx.RemoteProtocolError, "broken_answer", "{host} broke off or garbled its answer to {asked}."),
    (httpx.NetworkError, "unreachable", "The connection to {host} broke during {asked}."),
    (httpx.HTTPError, "broken_answer", "{host} answered {asked} with what can't be read."),
)
"""The first that fits; the rest need a look at their cause."""


def translated(exc: httpx.HTTPError, host: str, asked: str) -> HeadraceError:
    """Our error for one of httpx's."""
    if isinstance(exc, httpx.NetworkError) and (alert := _alert_about_us(exc)) is not None:
        return _refuses_us(alert, host)
    if isinstance(exc, httpx.ConnectError):
        return _not_connected(exc, host)
    if isinstance(exc, httpx.UnsupportedProtocol):
        return _cannot_be_made(host, asked)
    code, words = next((code, words) for kind, code, words in _MEANINGS if isinstance(exc, kind))
    return Transient(code, words.format(host=host, asked=asked))


def _not_connected(exc: Exception, host: str) -> HeadraceError:
    causes = list(_causes(exc))
    distrust = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if distrust is not None:
        why = getattr(distrust, "verify_message", "it was not accepted")
        return NeedsOperator(
            "tls_failed",
            f"The certificate of {host} can't be trusted: {why}.",
            hint="An authority of your own goes under network.ca of the connection, or into the operating system's store.",
        )
    if any(isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError) for cause in causes):
        return NeedsOperator(
            "tls_failed",
            f"{host} does not speak TLS as it should.",
            hint="Is the address right, with https:// and the port that serves it?",
        )
    if any(isinstance(cause, UnicodeError) for cause in causes):
        return NeedsOperator(
            "bad_address",
            f"{host} is no name that a host can have.",
            hint="Look at the connection's address.",
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Transient("unreachable", f"The name {host} could not be resolved.")
    refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
    return Transient(
        "unreachable", f"{host} {'refused the connection' if refused else 'could not be reached'}."
    )


_ALERT = re.compile(r"_ALERT_(.*CERTIFICATE.*|UNKNOWN_CA|ACCESS_DENIED)$")


def _alert_about_us(exc: BaseException) -> str | None:
    """What a system says, in TLS, of the certificate that we showed, or didn't."""
    for cause in _causes(exc):
        if isinstance(cause, ssl.SSLError) and (found := _ALERT.search(getattr(cause, "reason", "") or "")):
            return found[1]
    return None


def _refuses_us(alert: str, host: str) -> NeedsOperator:
    lacks = alert == "CERTIFICATE_REQUIRED"
    return NeedsOperator(
        "client_certificate_refused",
        f"{host} asks for a client certificate."
        if lacks
        else f"{host} does not accept our client certificate ({alert.replace('_', ' ').lower()}).",
        hint="It goes under network.client_certificate of the connection, as a reference."
        if lacks
        else "Has it run out, and is it of an authority that the system trusts?",
    )


def _cannot_be_made(host: str, asked: str) -> NeedsOperator:
    return NeedsOperator(
        "bad_request",
        f"The request {asked} to {host} can't be written as HTTP.",
        hint="A secret or a setting that goes into a header may hold a line break or a character that isn't ASCII.",
    )


def _causes(exc: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = exc
    for _ in range(10):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__
