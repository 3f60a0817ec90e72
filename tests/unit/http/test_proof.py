"""One thread logs in for all, tokens are dropped with their secret, and proofs are redacted."""

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, Lock
from typing import Any

import pytest

from worker.connectors.auth import BasicAuth, Credential
from worker.connectors.auth.csrf import CsrfAuth
from worker.connectors.contract import Auth, Renewal, Request, Response
from worker.errors import NeedsOperator, Transient
from worker.http.held import Held, HeldTokens
from worker.http.proof import LoginRefused, Proof
from worker.secrets import Secret
from worker.telemetry.redaction import MASK, redactor

ASKED = Request("GET", "assets")
Flow = Generator[Request, Response, None]


class Bearer:
    def flow(self, request: Request, secrets: Mapping[str, str], held: dict[str, str]) -> Flow:
        yield proven(request, secrets["token"])


class Login:
    """Logs in where nothing is held, and again where what is held was refused."""

    def flow(self, request: Request, secrets: Mapping[str, str], held: dict[str, str]) -> Flow:
        if "token" not in held:
            yield from self._log_in(secrets, held)
        answer = yield proven(request, held["token"])
        if answer.status == 401:
            held.pop("token", None)
            yield from self._log_in(secrets, held)
            yield proven(request, held["token"])

    @staticmethod
    def _log_in(secrets: Mapping[str, str], held: dict[str, str]) -> Flow:
        answer = yield Request("POST", "login", body=secrets["password"].encode())
        if answer.status != 200:
            raise NeedsOperator("login_refused", "The log-in was refused.")
        held["token"] = answer.body.decode()
        held["expires"] = "1790000000.5"


def proven(request: Request, token: str) -> Request:
    return Request(
        request.method, request.url, headers={**request.headers, "Authorization": f"Bearer {token}"}
    )


