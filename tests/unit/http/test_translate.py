"""Foreign exceptions become ours, and say nothing that they shouldn't."""

import socket
import ssl

import httpx
import pytest

from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.http.translate import foreign_errors


def caused(error: httpx.HTTPError, cause: BaseException) -> httpx.HTTPError:
    error.__cause__ = cause
    return error


def alert(name: str) -> ssl.SSLError:
    error = ssl.SSLError(1, name)
    error.reason = f"TLSV13_ALERT_{name}"
    return error


@pytest.mark.parametrize(
    ("foreign", "kind", "code"),
    [
        (httpx.ConnectTimeout("x"), Transient, "unreachable"),
        (httpx.ReadTimeout("x"), Transient, "timeout"),
        (httpx.WriteTimeout("x"), Transient, "timeout"),
        (httpx.PoolTimeout("x"), Transient, "busy"),
        (httpx.ReadError("x"), Transient, "unreachable"),
        (httpx.WriteError("x"), Transient, "unreachable"),
        (httpx.ConnectError("x"), Transient, "unreachable"),
        (caused(httpx.ConnectError("x"), socket.gaierror(-2, "unknown")), Transient, "unreachable"),
        (caused(httpx.ConnectError("x"), ConnectionRefusedError()), Transient, "unreachable"),
        (caused(httpx.ConnectError("x"), ssl.SSLEOFError(8, "eof")), Transient, "unreachable"),
        (caused(httpx.ConnectError("x"), ssl.SSLError(1, "WRONG_VERSION")), NeedsOperator, "tls_failed"),
        (caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "x")), NeedsOperator, "tls_failed"),
        (
            caused(httpx.ConnectError("x"), alert("CERTIFICATE_REQUIRED")),
            NeedsOperator,
            "client_certificate_refused",
        ),
        (caused(httpx.ReadError("x"), alert("BAD_CERTIFICATE")), NeedsOperator, "client_certificate_refused"),
        (caused(httpx.ReadError("x"), alert("INTERNAL_ERROR")), Transient, "unreachable"),
        (caused(httpx.ConnectError("x"), UnicodeError("x")), NeedsOperator, "bad_address"),
        (httpx.RemoteProtocolError("x"), Transient, "broken_answer"),
        (httpx.DecodingError("x"), Transient, "broken_answer"),
        (httpx.UnsupportedProtocol("x"), NeedsOperator, "bad_request"),
        (httpx.LocalProtocolError("Illegal header value b'x'"), NeedsOperator, "bad_request"),
        (httpx.InvalidURL("x"), NeedsOperator, "bad_request"),
        (UnicodeEncodeError("ascii", "x", 0, 1, "x"), NeedsOperator, "bad_request"),
    ],
)
def test_each_foreign_exception_has_its_meaning(
    foreign: Exception, kind: type[HeadraceError], code: str
) -> None:
    with pytest.raises(HeadraceError) as caught, foreign_errors("plant.example.com", "GET /a{b}"):
        raise foreign

    assert type(caught.value) is kind
    assert caught.value.code == code
    assert "plant.example.com" in str(caught.value)


@pytest.mark.parametrize(
    "foreign",
    [
        httpx.LocalProtocolError("Illegal header value b'hunter2'"),
        UnicodeEncodeError("ascii", "hunter2", 0, 1, "x"),
    ],
)
def test_what_may_repeat_a_header_leaves_no_trace(foreign: Exception) -> None:
    with pytest.raises(HeadraceError) as caught, foreign_errors("plant.example.com", "GET /a"):
        raise foreign

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_our_own_errors_and_mistakes_pass_unchanged() -> None:
    for own in (Transient("code", "words"), KeyError("mistake")):
        with pytest.raises(type(own)) as caught, foreign_errors("h", "GET /a"):
            raise own
        assert caught.value is own
