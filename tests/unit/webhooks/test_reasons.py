"""Why a webhook isn't taken is said by a code that the page on webhooks explains, in words without the secret."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from servers.systems.telling import webhooks_of

from worker.connectors.contract import Delivery
from worker.secrets import Secret
from worker.webhooks.delivery import Refusal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "the-secret-of-the-hook"
PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def sign(text: str) -> str:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def at(time: Any) -> list[tuple[str, str]]:
    """Signed with this time in a header of its own."""
    return [("x-time", str(time)), ("x-signature", sign(f"{time}.{{}}"))]


def timed(form: str) -> dict[str, Any]:
    parts = {"signed": "{timestamp}.{body}", "timestamp": {"header": "X-Time", "format": form}}
    return {"hmac": {"secret": "hook", "header": "X-Signature", **parts}}


PLAIN = {"hmac": {"secret": "hook", "header": "X-Signature", "prefix": "sha256="}}
PAIRS = {"timestamped": {"secret": "hook", "header": "X-Signature"}}
STANDARD = {"standard": {"secret": "hook"}}
EPOCH = int(NOW.timestamp())
GOOD = f"t={EPOCH},v1={sign(f'{EPOCH}.{{}}')}"

CASES: list[tuple[Mapping[str, Any], list[tuple[str, str]], str | None]] = [
    (PLAIN, [("x-signature", "sha256=" + sign("{}"))], None),
    (PLAIN, [("x-signature", sign("{}"))], "bad_signature"),
    (PLAIN, [("x-signature", "sha256=" + sign("{}").upper())], "bad_signature"),
    (PLAIN, [("x-signature", "sha256=" + sign("{ }"))], "bad_signature"),
    (PLAIN, [("x-signature", "sha256=")], "bad_signature"),
    (PLAIN, [("x-signature", "sha256=\u00ff")], "bad_signature"),
    (PLAIN, [], "no_signature"),
    (PLAIN, [("x-signature", "sha256=" + sign("{}"))] * 2, "no_signature"),
    (timed("epoch_s"), at(EPOCH), None),
    (timed("epoch_ms"), at(EPOCH * 1000 + 7), None),
    (timed("iso8601"), at("2026-03-01T13:00:00+01:00"), None),
    (timed("epoch_s"), at(EPOCH - 301), "too_old"),
    (timed("epoch_ms"), at(EPOCH), "too_old"),
    (timed("epoch_s"), at(EPOCH + 301), "too_new"),
    (timed("iso8601"), at(EPOCH), "bad_timestamp"),
    *((timed("epoch_s"), at(text), "bad_timestamp") for text in ("", "-1", "1e9", "9" * 12, "NaN")),
    (timed("iso8601"), at("0001-01-01T00:00:00+23:59"), "bad_timestamp"),
    (timed("epoch_s"), at(EPOCH)[1:], "no_signature"),
    (timed("epoch_s"), [("x-time", str(EPOCH + 1)), at(EPOCH)[1]], "bad_signature"),
    (PAIRS, [("x-signature", GOOD)], None),
    (PAIRS, [("x-signature", f" v0=zz , {GOOD.replace(',', ' , ')} ")], None),
    (PAIRS, [("x-signature", ",".join(["v1=" + "0" * 64] * 15) + "," + GOOD)], None),
    (PAIRS, [("x-signature", ",".join(["v1=" + "0" * 64] * 16) + "," + GOOD)], "bad_signature"),
    (PAIRS, [("x-signature", f"t=1,{GOOD}")], "bad_timestamp"),
    (PAIRS, [("x-signature", GOOD.partition(",")[2])], "no_signature"),
    (PAIRS, [("x-signature", "")], "no_signature"),
    (STANDARD, [("webhook-signature", "v1,x"), ("webhook-id", "m"), ("webhook-timestamp", "1")], "bad_secret"),
    (STANDARD, [("webhook-signature", "v1,x"), ("webhook-timestamp", "1")], "no_signature"),
    ({"header": {"name": "X-Token", "secret": "hook"}}, [("x-token", "other")], "bad_token"),
    ({"header": {"name": "X-Token", "secret": "next"}}, [("x-token", "other")], "no_secret"),
    ({"field": {"path": "state", "secret": "hook"}}, [], "bad_token"),
    ({"path": {"secret": "hook"}}, [], "bad_token"),
]  # fmt: skip


def refused(verify: Mapping[str, Any], headers: list[tuple[str, str]]) -> Refusal | None:
    try:
        webhooks_of(verify=verify).verify(Delivery("POST", b"{}", headers), {"hook": Secret(SECRET)}, NOW)
    except Refusal as refusal:
        return refusal
    return None


@pytest.mark.parametrize(("verify", "headers", "code"), CASES, ids=lambda value: str(value)[:50])
def test_why_it_is_not_taken(
    verify: Mapping[str, Any], headers: list[tuple[str, str]], code: str | None
) -> None:
    refusal = refused(verify, headers)
    assert (refusal.code if refusal else None) == code
    if refusal is not None:
        assert SECRET not in refusal.message
        assert re.search(rf"^\|.*`{code}`.*\|", PAGE, re.MULTILINE), "the page says what to do"


def test_of_several_ways_all_must_hold() -> None:
    webhooks = webhooks_of(verify=[PLAIN, {"header": {"name": "X-Token", "secret": "next"}}])
    secrets = {"hook": Secret(SECRET), "next": Secret("a-token")}
    signature, token = ("x-signature", "sha256=" + sign("{}")), ("x-token", "a-token")
    webhooks.verify(Delivery("POST", b"{}", [signature, token]), secrets, NOW)
    for some in ([signature], [token], [signature, ("x-token", SECRET)]):
        with pytest.raises(Refusal):
            webhooks.verify(Delivery("POST", b"{}", some), secrets, NOW)


def test_a_url_is_signed_as_the_sender_wrote_it() -> None:
    signed = {"signed": "{method} {url}\n{body}"}
    webhooks = webhooks_of(verify={"hmac": {"secret": "hook", "header": "X-Signature", **signed}})
    url = "https://h.example.com/webhooks/n%2Fa?b=1&a=%20"
    header = [("x-signature", sign(f"POST {url}\n{{}}"))]
    webhooks.verify(Delivery("POST", b"{}", header, url=url), {"hook": Secret(SECRET)}, NOW)
    for other in (url.replace("%2F", "/"), url + "&", url.replace("https", "http")):
        with pytest.raises(Refusal):
            webhooks.verify(Delivery("POST", b"{}", header, url=other), {"hook": Secret(SECRET)}, NOW)
