"""What goes around every request: ids, times, sizes, and a last word."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from scheduler.api.around.bodies import MAX_BODY
from scheduler.api.frame import Frame
from scheduler.api.problems import refusal

Ask = Callable[..., httpx.Response]


async def _echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse({"request_id": request.state.request_id, "length": len(body)})


async def _crash(_request: Request) -> Response:
    raise RuntimeError("the password is hunter2-hunter2")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(request, error)


@pytest.fixture
def ask() -> Ask:
    routes = [Route("/echo", _echo, methods=["GET", "POST"]), Route("/crash", _crash)]
    app = Starlette(
        routes=routes, middleware=[Middleware(Frame)], exception_handlers={HTTPException: _refused}
    )

    def send(method: str, path: str, **more: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
                return await client.request(method, path, **more)

        return anyio.run(go)

    return send


@pytest.mark.parametrize("path", ["/webhooks/plant/s3cr3t", "/webhooks/plant/a/s3cr3t", "/connect/s3cr3t"])
def test_no_secret_of_a_path_is_logged(ask: Ask, path: str) -> None:
    """Also none that nobody has opened: sent to a name that isn't there, it is a secret all the same."""
    with capture_logs() as said:
        ask("POST", path)
    assert "s3cr3t" not in str(said)
    assert [line["path"].rpartition("/")[2] for line in said] == ["…"]


def test_a_harmless_request_id_is_kept(ask: Ask) -> None:
    answer = ask("GET", "/echo", headers={"X-Request-ID": "order-17:retry.2"})
    assert answer.headers["x-request-id"] == "order-17:retry.2"
    assert answer.json()["request_id"] == "order-17:retry.2"


@pytest.mark.parametrize(
    "given", ["", "a b", "x" * 129, "a\x1b[2J", 'a"b', "ä".encode().decode("latin-1"), "{}"]
)
def test_any_other_request_id_is_replaced(ask: Ask, given: str) -> None:
    answer = ask("GET", "/echo", headers={"X-Request-ID": given.encode("latin-1")})
    assert re.fullmatch(r"api-[0-9a-f-]{36}", answer.headers["x-request-id"])


def test_every_answer_says_how_long_it_took(ask: Ask) -> None:
    answer = ask("GET", "/echo")
    assert re.fullmatch(r"app;dur=\d+(\.\d+)?", answer.headers["server-timing"])
    assert re.fullmatch(r"\d+(\.\d+)?ms", answer.headers["x-response-time"])


def test_a_crash_is_answered_with_a_problem_that_gives_nothing_away(ask: Ask) -> None:
    answer = ask("GET", "/crash", headers={"X-Request-ID": "r1"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal_error"
    assert answer.json()["request_id"] == "r1"
    assert "hunter2" not in answer.text


def test_a_body_at_the_limit_is_read_and_one_above_it_refused(ask: Ask) -> None:
    assert ask("POST", "/echo", content=b"x" * MAX_BODY).json()["length"] == MAX_BODY
    answer = ask("POST", "/echo", content=b"x" * (MAX_BODY + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_of_a_body_that_is_announced_too_long_nothing_is_read_and_the_connection_ends(ask: Ask) -> None:
    """Also where nobody wants to read it: whoever sent it would go on sending."""

    async def parts() -> Any:
        raise AssertionError("asked for")
        yield b""

    announced = {"Content-Length": str(MAX_BODY + 1)}
    refused = ask("POST", "/echo", content=parts(), headers=announced)
    assert (refused.status_code, refused.headers["connection"]) == (413, "close")
    ignored = ask("GET", "/nothing", content=parts(), headers=announced)
    assert (ignored.status_code, ignored.headers["connection"]) == (404, "close")


def test_a_body_of_unknown_length_is_refused_when_it_grows_too_long() -> None:
    """A client that doesn't announce its length is stopped while it sends."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"x" * 10_000, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        inner = Starlette(routes=[Route("/echo", _echo, methods=["POST"])])
        await inner(scope, receive, send)

    scope = {
        "type": "http", "method": "POST", "path": "/echo", "raw_path": b"/echo", "query_string": b"",
        "headers": [(b"transfer-encoding", b"chunked")], "http_version": "1.1", "scheme": "http",
        "server": ("api", 80), "client": ("c", 1), "root_path": "",
    }  # fmt: skip
    anyio.run(Frame(app), scope, receive, send)
    assert sent[0]["status"] == 413


def test_a_crash_after_the_answer_began_ends_the_connection() -> None:
    """Half an answer must not look like a whole one."""

    async def parts() -> Any:
        yield b"[1,"
        raise RuntimeError("gone")

    async def half(_request: Request) -> Response:
        return StreamingResponse(parts())

    async def go() -> None:
        transport = httpx.ASGITransport(Frame(Starlette(routes=[Route("/half", half)])))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            await client.get("/half")

    with pytest.raises((RuntimeError, ExceptionGroup)):
        anyio.run(go)


async def _tagged(_request: Request) -> Response:
    return JSONResponse({"a": 1}, headers={"ETag": '"one"'})


def test_head_is_answered_as_get_is_without_a_body(ask: Ask) -> None:
    answer = ask("HEAD", "/echo")
    assert (answer.status_code, answer.text) == (200, "")
    assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("given", "status"), [('"one"', 304), ('W/"one"', 304), ("*", 304), ('"two"', 200), ('"two", "one"', 304)]
)
def test_what_the_client_has_already_is_not_sent_again(given: str, status: int) -> None:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(Frame(Starlette(routes=[Route("/it", _tagged)])))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get("/it", headers={"If-None-Match": given})

    answer = anyio.run(go)
    assert answer.status_code == status
    assert answer.text == ("" if status == 304 else '{"a":1}')
    assert answer.headers["etag"] == '"one"'
    assert answer.headers["x-request-id"]


def test_a_body_that_grows_too_long_before_the_routes_is_refused_too() -> None:
    """Those that stand between the frame and the routes read bodies, too."""

    async def reads(_scope: Any, receive: Callable[[], Awaitable[Any]], _send: Any) -> None:
        while True:
            await receive()

    async def go() -> httpx.Response:
        async def parts() -> Any:
            for _ in range(3):
                yield b"x" * (MAX_BODY // 2)

        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(Frame(reads)), base_url="http://api"
        ) as client:
            return await client.post("/v1/x", content=parts())

    answer = anyio.run(go)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
