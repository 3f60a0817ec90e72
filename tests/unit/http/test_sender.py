"""What a request costs, carries and brings back, with a transport in the network's place."""

import base64
from datetime import timedelta

import httpx
import pytest
from servers.systems.sending import NOW, PASSWORD, BasicWithLogin, Budget, Plant, SenderOf, context

from worker.connectors.contract import Limits, Request
from worker.errors import NeedsOperator, NotThere, RateLimited, Transient
from worker.http import Sender
from worker.limits.headers import LimitHeaders
from worker.telemetry.redaction import MASK, redactor


def test_an_answer_comes_back_whole_with_lower_case_headers(sender: SenderOf, budget: Budget) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, headers={"X-Total": "5"}, content=b'{"a": 1}')

    ctx = context()
    request = Request("GET", "assets", [("page", "2")], {"Accept": "application/json"}, cost=3)
    answer = sender(handler).send(ctx, request)

    assert (answer.status, answer.body, answer.headers["x-total"]) == (200, b'{"a": 1}', "5")
    assert answer.url == "https://plant.example.com/api/assets?page=2"
    sent = seen[0].headers
    assert sent["x-request-id"] == "req-1"
    assert sent["user-agent"] == "headrace"
    assert sent["accept-encoding"] == "gzip, deflate"
    assert sent["accept"] == "application/json"
    assert budget.taken == [("acme", 3, 2)]
    assert budget.in_use == 0
    steps = {entry["name"]: entry for entry in ctx.steps.as_json()}
    assert steps.keys() == {"secrets", "budget", "request"}
    assert steps["request"]["status"] == 200
    assert steps["request"]["bytes"] == 8


def test_every_request_of_a_log_in_takes_a_permit_and_the_token_is_kept(
    sender: SenderOf, budget: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANT_PASSWORD", PASSWORD)
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path} {redactor.redact(str(request.headers.raw))}")
        return httpx.Response(200, text="planted-session-token" if request.method == "POST" else "{}")

    sends = sender(handler)
    ctx = context(Plant(BasicWithLogin()), secrets={"password": "env://PLANT_PASSWORD"})
    sends.send(ctx, Request("GET", "assets"))
    sends.send(ctx, Request("GET", "parts"))
    assert [line.split(" ")[1] for line in asked] == ["/api/login", "/api/assets", "/api/parts"]
    assert [account for account, _, _ in budget.taken if not account.startswith("login:")] == ["acme"] * 3
    proof = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    assert not any("planted" in line or proof in line for line in asked)

    monkeypatch.setenv("PLANT_PASSWORD", "another-password")
    sends.send(ctx, Request("GET", "parts"))
    assert asked[3].startswith("POST /api/login"), "a changed secret ends what was held"


def test_a_system_that_repeats_a_secret_is_not_quoted_with_it(
    sender: SenderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANT_PASSWORD", PASSWORD)
    ctx = context(secrets={"password": "env://PLANT_PASSWORD"})
    with pytest.raises(NeedsOperator) as caught:
        sender(lambda _: httpx.Response(403, text=f"bad {PASSWORD}")).send(ctx, Request("GET", "assets"))

    assert str(caught.value) == f"It said 403: bad {MASK} bad {MASK}"
    assert caught.value.args == (f"It said 403: bad {MASK}",)


@pytest.mark.parametrize(
    ("status", "headers", "seconds", "code"),
    [
        (429, {"Retry-After": "17"}, 17, "rate_limited"),
        (429, {"Retry-After": "Sun, 01 Mar 2026 12:01:00 GMT"}, 60, "rate_limited"),
        (429, {}, 30, "rate_limited"),
        (429, {"Retry-After": "soon"}, 30, "rate_limited"),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "50"}, 50, "rate_limited"),
        (503, {"Retry-After": "5"}, 5, "unavailable"),
        (500, {"Retry-After": "5"}, 5, "unavailable"),
        (403, {"Retry-After": "5"}, 5, "rate_limited"),
    ],
)
def test_a_system_that_says_wait_holds_its_account(
    sender: SenderOf, budget: Budget, status: int, headers: dict[str, str], seconds: float, code: str
) -> None:
    with pytest.raises(RateLimited) as caught:
        sender(lambda _: httpx.Response(status, headers=headers)).send(
            context(), Request("GET", "assets?key=hidden")
        )

    assert caught.value.code == code
    assert caught.value.resume_at == NOW + timedelta(seconds=seconds)
    said = f"plant.example.com answered {status} to GET /api/assets"
    assert budget.held == [("acme", seconds, said)]
    assert str(caught.value) == f"{said}: it asks us to wait."
    assert budget.in_use == 0


