"""Several headers at once, made of settings and secrets: what is sent, what is left out, and what never gets out."""

import base64

import pytest

from worker.connectors.auth import BasicAuth, Credential, NoAuth
from worker.connectors.auth.headers import HeadersAuth
from worker.connectors.auth.texts import Names, Text
from worker.connectors.contract import Auth, Request
from worker.errors import NeedsOperator

ASKED = Request("GET", "https://h/x", headers={"Accept": "application/json"})
SECRETS = {"key": "planted-key", "secret": "planted-secret"}


def sent(
    texts: dict[str, Text], names: Names, secrets: dict[str, str], inner: Auth | None = None
) -> dict[str, str]:
    auth = HeadersAuth(inner or NoAuth(), texts, names, alone=inner is None)
    outgoing = next(auth.flow(ASKED, secrets, {}))
    assert isinstance(outgoing, Request)
    return dict(outgoing.headers)


def test_texts_are_made_of_settings_and_secrets() -> None:
    texts = {
        "Authorization": Text("token {key}:{secret}"),
        "X-Database": Text("{database}"),
        "X-Live": Text("{live}"),
    }
    headers = sent(texts, Names({"database": "plant", "live": True}), SECRETS)
    assert headers == {
        "Accept": "application/json",
        "Authorization": "token planted-key:planted-secret",
        "X-Database": "plant",
        "X-Live": "true",
    }


@pytest.mark.parametrize(
    ("encode", "prefix", "header"),
    [
        ("base64", "", "bcO8OsO/Pz8+"),
        ("base64", "Session ", "Session bcO8OsO/Pz8+"),
        ("base64url", "", "bcO8OsO_Pz8-"),
        ("hex", "", "6dc3bc3ac3bf3f3f3e"),
    ],
)
def test_a_text_is_encoded_as_a_whole(encode: str, prefix: str, header: str) -> None:
    text = Text("{user}:{password}", encode, prefix)
    headers = sent({"maxauth": text}, Names({"user": "mü"}), {"password": "ÿ??>"})
    assert headers["maxauth"] == header


def test_a_header_with_something_optional_that_is_not_given_is_left_out() -> None:
    texts = {"apikey": Text("{key}"), "maxauth": Text("{user}:{password}", "base64"), "X-Org": Text("{org}")}
    names = Names.of({"org": None, "user": "me"}, frozenset({"key", "password"}))
    assert sent(texts, names, {"password": "p"}) == {
        "Accept": "application/json",
        "maxauth": base64.b64encode(b"me:p").decode(),
    }


def test_a_connection_that_gives_nothing_to_prove_itself_with_sends_nothing() -> None:
    names = Names({}, frozenset({"key"}))
    with pytest.raises(NeedsOperator, match="apikey would all be left out") as caught:
        sent({"apikey": Text("{key}")}, names, {})
    assert caught.value.code == "secret_missing"
    on_top = sent(
        {"apikey": Text("{key}")}, names, {"p": "w"}, BasicAuth(Credential(value="u"), Credential(secret="p"))
    )
    assert set(on_top) == {"Accept", "Authorization"}


def test_headers_come_on_top_of_another_way() -> None:
    basic = BasicAuth(Credential(value="u"), Credential(secret="secret"))
    headers = sent({"x-api-key": Text("{key}")}, Names({}), SECRETS, basic)
    assert headers["x-api-key"] == "planted-key"
    assert headers["Authorization"].startswith("Basic ")


def test_what_a_secret_holds_is_never_taken_for_a_name() -> None:
    headers = sent({"X": Text("{key}-{secret}")}, Names({}), {"key": "{secret}", "secret": "planted"})
    assert headers["X"] == "{secret}-planted"


@pytest.mark.parametrize("value", ["planted\r\nX-Evil: 1", "planted\x00", "plantéd"])
def test_a_secret_cannot_break_out_of_its_header(value: str) -> None:
    with pytest.raises(NeedsOperator, match="header apikey") as caught:
        sent({"apikey": Text("{key}")}, Names({}), {"key": value})
    assert caught.value.code == "bad_secret"
    assert "plant" not in str(caught.value)


def test_a_secret_that_is_needed_and_not_given_is_named() -> None:
    with pytest.raises(NeedsOperator, match="'key'") as caught:
        sent({"apikey": Text("{key}")}, Names({}), {})
    assert caught.value.code == "secret_missing"


def test_json_keeps_the_type_of_a_setting_and_drops_what_is_not_given() -> None:
    names = Names.of({"company": 7, "branch": None, "live": True}, frozenset())
    template = {
        "id": "{company}",
        "text": "no {company}",
        "on": "{live}",
        "branch": "{branch}",
        "none": None,
        "list": ["{key}", 1],
    }
    assert names.json(template, SECRETS) == {
        "id": 7, "text": "no 7", "on": True, "none": None, "list": ["planted-key", 1],
    }  # fmt: skip
