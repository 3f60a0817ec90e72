"""Who may pass?"""

from uuid import UUID

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from scheduler.access.principal import Principal, Scope
from scheduler.access.tokens import make_token
from scheduler.api.guard import Guard

TOKEN = make_token("live", bits=1)
SOMEBODY = Principal(UUID(int=1), "somebody", "live", frozenset({Scope.READ}))

COUNTED: list[str] = []
"""The addresses whose wrong tokens were counted for all processes."""


async def _inside(_request: Request) -> Response:
    return PlainTextResponse("inside")


APP = Guard(
    Starlette(routes=[Route("/v1/runs", _inside), Route("/healthz", _inside), Route("/readyz", _inside)]),
    find=lambda token, _source: SOMEBODY if token == TOKEN else None,
    count=lambda whose, _each: COUNTED.append(whose),
)


def ask(path: str, headers: list[tuple[str, str]] | None = None) -> httpx.Response:
    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://api") as client:
            return await client.get(path, headers=headers or [])

    return anyio.run(go)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_opens_the_door(scheme: str) -> None:
    assert ask("/v1/runs", [("Authorization", f"{scheme} {TOKEN}")]).text == "inside"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \xe9",
    ],
)
def test_anything_else_is_a_stranger(value: str) -> None:
    answer = ask(
        "/v1/runs", [("Authorization", value.encode("latin-1").decode("latin-1"))] if value.isascii() else []
    )
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.text


def test_two_authorizations_are_none() -> None:
    """A proxy in front may look at the one and we at the other."""
    twice = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]
    assert ask("/v1/runs", twice).status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v2", "/docs", "/openapi.json", "/v1/nothing", "//healthz", "/healthz/"]
)
def test_strangers_learn_nothing_of_which_paths_there_are(path: str) -> None:
    assert ask(path).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_open(path: str) -> None:
    assert ask(path).text == "inside"


def test_only_what_was_looked_up_and_wrong_is_counted_for_all_processes() -> None:
    """Nobody who shows a valid token waits for that, not even the first time."""
    COUNTED.clear()
    ask("/v1/runs", [("Authorization", f"Bearer {TOKEN}")])
    ask("/v1/runs", [("Authorization", "Bearer nonsense")])
    assert COUNTED == []
    ask("/v1/runs", [("Authorization", f"Bearer {make_token('live')}")])
    assert COUNTED == ["token:127.0.0.1"]