def test_a_503_without_a_time_is_for_the_source_to_judge(sender: SenderOf, budget: Budget) -> None:
    with pytest.raises(NeedsOperator, match="It said 503"):
        sender(lambda _: httpx.Response(503)).send(context(), Request("GET", "assets"))
    assert budget.held == []
    assert budget.failed == 1  # a trial that ends so lets no more follow


def test_an_answer_that_is_refused_for_what_was_asked_is_no_failed_trial(
    sender: SenderOf, budget: Budget
) -> None:
    with pytest.raises(NeedsOperator, match="It said 404"):
        sender(lambda _: httpx.Response(404)).send(context(), Request("GET", "assets"))
    assert (budget.failed, budget.in_use) == (0, 0)


def test_a_status_by_which_a_system_says_that_nothing_is_there_is_an_answer(
    sender: SenderOf, budget: Budget
) -> None:
    asked = Request("GET", "assets/7", absent=frozenset({404}))
    answer = sender(lambda _: httpx.Response(404, content=b"{}")).send(context(), asked)
    assert (answer.status, answer.body) == (404, b"{}")
    assert (budget.failed, budget.in_use) == (0, 0)
    with pytest.raises(NeedsOperator, match="It said 410"):
        sender(lambda _: httpx.Response(410)).send(context(), asked)


def test_a_status_that_says_nothing_is_new_is_an_answer_and_no_sign_of_absence(
    sender: SenderOf, budget: Budget
) -> None:
    asked = Request("GET", "assets", absent=frozenset({304}))
    answer = sender(lambda _: httpx.Response(304)).send(context(), asked)
    assert (answer.status, answer.body, budget.failed) == (304, b"", 0)
    gone = Plant(says=NotThere("not_found", "No such list."))
    with pytest.raises(NotThere):
        sender(lambda _: httpx.Response(200)).send(context(gone), asked)


def test_a_source_that_reads_a_wait_in_a_200_holds_the_account_too(sender: SenderOf, budget: Budget) -> None:
    says = RateLimited("throttled", "Throttled.", resume_at=NOW + timedelta(seconds=44))
    with pytest.raises(RateLimited) as caught:
        sender(lambda _: httpx.Response(200)).send(context(Plant(says=says)), Request("GET", "assets"))

    assert budget.held == [("acme", 44.0, "Throttled.")]
    assert (budget.held_in_use, budget.failed) == ([1], 1)  # before its permit went to another
    assert caught.value.resume_at == NOW + timedelta(seconds=44)


def test_a_status_that_means_wait_by_the_manifest_holds_the_account(sender: SenderOf, budget: Budget) -> None:
    says = Transient("throttled", "The system answered 403: too many at once")
    for headers, seconds in (({"x-ratelimit-reset": "9"}, 9), ({}, 30)):
        with pytest.raises(RateLimited) as caught:
            sender(lambda _, headers=headers: httpx.Response(403, headers=headers)).send(  # type: ignore[misc]
                context(Plant(says=says)), Request("GET", "assets")
            )
        assert caught.value.resume_at == NOW + timedelta(seconds=seconds)
    assert budget.held == [("acme", 9.0, says.message), ("acme", 30.0, says.message)]


