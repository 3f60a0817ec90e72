"""What can't be read as HTTP is refused as everything else is."""

import asyncio
import json

import pytest
import uvicorn
from starlette.responses import Response
from uvicorn.server import ServerState

from scheduler.api.around.protocol import Protocol


async def _answer(sent: bytes) -> bytes:
    config = uvicorn.Config(Response("read"), http=Protocol, lifespan="off", log_config=None)
    config.load()
    loop, state = asyncio.get_running_loop(), ServerState()
    server = await loop.create_server(
        lambda: Protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/runs/" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    ],
    ids=["no request", "a long address", "no length"],
)
def test_what_is_no_request_is_answered_with_a_problem(sent: bytes) -> None:
    head, _, body = asyncio.run(_answer(sent)).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 400 Bad Request"
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    said = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["content-length"]) == len(body)
    assert (said["code"], said["status"]) == ("bad_request", 400)
    assert said["request_id"] == headers["x-request-id"]


def test_what_is_one_is_served() -> None:
    answer = asyncio.run(_answer(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 200")
