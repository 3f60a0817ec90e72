"""A token against forgery, on top of another proof: when it is fetched, what goes with it, and when anew."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from worker.connectors.auth import BasicAuth, Credential
from worker.connectors.auth.csrf import CsrfAuth
from worker.connectors.contract import Request, Response
from worker.errors import NeedsOperator, Transient

READ, WRITE = Request("GET", "orders"), Request("POST", "orders", headers={"Cookie": "own=1"}, body=b"{}")
BASIC = BasicAuth(Credential(value="u"), Credential(secret="p"))
SECRETS = {"p": "planted-password"}
CSRF = CsrfAuth(BASIC, url="/service/")


def answer(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, headers or {}, b"", "https://h/service/")


def given(token: str, session: str = "planted-session") -> Response:
    return answer(
        200, {"x-csrf-token": token, "set-cookie": f"SAP_SESSIONID={session}; path=/, sap-usercontext=c"}
    )


REFUSED = answer(403, {"x-csrf-token": "Required"})


def test_what_only_reads_goes_as_it_is() -> None:
    flow = CSRF.flow(READ, SECRETS, held := {})
    proven = next(flow)
    assert isinstance(proven, Request)
    assert set(proven.headers) == {"Authorization"}
    with pytest.raises(StopIteration):
        flow.send(answer(200))
    assert held == {}


def test_a_token_is_fetched_once_and_goes_with_its_cookies() -> None:
    held: dict[str, str] = {}
    flow = CSRF.flow(WRITE, SECRETS, held)
    fetch = next(flow)
    assert isinstance(fetch, Request)
    assert (fetch.method, fetch.url, fetch.headers["x-csrf-token"]) == ("GET", "/service/", "Fetch")
    assert fetch.headers["Authorization"].startswith("Basic ")
    proven = flow.send(given("planted-token"))
    assert isinstance(proven, Request)
    assert (proven.method, proven.url, proven.body) == (WRITE.method, WRITE.url, WRITE.body)
    assert proven.headers["x-csrf-token"] == "planted-token"
    assert proven.headers["Cookie"] == "own=1; SAP_SESSIONID=planted-session; sap-usercontext=c"
    assert proven.headers["Authorization"].startswith("Basic ")
    with pytest.raises(StopIteration):
        flow.send(answer(201))
    again = next(CSRF.flow(WRITE, SECRETS, held))
    assert isinstance(again, Request)
    assert again.headers["x-csrf-token"] == "planted-token"


def test_a_token_that_is_good_no_longer_is_fetched_anew_once() -> None:
    held = {"csrf": "planted-old\n"}
    flow = CSRF.flow(WRITE, SECRETS, held)
    next(flow)
    fetch = flow.send(REFUSED)
    assert isinstance(fetch, Request)
    assert fetch.method == "GET"
    proven = flow.send(given("planted-new"))
    assert isinstance(proven, Request)
    assert proven.headers["x-csrf-token"] == "planted-new"
    with pytest.raises(StopIteration):
        flow.send(REFUSED)


def test_a_token_that_another_thread_fetched_meanwhile_is_used() -> None:
    held = {"csrf": "planted-old\n"}
    flow = CSRF.flow(WRITE, SECRETS, held)
    next(flow)
    held["csrf"] = "planted-new\n"
    proven = flow.send(REFUSED)
    assert isinstance(proven, Request)
    assert proven.headers["x-csrf-token"] == "planted-new"


def test_another_refusal_is_no_reason_to_fetch() -> None:
    flow = CSRF.flow(WRITE, SECRETS, {"csrf": "planted-old\n"})
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(answer(403))


@pytest.mark.parametrize(
    ("response", "kind", "code"),
    [
        (answer(200), NeedsOperator, "no_csrf_token"),
        (answer(200, {"x-csrf-token": "Required"}), NeedsOperator, "no_csrf_token"),
        (answer(401), NeedsOperator, "auth_refused"),
        (answer(503), Transient, "system_error"),
        (answer(404), NeedsOperator, "no_csrf_token"),
        (answer(200, {"content-type": "text/html"}), Transient, "malformed_page"),
    ],
)
def test_a_system_that_gives_out_no_token_is_told_of(
    response: Response, kind: type[Exception], code: str
) -> None:
    flow = CSRF.flow(WRITE, SECRETS, held := {})
    next(flow)
    with pytest.raises(kind) as caught:
        flow.send(response)
    assert getattr(caught.value, "code", None) == code
    assert held == {}


def test_an_outage_in_words_of_the_system_is_one() -> None:
    away = Transient("system_error", "Maintenance.")
    flow = replace(CSRF, meaning=lambda _: away).flow(WRITE, SECRETS, {})
    next(flow)
    with pytest.raises(Transient, match="Maintenance"):
        flow.send(answer(200))
