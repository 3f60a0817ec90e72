"""A registered value is found however it is written, and nothing else is touched."""

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from urllib.parse import quote, quote_plus
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.telemetry.redaction import MASK, Redactor, redact_event, redactor

SECRET = 's3cr3t/"käse" & more+?=#'


@pytest.fixture
def keeper() -> Redactor:
    keeper = Redactor()
    keeper.add(SECRET)
    return keeper


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quote(SECRET, safe="")),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
        repr(SECRET)[1:-1],
        repr(SECRET.encode())[2:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_each_way_of_writing_the_value_is_masked(keeper: Redactor, written: str) -> None:
    assert keeper.redact(f"before {written} after") == f"before {MASK} after"


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "plant-äöü", "x" * 40])
@pytest.mark.parametrize("password", ["hunter22", "hunter222", "hunter2222", "abcd"])
def test_the_password_of_a_basic_header_is_masked_whoever_the_user_is(user: str, password: str) -> None:
    keeper = Redactor()
    keeper.add(password)
    header = base64.b64encode(f"{user}:{password}".encode()).decode()

    assert keeper.redact(f"Authorization: Basic {header}, more") == f"Authorization: Basic {MASK}, more"


@given(secret=st.text(min_size=4), before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_no_value_survives_in_any_surroundings(secret: str, before: bytes, after: bytes) -> None:
    keeper = Redactor()
    keeper.add(secret)
    raw = secret.encode()

    assert MASK in keeper.redact(f"<{secret}>")
    assert MASK in keeper.redact(f"?q={quote(raw, safe='')}&")
    assert MASK in keeper.redact(json.dumps({"a": secret}))
    assert MASK in keeper.redact(repr({"a": secret}))
    if len(raw) >= 5:
        assert MASK in keeper.redact(base64.b64encode(before + raw + after).decode())


@pytest.mark.parametrize("others", [0, 3, 2_000])
@pytest.mark.parametrize("secret", ["]^-[\\", "a]bc-d", "----", "\n\t\0\x7f", "käse", "\udc80abc"])
def test_a_value_is_found_among_few_and_among_many(others: int, secret: str) -> None:
    keeper = Redactor()
    for number in range(others):
        keeper.add(f"{number:05}-{number:x}-other")
        assert keeper.redact(f"{number:05}-{number:x}-other") == MASK
    assert keeper.redact(f"x{secret}x") == f"x{secret}x"
    keeper.add(secret)
    for before, after in (("", ""), ("x", ""), ("", "x"), ("xyz ", " xyz")):
        assert keeper.redact(f"{before}{secret}{after}") == f"{before}{MASK}{after}"


@given(
    texts=st.lists(st.text("abc", min_size=4, max_size=7), min_size=1, max_size=4),
    text=st.text("abc", max_size=60),
)
def test_nothing_of_overlapping_values_is_left_standing(texts: list[str], text: str) -> None:
    keeper = Redactor()
    for value in texts:
        keeper.add(value)

    rest = keeper.redact(text)

    for piece in rest.split(MASK):
        assert not any(value in piece for value in texts)
    if not any(value in text for value in texts):
        assert rest == text


def test_short_values_are_ignored_because_they_would_blot_out_words() -> None:
    keeper = Redactor()
    keeper.add("abc")
    keeper.add("")

    assert keeper.redact("abcabc") == "abcabc"


def test_each_long_line_of_a_key_is_masked_on_its_own() -> None:
    keeper = Redactor()
    keeper.add("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n\nx\n-----END PRIVATE KEY-----")

    assert keeper.redact("line MIIEvQIBADANBgkqhkiG9w0 x") == f"line {MASK} x"


def test_the_oldest_values_go_first_and_kept_ones_never() -> None:
    keeper = Redactor(most=3)
    keeper.add("kept-for-ever", keep=True)
    for number in range(10):
        keeper.add(f"token-{number:04}")
        keeper.add("token-used")

    assert (
        keeper.redact("token-0001 token-0009 token-used kept-for-ever") == f"token-0001 {MASK} {MASK} {MASK}"
    )
    assert len(keeper._values) == 4
    assert sum(len(forms) for forms in keeper._index.values()) == sum(len(f) for f in keeper._values.values())


def test_many_threads_may_add_and_look_at_once() -> None:
    keeper = Redactor(most=50)
    keeper.add("planted-value", keep=True)
    leaks: list[str] = []

    def add(worker: int) -> None:
        for number in range(200):
            keeper.add(f"token-{worker}-{number}")
            seen = keeper.redact("a planted-value b")
            if seen != f"a {MASK} b":
                leaks.append(seen)

    threads = [Thread(target=add, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert leaks == []


class _Chatty:
    def __repr__(self) -> str:
        return f"Chatty(password={SECRET!r})"


def test_every_field_name_and_object_of_an_event_is_walked() -> None:
    redactor.add(SECRET)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    event = {
        "event": f"got {SECRET}",
        "deep": {"list": [SECRET, {SECRET: 1}, (SECRET, {SECRET})]},
        "object": _Chatty(),
        "bytes": SECRET.encode(),
        "error": ValueError(SECRET),
        "path": Path("/tmp/x"),
        "id": UUID(int=7),
        "number": 5,
        "when": now,
    }

    seen = redact_event(None, "info", event)

    assert "s3cr3t" not in repr(seen)
    assert seen["number"] == 5
    assert seen["when"] == now
    assert seen["path"] == "/tmp/x"
    assert seen["id"] == str(UUID(int=7))
    assert seen["deep"]["list"][1] == {MASK: 1}


def test_an_endless_value_ends() -> None:
    loop: dict[str, object] = {}
    loop["self"] = loop

    assert "..." in repr(redactor.walk(loop))


def test_what_has_the_form_of_a_token_is_masked_though_nobody_knows_it() -> None:
    token = "hr_live_" + "a1B2" * 7
    assert Redactor().redact(f"GET /v1/runs/{token} and {token}x") == f"GET /v1/runs/{MASK} and {MASK}x"
    assert Redactor().redact("hr_live_short hr_prod_" + "a" * 28) == "hr_live_short hr_prod_" + "a" * 28
