"""What senders publish as an example of a signed webhook is taken, described as their manifests would."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.systems.telling import webhooks_of

from worker.connectors.contract import Delivery
from worker.secrets import Secret
from worker.webhooks.delivery import Refusal


@dataclass(frozen=True)
class Vector:
    """One example, and where it is published."""

    source: str
    verify: Mapping[str, Any]
    secret: str
    headers: Mapping[str, str]
    body: bytes
    at: int = 0
    """Seconds since 1970, where the time is signed."""


SVIX_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SVIX_BODY = b'{"test": 2432232314}'
SVIX_HEADERS = {
    "id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "timestamp": "1614265330",
    "signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
STRIPE_SIGNATURES = (
    "v1=f0bdba6d4eacbd8ad8a3bbadd7248e633ec1477f7899c124c51b39405fa36613,"
    "v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
)
SLACK_BODY = (
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
JEFE = {
    "sha1": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
    "sha256": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "sha512": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
}

VECTORS = [
    Vector(
        source="Standard Webhooks: the specification's example",
        verify={"standard": {"secret": "hook"}},
        headers={f"webhook-{name}": value for name, value in SVIX_HEADERS.items()},
        secret=SVIX_SECRET,
        body=SVIX_BODY,
        at=1614265330,
    ),
    Vector(
        source="Svix: Verifying Webhooks Manually, and the tests of its libraries",
        verify={"standard": {"secret": "hook", "headers": "svix"}},
        headers={f"svix-{name}": value for name, value in SVIX_HEADERS.items()},
        secret=SVIX_SECRET,
        body=SVIX_BODY,
        at=1614265330,
    ),
    Vector(
        source="Stripe: stripe-dotnet, EventUtilityTest and its event_test_signature.json",
        verify={"timestamped": {"secret": "hook", "header": "Stripe-Signature"}},
        secret="webhook_secret",
        headers={"stripe-signature": f"t=1533204620,{STRIPE_SIGNATURES}"},
        body=(Path(__file__).parent / "stripe_event.json").read_bytes(),
        at=1533204620,
    ),
    Vector(
        source="GitHub: Validating webhook deliveries, Testing the webhook payload validation",
        verify={"hmac": {"secret": "hook", "header": "X-Hub-Signature-256", "prefix": "sha256="}},
        secret="It's a Secret to Everybody",
        headers={
            "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        },
        body=b"Hello, World!",
    ),
    Vector(
        source="Slack: Verifying requests from Slack",
        verify={
            "hmac": {
                "secret": "hook", "header": "X-Slack-Signature", "prefix": "v0=", "signed": "v0:{timestamp}:{body}",
                "timestamp": {"header": "X-Slack-Request-Timestamp"},
            }
        },
        secret="8f742231b10e8888abcd99yyyzzz85a5",
        headers={
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            "x-slack-request-timestamp": "1531420618",
        },
        body=SLACK_BODY.encode(),
        at=1531420618,
    ),
    Vector(
        source="Shopify's way; the digest is of SQLPage's documentation of hmac()",
        verify={"hmac": {"secret": "hook", "header": "X-Shopify-Hmac-SHA256", "encoding": "base64"}},
        secret="test-webhook-secret",
        headers={"x-shopify-hmac-sha256": "QNyObTlKbMx2qDlPF/ZOZcBqg5OgPg+2oky3zldc0Gw="},
        body=b'{"id":1234567890,"email":"customer@example.com","total_price":"123.45"}',
    ),
    *(
        Vector(
            source=f"RFC 2202 and RFC 4231, test case 2: HMAC with {algorithm}",
            verify={"hmac": {"secret": "hook", "header": "X-Signature", "algorithm": algorithm}},
            secret="Jefe",
            headers={"x-signature": digest},
            body=b"what do ya want for nothing?",
        )
        for algorithm, digest in JEFE.items()
    ),
]  # fmt: skip


def taken(vector: Vector, *, late: float = 0.0, body: bytes | None = None) -> bool:
    now = datetime.fromtimestamp(vector.at, UTC) + timedelta(seconds=late)
    delivery = Delivery("POST", vector.body if body is None else body, list(vector.headers.items()))
    try:
        webhooks_of(verify=vector.verify).verify(delivery, {"hook": Secret(vector.secret)}, now)
    except Refusal:
        return False
    return True


@given(
    vector=st.sampled_from(VECTORS), at=st.integers(0, 10_000), byte=st.integers(0, 255), secret=st.booleans()
)
def test_any_changed_byte_of_the_body_or_the_secret_is_refused(
    vector: Vector, at: int, byte: int, secret: bool
) -> None:
    """Of the secret only letters: in base64 the last one may say bits that count for nothing."""
    if secret:
        at %= len(vector.secret) - 1
        letter = chr(ord("a") + byte % 26)
        other = replace(vector, secret=vector.secret[:at] + letter + vector.secret[at + 1 :])
    else:
        at %= len(vector.body)
        other = replace(vector, body=vector.body[:at] + bytes([byte]) + vector.body[at + 1 :])
    assert taken(other) == (other == vector)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.source.partition(":")[0])
def test_what_a_sender_publishes_is_taken_and_nothing_else(vector: Vector) -> None:
    assert taken(vector)
    assert not taken(vector, body=vector.body + b" ")
    assert taken(vector, late=301) == (vector.at == 0), "where a time is signed it has an end"
