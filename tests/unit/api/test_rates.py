"""How often may one token ask?"""

from typing import Any
from uuid import UUID

import anyio
import httpx
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from scheduler.access.principal import Principal, Scope
from scheduler.api.around.rates import MOST_TOKENS, WINDOW, RateLimit, Rates
from scheduler.api.frame import Frame

ONE, OTHER = UUID(int=1), UUID(int=2)


def rates(quota: int = 3) -> tuple[Rates, list[float]]:
    now = [1000.0]
    return Rates(quota, clock=lambda: now[0]), now


def test_a_token_may_use_all_it_has_at_once_and_then_waits() -> None:
    bucket, _ = rates(3)
    assert [bucket.take(ONE).remaining for _ in range(3)] == [2, 1, 0]
    refused = bucket.take(ONE)
    assert (refused.allowed, refused.wait, refused.full_in) == (False, 20, 60)


def test_one_comes_back_after_its_part_of_the_minute() -> None:
    bucket, now = rates(3)
    for _ in range(3):
        bucket.take(ONE)
    now[0] += 19.9
    assert not bucket.take(ONE).allowed
    now[0] += 0.1
    assert bucket.take(ONE).allowed


def test_what_one_token_uses_is_not_taken_from_another() -> None:
    bucket, _ = rates(1)
    assert bucket.take(ONE).allowed
    assert bucket.take(OTHER).allowed
    assert not bucket.take(ONE).allowed


def test_refusals_cost_nothing() -> None:
    bucket, now = rates(1)
    for _ in range(100):
        bucket.take(ONE)
    now[0] += WINDOW
    assert bucket.take(ONE).allowed


@given(st.integers(1, 50), st.lists(st.floats(0, 30), max_size=200))
def test_no_more_is_granted_than_a_full_bucket_and_what_flows_in(quota: int, steps: list[float]) -> None:
    bucket, now = rates(quota)
    granted = []
    for step in steps:
        now[0] += step
        left = bucket.take(ONE)
        if left.allowed:
            granted.append(now[0])
        assert 0 <= left.remaining < quota
        assert left.allowed or left.wait >= 1
    if granted:
        assert len(granted) <= quota + (granted[-1] - granted[0]) * quota / WINDOW + 1


def test_memory_is_bounded() -> None:
    bucket, _ = rates(1)
    for number in range(MOST_TOKENS + 10):
        bucket.take(UUID(int=number))
    assert len(bucket._full_at) == MOST_TOKENS


def test_every_answer_says_what_is_left_and_a_refusal_when_to_come_again() -> None:
    bucket, _ = rates(2)
    somebody = Principal(ONE, "somebody", "live", frozenset({Scope.READ}))
    served: list[str] = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        served.append(Request(scope).url.path)
        if served == ["/v1/crash"]:
            raise RuntimeError
        await PlainTextResponse("inside")(scope, receive, send)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["principal"] = somebody
        await RateLimit(inside, rates=bucket)(scope, receive, send)

    async def go() -> list[httpx.Response]:
        transport = httpx.ASGITransport(Frame(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return [await client.get(path) for path in ("/v1/crash", "/v1/runs", "/v1/runs")]

    crashed, served_one, refused = answers = anyio.run(go)
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"token";q=2;w=60'}
    assert (crashed.status_code, crashed.headers["ratelimit"]) == (500, '"token";r=1;t=30')
    assert (served_one.status_code, served_one.headers["ratelimit"]) == (200, '"token";r=0;t=60')
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert (refused.headers["retry-after"], refused.headers["ratelimit"]) == ("30", '"token";r=0;t=60')
    assert len(served) == 2
