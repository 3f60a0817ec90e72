"""What a system asks before it sends anything is answered with its own words, and nobody else learns anything by it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from servers.systems.telling import webhooks_of

from worker.connectors.contract import Delivery, Reply
from worker.secrets import Secret
from worker.webhooks.delivery import Refusal

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECRETS = {"hook": Secret("s3cret")}
HEADER = {"header": {"name": "X-Token", "secret": "hook"}}
ECHO = {"echo": {"param": "validationToken"}}
CHALLENGE = {"challenge": {"path": "challenge", "where": {"type": "url_verification"}, "reply": "challenge"}}


def asked(
    handshake: dict[str, Any],
    method: str = "POST",
    *,
    params: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    headers: Sequence[tuple[str, str]] = (),
    rest: str = "",
    verify: Any = HEADER,
) -> Reply | None:
    delivery = Delivery(method, body, headers, params, rest=rest)
    return webhooks_of(handshake=handshake, verify=verify).handshake(delivery, SECRETS, NOW)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_validation_token_is_echoed_as_text(method: str) -> None:
    reply = asked(ECHO, method, params=[("validationToken", "Validation: a+b <x>")])
    assert reply is not None
    assert (reply.status, reply.body) == (200, b"Validation: a+b <x>")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8", "no page, whatever it holds"


@pytest.mark.parametrize(
    "params",
    [
        [], [("validationtoken", "x")], [("validationToken", "")], [("validationToken", "x" * 2001)],
        [("validationToken", "two\r\nlines")], [("validationToken", "\u00e9")], [("validationToken", "a")] * 2,
    ],
)  # fmt: skip
def test_what_is_no_plain_token_is_not_echoed(params: list[tuple[str, str]]) -> None:
    assert asked(ECHO, params=params) is None


def test_an_echo_that_asks_for_the_secret_is_given_to_who_knows_it() -> None:
    shake = {"echo": {"param": "hub.challenge", "token_param": "hub.verify_token", "secret": "hook"}}
    params = [("hub.challenge", "17"), ("hub.verify_token", "s3cret")]
    reply = asked(shake, "GET", params=params)
    assert reply is not None
    assert reply.body == b"17"
    for wrong in ([("hub.verify_token", "other")], [], [params[1]] * 2):
        with pytest.raises(Refusal) as refused:
            asked(shake, "GET", params=[params[0], *wrong])
        assert refused.value.code == "bad_token"


def test_a_challenge_is_met_where_its_body_is_proved() -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a"}).encode()
    reply = asked(CHALLENGE, body=body, headers=[("x-token", "s3cret")])
    assert reply is not None
    assert json.loads(reply.body) == {"challenge": "3eZbrw1a"}
    with pytest.raises(Refusal):
        asked(CHALLENGE, body=body)
    plain = asked({"challenge": {"path": "challenge"}}, body=body, headers=[("x-token", "s3cret")])
    assert plain is not None
    assert plain.body == b"3eZbrw1a"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[" * 100_000, b'{"type": "event", "challenge": "x"}', b'{"type": "url_verification"}',
        b'{"type": "url_verification", "challenge": 7}', b'{"type": "url_verification", "challenge": "a\\nb"}',
        b'{"type": ["url_verification"], "challenge": "x"}',
    ],
    ids=lambda body: repr(body[:40]),
)  # fmt: skip
def test_what_is_no_challenge_goes_the_way_of_webhooks(body: bytes) -> None:
    assert asked(CHALLENGE, body=body, headers=[("x-token", "s3cret")]) is None


def test_a_probe_is_answered_where_the_manifest_has_one() -> None:
    assert asked({"probe": True}, "GET") == Reply()
    assert asked({"probe": True}, "POST") is None
    assert asked(ECHO, "GET") is None


@pytest.mark.parametrize("handshake", [ECHO, {"probe": True}])
def test_where_the_path_is_the_secret_nobody_is_answered_without_it(handshake: dict[str, Any]) -> None:
    verify = {"path": {"secret": "hook"}}
    params = [("validationToken", "x")]
    assert asked(handshake, "GET", params=params, rest="s3cret", verify=verify) is not None
    for wrong in ("", "s3cre", "s3cret/", "S3CRET"):
        with pytest.raises(Refusal):
            asked(handshake, "GET", params=params, rest=wrong, verify=verify)
