"""Proofs of identity: what is sent, and what never shows."""

import base64
import json
from collections.abc import Generator
from typing import Any

import pytest

from worker.connectors.auth import BasicAuth, Credential, HeaderAuth, NoAuth
from worker.connectors.contract import Auth, Request, Response
from worker.connectors.protocols.tryton_session import TrytonSession
from worker.errors import HeadraceError, NeedsOperator, Transient

ASKED = Request("GET", "https://h/x", headers={"Accept": "application/json"})
TRYTON = TrytonSession("https://h/demo/rpc/", Credential(value="admin"), "password")
PASSWORD = {"password": "s3cret-word"}


def first(auth: Auth, secrets: dict[str, str]) -> Request:
    return next(auth.flow(ASKED, secrets, {}))


def answer(status: int, body: Any = None) -> Response:
    return Response(status, {}, b"" if body is None else json.dumps(body).encode(), "https://h/demo/rpc/")


def logged_in(number: int = 1, token: str = "t0ken") -> Response:
    return answer(200, {"id": 1, "result": [number, token, None]})


def proof(number: int = 1, token: str = "t0ken") -> str:
    return "Session " + base64.b64encode(f"admin:{number}:{token}".encode()).decode()


def test_each_kind_proves_itself_in_its_header() -> None:
    assert first(NoAuth(), {}) == ASKED
    bearer = first(HeaderAuth("Authorization", "Bearer ", "token"), {"token": "abc"})
    assert bearer.headers == {"Accept": "application/json", "Authorization": "Bearer abc"}
    assert first(HeaderAuth("apikey", "", "key"), {"key": "abc"}).headers["apikey"] == "abc"
    basic = first(BasicAuth(Credential(value="me"), Credential(secret="pw")), {"pw": "ü:x"})
    assert base64.b64decode(basic.headers["Authorization"].removeprefix("Basic ")).decode() == "me:ü:x"


def test_the_request_asked_for_is_the_last_and_the_only_one() -> None:
    flow = HeaderAuth("apikey", "", "key").flow(ASKED, {"key": "abc"}, {})
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(answer(200))


@pytest.mark.parametrize(
    ("secrets", "code"),
    [
        ({}, "secret_missing"),
        ({"key": "abc\r\nX-Evil: 1"}, "bad_secret"),
        ({"key": "gehe\u00efm"}, "bad_secret"),
    ],
)
def test_a_secret_that_cannot_be_sent_is_named_and_not_shown(secrets: dict[str, str], code: str) -> None:
    with pytest.raises(NeedsOperator) as caught:
        first(HeaderAuth("apikey", "", "key"), secrets)
    assert caught.value.code == code
    assert "'key'" in str(caught.value)
    assert not any(value in str(caught.value) for value in secrets.values())


class TestTrytonSession:
    def flow(self, held: dict[str, str]) -> Generator[Request, Response, None]:
        return TRYTON.flow(ASKED, PASSWORD, held)

    def test_logs_in_once_and_keeps_the_session(self) -> None:
        held: dict[str, str] = {}
        flow = self.flow(held)
        login = next(flow)
        assert json.loads(login.body or b"") == {
            "id": 1, "method": "common.db.login", "params": ["admin", {"password": "s3cret-word"}],
        }  # fmt: skip
        assert "Authorization" not in login.headers
        assert flow.send(logged_in()).headers["Authorization"] == proof()
        with pytest.raises(StopIteration):
            flow.send(answer(200))
        assert next(self.flow(held)).headers["Authorization"] == proof()

    def test_logs_in_anew_once_when_the_session_is_forgotten(self) -> None:
        held: dict[str, str] = {}
        flow = self.flow(held)
        next(flow)
        flow.send(logged_in(token="old"))
        assert b"common.db.login" in (flow.send(answer(401)).body or b"")
        assert flow.send(logged_in(token="new")).headers["Authorization"] == proof(token="new")
        with pytest.raises(StopIteration):
            flow.send(answer(401))

    def test_uses_the_session_that_another_thread_got_meanwhile(self) -> None:
        held = {"session": "b2xk"}
        flow = self.flow(held)
        next(flow)
        held["session"] = "bmV3"
        assert flow.send(answer(401)).headers["Authorization"] == "Session bmV3"

    @pytest.mark.parametrize(
        ("response", "kind", "code"),
        [
            (answer(401), NeedsOperator, "auth_refused"),
            (answer(200, {"id": 1, "result": None}), NeedsOperator, "auth_refused"),
            (
                answer(200, {"id": 1, "error": ["LoginException", ["code", "?", "char"]]}),
                NeedsOperator,
                "auth_refused",
            ),
            (answer(429), Transient, "throttled"),
            (answer(404), NeedsOperator, "request_refused"),
            (answer(405), NeedsOperator, "request_refused"),
            (answer(503), Transient, "system_error"),
            (answer(200), Transient, "malformed_page"),
            (answer(200, []), Transient, "malformed_page"),
            (answer(200, {"id": 1, "result": ["1", 2]}), NeedsOperator, "auth_refused"),
        ],
    )
    def test_a_login_that_fails_says_why_without_the_password(
        self, response: Response, kind: type[HeadraceError], code: str
    ) -> None:
        held: dict[str, str] = {}
        flow = self.flow(held)
        next(flow)
        with pytest.raises(kind) as caught:
            flow.send(response)
        assert caught.value.code == code
        assert "s3cret-word" not in str(caught.value)
        assert held == {}