class System:
    """Hands out tokens and honours the latest alone."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.logins = 0
        self.seen: list[str] = []

    def __call__(self, request: Request) -> Response:
        with self.lock:
            if request.url == "login":
                self.logins += 1
                return answer(200, f"planted-token-{self.logins:04}".encode())
            self.seen.append(request.headers["Authorization"])
            good = request.headers["Authorization"] == f"Bearer planted-token-{self.logins:04}"
            return answer(200 if good else 401)


def answer(status: int, body: bytes = b"") -> Response:
    return Response(status, {}, body, "https://plant.example.com/")


def sealed(values: Mapping[str, str]) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in values.items()}


def no_renewal(_renewal: Renewal) -> Response:
    raise NotImplementedError


def ask(auth: Auth, held: Held, send: Callable[[Request], Response], **kept: Any) -> Response:
    secrets = sealed({"token": "static-token", "password": "a-password"})
    return Proof(auth, ASKED, secrets, held, send, send, no_renewal, kept.get("patience", 10)).answer()


def test_one_thread_logs_in_and_the_others_use_what_it_got() -> None:
    system, held, together = System(), Held(b""), Barrier(16)

    def run(_number: int) -> int:
        together.wait()
        return ask(Login(), held, system).status

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(run, range(16))) == [200] * 16
    assert system.logins == 1


def test_a_refused_token_is_renewed_once_for_all() -> None:
    system, held = System(), Held(b"", values={"token": "planted-token-old"})
    refused = Barrier(8)

    def send(request: Request) -> Response:
        response = system(request)
        if response.status == 401:
            refused.wait(5)
        return response

    with ThreadPoolExecutor(8) as threads:
        assert [each.status for each in threads.map(lambda _: ask(Login(), held, send), range(8))] == [
            200
        ] * 8
    assert system.logins == 1


def test_requests_that_need_no_log_in_go_side_by_side() -> None:
    """A fixed token holds nothing: no request waits for another."""
    held, together = Held(b""), Barrier(4)

    def send(_request: Request) -> Response:
        together.wait(5)
        return answer(200)

    with ThreadPoolExecutor(4) as threads:
        assert [each.status for each in threads.map(lambda _: ask(Bearer(), held, send), range(4))] == [
            200
        ] * 4


def test_a_refusal_of_what_is_not_held_comes_back_as_it_is() -> None:
    assert ask(Bearer(), Held(b""), lambda _request: answer(401)).status == 401


def test_a_log_in_that_fails_lets_the_next_one_try() -> None:
    held = Held(b"")
    with pytest.raises(NeedsOperator):
        ask(Login(), held, lambda _request: answer(403))

    assert ask(Login(), held, System()).status == 200


def test_nobody_waits_for_ever_for_a_log_in() -> None:
    held = Held(b"")
    with held.lock, pytest.raises(Transient) as caught:
        ask(Login(), held, System(), patience=0.01)

    assert caught.value.code == "login_busy"


class Endless:
    def flow(self, request: Request, secrets: Mapping[str, str], held: dict[str, str]) -> Flow:
        while True:
            yield Request("POST", "login")


class Silent:
    def flow(self, request: Request, secrets: Mapping[str, str], held: dict[str, str]) -> Flow:
        yield from ()


@pytest.mark.parametrize("auth", [Endless(), Silent()])
def test_a_flow_without_an_end_is_ended(auth: Auth) -> None:
    held = Held(b"")
    with pytest.raises(NeedsOperator) as caught:
        ask(auth, held, lambda _request: answer(200))

    assert caught.value.code == "auth_endless"
    assert held.lock.acquire(blocking=False)


def test_tokens_are_kept_until_a_secret_changes() -> None:
    tokens = HeldTokens()
    first = tokens.of(1, sealed({"user": "a", "password": "b"}))
    first.values["token"] = "x"

    assert tokens.of(1, sealed({"password": "b", "user": "a"})) is first
    assert tokens.of(2, sealed({"user": "a", "password": "b"})).values == {}
    assert tokens.of(1, sealed({"user": "a", "password": "c"})).values == {}
    assert tokens.of(1, sealed({"user": "ab", "password": ""})).values == {}


def test_tokens_and_proofs_are_redacted_and_times_are_not() -> None:
    seen: list[str] = []

    def send(request: Request) -> Response:
        seen.append(redactor.redact(request.headers.get("Authorization", "")))
        return System()(request) if request.url == "login" else answer(200)

    ask(Login(), Held(b""), send)
    ask(Bearer(), Held(b""), send)

    assert seen == ["", MASK, MASK]
    assert redactor.redact("got planted-token-0001 until 1790000000.5") == f"got {MASK} until 1790000000.5"
    assert redactor.redact("a static-token b") == f"a {MASK} b"


class Cookie:
    def flow(self, request: Request, secrets: Mapping[str, str], held: dict[str, str]) -> Flow:
        headers = {
            "Cookie": "SID=planted-cookie; lang=de",
            "X-Tenant": "main-plant",
            "Authorization": 'Digest username="x"',
        }
        yield Request(request.method, request.url, headers=headers)


def test_cookies_are_redacted_and_ordinary_headers_are_not() -> None:
    ask(Cookie(), Held(b""), lambda _request: answer(200))

    assert redactor.redact("planted-cookie main-plant lang username") == f"{MASK} main-plant lang username"


def test_what_is_held_goes_when_a_secret_that_its_system_replaces_was_put_elsewhere() -> None:
    tokens, kept = HeldTokens(), {"client": Secret("ours")}
    before = tokens.of(1, kept, {"client": "env://C", "refresh": "file:///store/plant-1"})
    assert tokens.of(1, kept, {"client": "env://C", "refresh": "file:///store/plant-1"}) is before
    anew = tokens.of(1, kept, {"client": "env://C", "refresh": "file:///store/plant-2"})
    assert anew is not before
    assert anew.changed


def test_a_token_is_not_used_under_other_settings_where_another_system_would_see_it() -> None:
    tokens, kept = HeldTokens(), {"password": Secret("ours")}
    there, elsewhere = ({"setting base_url": f"https://{host}.example.com"} for host in ("erp", "other"))
    before = tokens.of(1, kept, there)
    before.values["session"] = "of the first"
    assert tokens.of(1, kept, elsewhere).values == {}
    assert tokens.of(1, kept, elsewhere).changed


def test_a_request_whose_body_holds_its_proof_is_the_one_asked_for_and_no_log_in() -> None:
    class InBody:
        def flow(self, request: Request, secrets: Mapping[str, str], held: dict[str, str]) -> Flow:
            yield replace(request, body=secrets["token"].encode(), asked=True)

    def no_log_in(_request: Request) -> Response:
        raise NotImplementedError

    proof = Proof(
        InBody(), ASKED, sealed({"token": "planted"}), Held(b""), lambda made: answer(200, made.body or b""), no_log_in, no_renewal, 1
    )  # fmt: skip
    assert proof.answer().body == b"planted"


def test_what_is_held_ends_when_its_time_has_come() -> None:
    held = Held(b"", values={"token": "t", "expires_at": "4000000000"})
    held.settle()
    assert held.usable
    assert held.values == {"token": "t"}
    held.values["expires_at"] = "1000000000"
    held.settle()
    assert not held.usable


@pytest.mark.parametrize(("status", "refused"), [(401, True), (404, False), (200, False)])
def test_a_token_against_forgery_that_isnt_given_out_is_no_refused_log_in(status: int, refused: bool) -> None:
    """All other runs of the connection go on as before."""
    auth = CsrfAuth(BasicAuth(Credential(value="u"), Credential(secret="password")), url="/")
    request, secrets = Request("POST", "orders", body=b"{}"), sealed({"password": "a-password"})

    def send(_request: Request) -> Response:
        return answer(status)

    with pytest.raises(NeedsOperator) as caught:
        Proof(auth, request, secrets, Held(b""), send, send, no_renewal, 10).answer()
    assert isinstance(caught.value, LoginRefused) is refused
