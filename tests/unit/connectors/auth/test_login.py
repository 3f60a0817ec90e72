"""Logging in by an exchange: what is sent, what is kept of the answer, when it is done again. No socket."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from worker.connectors.auth import Credential
from worker.connectors.auth.cookies import cookies_in, with_cookies
from worker.connectors.auth.login import Leaving, LoginAuth
from worker.connectors.auth.opening import Lasting, Opening, Taken
from worker.connectors.auth.texts import Names, Text
from worker.connectors.contract import Request, Response, SessionAuth, TokenAuth
from worker.connectors.refusals.refusals import Refusals
from worker.connectors.refusals.rule import Rule
from worker.errors import HeadraceError, NeedsOperator, Transient

ASKED = Request("GET", "https://h/assets")
SECRETS = {"password": "planted-password"}
NAMES = Names({"email": "me@plant.example", "company": 7})
TOKEN = {"token": Taken(("result", "sessionToken"))}
BODY = {"email": "{email}", "password": "{password}"}


def login(**given: Any) -> LoginAuth:
    opening = {"method": "POST", "url": "/auth", "json": BODY, "take": TOKEN} | given.pop("opening", {})
    settings: dict[str, Any] = {"names": NAMES, "headers": {"Session-Token": Text("{token}")}}
    return LoginAuth(opening=Opening(**opening), **{**settings, **given})


def answer(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Response(status, headers or {}, content, "https://h/auth")


def let_in(token: str = "planted-token", **more: Any) -> Response:
    return answer(200, {"success": True, "result": {"sessionToken": token, **more}})


def by_cookies(*cookies: str) -> Response:
    return answer(204, headers={"set-cookie": ", ".join(cookies)})


def test_a_log_in_brings_a_token_that_goes_with_every_request() -> None:
    held: dict[str, str] = {}
    flow = login().flow(ASKED, SECRETS, held)
    asking = next(flow)
    assert isinstance(asking, Request)
    assert (asking.method, asking.url) == ("POST", "/auth")
    assert json.loads(asking.body or b"") == {"email": "me@plant.example", "password": "planted-password"}
    assert asking.headers == {"Accept": "application/json", "Content-Type": "application/json"}
    proven = flow.send(let_in())
    assert isinstance(proven, Request)
    assert (proven.url, proven.headers) == (ASKED.url, {"Session-Token": "planted-token"})
    with pytest.raises(StopIteration):
        flow.send(answer(200))
    again = next(login().flow(ASKED, SECRETS, held))
    assert isinstance(again, Request)
    assert again.headers["Session-Token"] == "planted-token"


def test_a_session_that_is_refused_is_opened_anew_once() -> None:
    held: dict[str, str] = {}
    flow = login().flow(ASKED, SECRETS, held)
    next(flow)
    flow.send(let_in("planted-old"))
    asking = flow.send(answer(401))
    assert isinstance(asking, Request)
    assert asking.url == "/auth"
    proven = flow.send(let_in("planted-new"))
    assert isinstance(proven, Request)
    assert proven.headers["Session-Token"] == "planted-new"
    with pytest.raises(StopIteration):
        flow.send(answer(401))


def test_a_session_that_another_thread_opened_meanwhile_is_used() -> None:
    held: dict[str, str] = {}
    flow = login().flow(ASKED, SECRETS, held)
    next(flow)
    flow.send(let_in("planted-old"))
    other = login().flow(ASKED, SECRETS, held_by_other := {})
    next(other)
    other.send(let_in("planted-new"))
    held.update(held_by_other)
    proven = flow.send(answer(401))
    assert isinstance(proven, Request)
    assert proven.headers["Session-Token"] == "planted-new"


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (None, "B1SESSION=planted-a; ROUTEID=.node1; theme=dark"),
        ({"B1SESSION", "ROUTEID"}, "B1SESSION=planted-a; ROUTEID=.node1"),
    ],
)
def test_cookies_are_kept_and_sent_back(wanted: set[str] | None, sent: str) -> None:
    auth = login(opening={"take": {}, "cookies": wanted}, headers={})
    flow = auth.flow(ASKED, SECRETS, {})
    next(flow)
    proven = flow.send(
        by_cookies(
            "B1SESSION=planted-a; HttpOnly; Expires=Wed, 21 Oct 2099 07:28:00 GMT; SameSite=None",
            "ROUTEID=.node1; path=/b1s",
            "old=; Max-Age=0",
            "theme=dark",
        )
    )
    assert isinstance(proven, Request)
    assert proven.headers == {"Cookie": sent}


def test_cookies_join_those_that_a_request_has() -> None:
    request = with_cookies(Request("GET", "x", headers={"cookie": "a=1; b=2"}), "b=3; c=4")
    assert request.headers == {"Cookie": "a=1; b=3; c=4"}
    assert with_cookies(ASKED, "") is ASKED
    assert cookies_in(answer(200), None) == {}


@pytest.mark.parametrize(
    ("lasting", "said", "held"),
    [
        (Lasting(seconds=("result", "for")), {"for": 1800}, {"expires_in": "1800"}),
        (Lasting(seconds=("result", "for"), per_second=1 / 60), {"for": "30"}, {"expires_in": "1800"}),
        (Lasting(at=("result", "at")), {"at": "2030-01-01T00:00:00.000Z"}, {"expires_at": "1893456000"}),
        (Lasting(at=("result", "at"), form="epoch_ms"), {"at": 1893456000000}, {"expires_at": "1893456000"}),
        (Lasting(otherwise=1700.0), {}, {"expires_in": "1700"}),
        (Lasting(seconds=("result", "for"), otherwise=60.0), {"for": "soon"}, {"expires_in": "60"}),
        (Lasting(at=("result", "at")), {"at": "soon"}, {}),
        (Lasting(), {"for": 5}, {}),
    ],
)
def test_how_long_a_session_is_good_is_read_as_systems_say_it(
    lasting: Lasting, said: dict[str, Any], held: dict[str, str]
) -> None:
    kept: dict[str, str] = {}
    flow = login(opening={"lasting": lasting}).flow(ASKED, SECRETS, kept)
    next(flow)
    flow.send(let_in(**said))
    assert {name: value for name, value in kept.items() if name.startswith("expires")} == held


def test_a_log_in_may_be_a_form_or_basic_and_its_token_in_a_header() -> None:
    form = login(opening={"json": None, "form": {"u": Text("{email}"), "p": Text("{password}")}})
    asking = next(form.flow(ASKED, SECRETS, {}))
    assert isinstance(asking, Request)
    assert parse_qs((asking.body or b"").decode()) == {"u": ["me@plant.example"], "p": ["planted-password"]}
    assert asking.headers["Content-Type"] == "application/x-www-form-urlencoded"
    basic = login(
        opening={
            "method": "GET",
            "json": None,
            "basic": (Credential(value="me"), Credential(secret="password")),
            "take": {"token": Taken(header="x-token")},
        },
        headers={"Authorization": Text("Token {token}")},
    )
    flow = basic.flow(ASKED, SECRETS, {})
    asking = next(flow)
    assert isinstance(asking, Request)
    assert (asking.method, asking.body) == ("GET", None)
    assert asking.headers["Authorization"].startswith("Basic ")
    proven = flow.send(answer(200, headers={"x-token": "planted-t"}))
    assert isinstance(proven, Request)
    assert proven.headers == {"Authorization": "Token planted-t"}


def test_what_follows_is_composed_of_what_came_and_what_was_given() -> None:
    take = {"uid": Taken(("result", "0")), "session": Taken(("result", "1"))}
    header = Text("{email}:{uid}:{session}", "base64", "Session ")
    flow = login(opening={"take": take}, headers={"Authorization": header}).flow(ASKED, SECRETS, {})
    next(flow)
    proven = flow.send(answer(200, {"result": [5, "planted"]}))
    assert isinstance(proven, Request)
    assert proven.headers["Authorization"] == "Session bWVAcGxhbnQuZXhhbXBsZTo1OnBsYW50ZWQ="


@pytest.mark.parametrize(
    ("response", "kind", "words"),
    [
        (answer(401, {"message": "Wrong password."}), NeedsOperator, "it answers 401: Wrong password"),
        (answer(400, {"message": "No such user"}), NeedsOperator, "it answers 400: No such user"),
        (
            answer(200, {"success": False, "message": "Locked"}),
            NeedsOperator,
            "no result.sessionToken: Locked",
        ),
        (answer(200, {"result": {"sessionToken": ""}}), NeedsOperator, "no result.sessionToken"),
        (answer(200, b"<html>"), Transient, "not JSON"),
        (answer(500), Transient, "500"),
        (answer(429), Transient, "429"),
        (answer(404), NeedsOperator, "404"),
    ],
)
def test_a_log_in_that_fails_says_why_without_the_password(
    response: Response, kind: type[HeadraceError], words: str
) -> None:
    held: dict[str, str] = {}
    flow = login().flow(ASKED, SECRETS, held)
    next(flow)
    with pytest.raises(kind, match=words) as caught:
        flow.send(response)
    assert "planted" not in str(caught.value)
    assert held == {}


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (500, "Invalid credentials. Please try again.", NeedsOperator),
        (500, "Out of memory.", Transient),
        (400, "API Login Limit", Transient),
    ],
)
def test_a_manifest_says_what_the_refusal_of_a_log_in_means(
    status: int, words: str, kind: type[HeadraceError]
) -> None:
    """A wrong password that counts as a failure that passes would be tried until the user is locked."""
    rules = (
        {"status": 500, "path": "said", "matches": "^Invalid credentials", "kind": "permission"},
        {"path": "said", "matches": "Login Limit", "kind": "rate_limited"},
    )
    meaning = Refusals.of(words=(("said",),), rules=tuple(map(Rule.read, rules))).failure
    flow = login(opening={"meaning": meaning}).flow(ASKED, SECRETS, {})
    next(flow)
    with pytest.raises(kind, match=words):
        flow.send(answer(status, {"message": "An error has occurred.", "said": words}))


def test_a_log_in_by_cookies_alone_is_refused_without_them() -> None:
    flow = login(opening={"take": {}, "cookies": {"B1SESSION"}}, headers={}).flow(ASKED, SECRETS, {})
    next(flow)
    with pytest.raises(NeedsOperator, match="none of the cookies"):
        flow.send(by_cookies("theme=dark"))


def test_a_session_is_given_back_with_its_own_proof() -> None:
    auth = login(
        opening={"cookies": None},
        leaving=Leaving("DELETE", "/auth", {"company": "{company}"}),
    )
    assert isinstance(auth, SessionAuth)
    held: dict[str, str] = {}
    assert auth.log_out(SECRETS, held) is None
    flow = auth.flow(ASKED, SECRETS, held)
    next(flow)
    flow.send(answer(200, {"result": {"sessionToken": "planted-t"}}, {"set-cookie": "sid=planted-c"}))
    leaving = auth.log_out(SECRETS, held)
    assert leaving is not None
    assert (leaving.method, leaving.url, leaving.body) == ("DELETE", "/auth", b'{"company":7}')
    assert leaving.headers["Session-Token"] == "planted-t"
    assert leaving.headers["Cookie"] == "sid=planted-c"
    assert login().log_out(SECRETS, held) is None


def test_only_a_whole_address_may_be_another_host() -> None:
    assert isinstance(login(), TokenAuth)
    assert login().token_url == ""
    assert login(opening={"url": "https://login.example.com/x"}).token_url == "https://login.example.com/x"


def test_what_a_log_in_brought_does_not_print() -> None:
    opened = login().opening.read(let_in())
    assert "planted" not in repr(opened)


def rolling(name: str = "SID", value: str = "planted-next") -> Response:
    return answer(200, headers={"set-cookie": f"{name}={value}; Path=/"})


def test_cookies_of_later_answers_are_followed_where_the_manifest_says_so() -> None:
    auth = login(opening={"take": {}, "cookies": ("SID", "NODE")}, headers={}, rolling=True)
    held: dict[str, str] = {}
    flow = auth.flow(ASKED, SECRETS, held)
    next(flow)
    flow.send(by_cookies("SID=planted-first", "NODE=7"))
    with pytest.raises(StopIteration):
        flow.send(rolling())
    proven = next(auth.flow(ASKED, SECRETS, held))
    assert isinstance(proven, Request)
    assert proven.headers["Cookie"] == "SID=planted-next; NODE=7"


def test_a_session_whose_cookies_have_rolled_is_opened_anew_once_it_is_refused() -> None:
    auth = login(opening={"take": {}, "cookies": None}, headers={}, rolling=True)
    held: dict[str, str] = {}
    first = auth.flow(ASKED, SECRETS, held)
    next(first)
    first.send(by_cookies("SID=planted-first"))
    with pytest.raises(StopIteration):
        first.send(rolling())
    flow = auth.flow(ASKED, SECRETS, held)
    next(flow)
    with_it = auth.flow(ASKED, SECRETS, held)
    next(with_it)
    with pytest.raises(StopIteration):
        with_it.send(rolling(value="planted-third"))
    asking = flow.send(answer(401))
    assert isinstance(asking, Request)
    assert asking.url == "/auth"
    proven = flow.send(by_cookies("SID=planted-new"))
    assert isinstance(proven, Request)
    assert proven.headers["Cookie"] == "SID=planted-new"


def test_a_late_answer_to_a_session_that_was_given_up_says_nothing_of_the_next_one() -> None:
    auth = login(opening={"take": {}, "cookies": None}, headers={}, rolling=True)
    held: dict[str, str] = {}
    slow = auth.flow(ASKED, SECRETS, held)
    next(slow)
    slow.send(by_cookies("SID=planted-first"))
    refused = auth.flow(ASKED, SECRETS, held)
    next(refused)
    refused.send(answer(401))
    refused.send(by_cookies("SID=planted-new"))
    with pytest.raises(StopIteration):
        slow.send(rolling(value="planted-old"))
    proven = next(auth.flow(ASKED, SECRETS, held))
    assert isinstance(proven, Request)
    assert proven.headers["Cookie"] == "SID=planted-new"


def test_other_cookies_of_later_answers_are_not_kept() -> None:
    held: dict[str, str] = {}
    for auth, name in (
        (login(opening={"take": {}, "cookies": ("SID",)}, headers={}, rolling=True), "TRACK"),
        (login(opening={"take": {}, "cookies": ("SID",)}, headers={}), "SID"),
    ):
        held.clear()
        flow = auth.flow(ASKED, SECRETS, held)
        next(flow)
        flow.send(by_cookies("SID=planted-first"))
        with pytest.raises(StopIteration):
            flow.send(rolling(name))
        proven = next(auth.flow(ASKED, SECRETS, held))
        assert isinstance(proven, Request)
        assert proven.headers["Cookie"] == "SID=planted-first"
