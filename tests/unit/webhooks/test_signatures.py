"""What proves a webhook: any changed byte is refused, and each of several secrets counts."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.secrets import Secret
from worker.webhooks.delivery import Delivery, Refusal
from worker.webhooks.schemes import Field, Header, Hmac, Scheme, SecretPath
from worker.webhooks.signing import Key, Signed

STANDARD = Hmac(
    ("s",),
    "webhook-signature",
    encoding="base64",
    signed=Signed("{header:webhook-id}.{timestamp}.{body}"),
    key=Key("base64", "whsec_"),
    pairs=",",
    separator=" ",
    time_header="webhook-timestamp",
)
STANDARD_SECRET = {"s": Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}
STANDARD_TIME = datetime.fromtimestamp(1614265330, UTC)
STANDARD_HEADERS = [
    ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
    ("webhook-timestamp", "1614265330"),
    ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
]
STANDARD_BODY = b'{"test": 2432232314}'
TIMED = Hmac(("s",), "x-signature", signed=Signed("{timestamp}.{body}"), pairs="=", time_name="t")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def passes(
    scheme: Scheme,
    body: bytes,
    headers: Sequence[tuple[str, str]],
    secrets: dict[str, Secret],
    now: datetime = NOW,
    rest: str = "",
) -> bool:
    try:
        scheme.verify(Delivery("POST", body, headers, rest=rest), secrets, now)
    except Refusal:
        return False
    return True


def timed(body: bytes, secret: str = "key", at: datetime = NOW) -> str:
    moment = str(int(at.timestamp()))
    return f"t={moment},v1={hmac.new(secret.encode(), moment.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


@given(at=st.integers(0, len(STANDARD_BODY) - 1), byte=st.integers(0, 255))
def test_any_changed_byte_of_the_body_is_refused(at: int, byte: int) -> None:
    body = STANDARD_BODY[:at] + bytes([byte]) + STANDARD_BODY[at + 1 :]
    assert passes(STANDARD, body, STANDARD_HEADERS, STANDARD_SECRET, STANDARD_TIME) == (body == STANDARD_BODY)


@given(which=st.integers(0, 2), at=st.integers(0, 200), byte=st.integers(33, 126))
def test_any_changed_byte_of_a_header_or_its_time_is_refused(which: int, at: int, byte: int) -> None:
    headers = list(STANDARD_HEADERS)
    name, value = headers[which]
    at %= len(value)
    headers[which] = (name, value[:at] + chr(byte) + value[at + 1 :])
    right = headers == STANDARD_HEADERS
    assert passes(STANDARD, STANDARD_BODY, headers, STANDARD_SECRET, STANDARD_TIME) == right


@pytest.mark.parametrize(("seconds", "taken"), [(-301, False), (-299, True), (299, True), (301, False)])
def test_what_was_signed_too_long_ago_or_is_to_be_signed_yet_is_refused(seconds: int, taken: bool) -> None:
    header = [("x-signature", timed(b"{}", at=NOW + timedelta(seconds=seconds)))]
    assert passes(TIMED, b"{}", header, {"s": Secret("key")}) is taken


def test_each_of_several_secrets_and_signatures_counts_while_they_are_rotated() -> None:
    both = {"s": Secret("old\nkey\n")}
    assert passes(TIMED, b"{}", [("x-signature", timed(b"{}"))], both)
    assert passes(TIMED, b"{}", [("x-signature", timed(b"{}") + ",v1=" + "0" * 64)], {"s": Secret("key")})
    assert not passes(TIMED, b"{}", [("x-signature", timed(b"{}"))], {"s": Secret("old")})


def test_a_secret_that_can_not_sign_does_no_harm_beside_one_that_does() -> None:
    both = Secret(f"whsec_what a typo!\n{STANDARD_SECRET['s'].reveal()}")
    assert passes(STANDARD, STANDARD_BODY, STANDARD_HEADERS, {"s": both}, STANDARD_TIME)
    with pytest.raises(Refusal) as refused:
        STANDARD.verify(
            Delivery("POST", b"other", STANDARD_HEADERS), {"s": Secret("whsec_what a typo!")}, STANDARD_TIME
        )
    assert refused.value.code == "bad_secret"
    assert "typo" not in refused.value.message


@pytest.mark.parametrize("secrets", [{}, {"s": Secret("")}, {"s": Secret("\n \n")}])
def test_without_a_secret_nothing_passes(secrets: dict[str, Secret]) -> None:
    empty = [("x-signature", timed(b"{}", secret=""))]
    assert not passes(TIMED, b"{}", empty, secrets)
    assert not passes(SecretPath(("s",)), b"", [], secrets)


def test_a_header_that_came_twice_is_none() -> None:
    header = ("x-signature", timed(b"{}"))
    assert not passes(TIMED, b"{}", [header, header], {"s": Secret("key")})


def test_secrets_in_a_header_a_path_and_every_event_of_a_body() -> None:
    secrets = {"s": Secret("key")}
    assert passes(Header(("s",), "x-token"), b"", [("x-token", "key")], secrets)
    assert passes(SecretPath(("s",)), b"", [], secrets, rest="key")
    state = Field(("s",), ("value", "*", "clientState"))
    assert passes(state, b'{"value": [{"clientState": "key"}]}', [], secrets)
    assert not passes(state, b'{"value": [{"clientState": "key"}, {"clientState": "?"}]}', [], secrets)
    assert not passes(state, b'{"value": []}', [], secrets)


def test_limble_signs_headers_with_a_key_that_is_derived() -> None:
    key = hashlib.sha256(b"secret").hexdigest().encode()
    signature = hmac.new(key, b"17token", hashlib.sha256).hexdigest()
    scheme = Hmac(
        ("s",), "signature", signed=Signed("{header:timestamp}{header:token}"), key=Key("sha256_hex")
    )
    headers = [("signature", signature), ("timestamp", "17"), ("token", "token")]
    assert passes(scheme, b"anything", headers, {"s": Secret("secret")})