def test_what_an_answer_says_is_left_is_told_to_the_budget(sender: SenderOf, budget: Budget) -> None:
    for left in ("90", "4"):
        headers = {"RateLimit": f'"default";r={left};t=20', "RateLimit-Policy": '"default";q=100;w=60'}
        answer = httpx.Response(200, headers=headers)
        sender(lambda _, answer=answer: answer).send(context(), Request("GET", "assets"))  # type: ignore[misc]
    assert budget.slowed == [("acme", 4, 20.0)]
    assert budget.held == []


def test_a_wait_that_an_answer_asks_for_is_told_to_the_budget_and_the_answer_is_read(
    sender: SenderOf, budget: Budget
) -> None:
    limits = Limits(headers=LimitHeaders(wait="backoff"))
    answer = httpx.Response(200, headers={"Backoff": "12"}, content=b"[]")
    found = sender(lambda _: answer).send(context(Plant(limits=limits)), Request("GET", "assets"))
    assert (found.body, budget.slowed, budget.held) == (b"[]", [("acme", 0, 12.0)], [])


def test_nothing_is_sent_without_a_permit(sender: SenderOf, budget: Budget) -> None:
    budget.refuse = True
    sent: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200)

    with pytest.raises(RateLimited):
        sender(handler).send(context(), Request("GET", "assets"))
    assert sent == []


def test_an_answer_too_large_is_refused(sender: SenderOf) -> None:
    big = Request("GET", "assets")
    for answer in (
        httpx.Response(200, content=b"x" * 1001),
        httpx.Response(200, headers={"content-length": "1001"}, stream=httpx.ByteStream(b"")),
        httpx.Response(200, headers={"content-length": "9" * 5000}, stream=httpx.ByteStream(b"")),
    ):
        with pytest.raises(NeedsOperator) as caught:
            sender(lambda _, answer=answer: answer).send(context(), big)  # type: ignore[misc]
        assert caught.value.code == "page_too_large"


@pytest.mark.parametrize("value", ["planted\r\nHost: evil", "planted-käse", "planted\x00"])
def test_a_header_that_can_not_be_written_names_no_value(sender: SenderOf, value: str) -> None:
    request = Request("GET", "assets", headers={"Authorization": value})
    sends = Sender(Budget(), timeout=5, max_bytes=1000)
    with pytest.raises(NeedsOperator) as caught:
        sends.send(context(Plant(base_url="http://127.0.0.1:9")), request)

    assert caught.value.code == "bad_request"
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "reads", "tries"),
    [("GET", False, 2), ("POST", True, 2), ("POST", False, 1), ("get", False, 2)],
)
def test_only_a_lost_kept_alive_connection_is_tried_again_and_once(
    sender: SenderOf, budget: Budget, method: str, reads: bool, tries: int
) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")

    with pytest.raises(Transient) as caught:
        sender(handler).send(context(reads=reads), Request(method, "assets"))

    assert caught.value.code == "broken_answer"
    assert len(budget.taken) == tries


def test_a_fresh_connection_that_breaks_is_not_tried_again(sender: SenderOf, budget: Budget) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        request.extensions["trace"]("connection.connect_tcp.started", {})
        raise httpx.ReadError("reset")

    with pytest.raises(Transient) as caught:
        sender(handler).send(context(), Request("GET", "assets"))

    assert caught.value.code == "unreachable"
    assert len(budget.taken) == 1


def test_a_secret_that_can_not_be_opened_stops_the_request(sender: SenderOf, budget: Budget) -> None:
    with pytest.raises(NeedsOperator) as caught:
        sender(lambda _: httpx.Response(200)).send(
            context(secrets={"token": "env://HEADRACE_NOT_SET_ANYWHERE"}), Request("GET", "assets")
        )

    assert caught.value.code == "secret_unresolved"
    assert budget.taken == []
