"""How is the body of a request read?"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from starlette.exceptions import HTTPException

from scheduler.api.around import bodies
from scheduler.api.around.bodies import Body, Room
from scheduler.api.frame import Frame


async def read(body: Body) -> int:
    length, more = 0, True
    while more:
        message = await body.receive(answered=False)
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    return length


def coming(*pieces: bytes, length: int | None = None, ends: bool = True, room: Room | None = None) -> Body:
    """A body that comes in these pieces."""
    left = [
        {"type": "http.request", "body": piece, "more_body": not ends or number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]

    async def receive() -> Any:
        if left:
            return left.pop(0)
        await asyncio.Event().wait()
        return None

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Body({"type": "http", "headers": headers}, receive, room or Room())


def refused(body: Body) -> int:
    with pytest.raises(HTTPException) as caught:
        anyio.run(read, body)
    assert caught.value.headers == {"Connection": "close"}
    return caught.value.status_code


def test_bodies_that_come_in_pieces_take_room_until_they_are_done_with() -> None:
    room = Room(10)
    first = coming(b"1234", b"567", room=room)
    assert anyio.run(read, first) == 7
    assert room.taken == 7
    second = coming(b"1234", ends=False, room=room)
    assert refused(second) == 503
    second.end()
    first.end()
    first.end()
    assert room.taken == 0
    assert anyio.run(read, coming(b"12345", b"12345", room=room)) == 10


def test_what_comes_whole_needs_no_room() -> None:
    """So many who send much, or slowly, keep nobody out who sends little."""
    room = Room(10)
    assert room.take(10)
    assert anyio.run(read, coming(b"12345", room=room)) == 5
    assert refused(coming(b"12345", b"", room=room)) == 503


def test_the_room_of_one_that_is_refused_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "WITHIN", 0.01)
    room = Room()
    late = coming(b"12345", ends=False, room=room)
    assert refused(late) == 408
    assert room.taken == 5
    late.end()
    assert room.taken == 0


def test_after_the_body_a_client_may_wait_as_long_as_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is received then is that it went away."""
    monkeypatch.setattr(bodies, "WITHIN", 0.01)
    gone = asyncio.Event()
    left = [{"type": "http.request", "body": b"1", "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        if len(left) == 1:
            await gone.wait()
        return left.pop(0)

    async def go() -> str:
        body = Body({"type": "http", "headers": []}, receive, Room())
        await body.receive(answered=False)
        asyncio.get_running_loop().call_later(0.03, gone.set)
        message = await body.receive(answered=False)
        return str(message["type"])

    assert anyio.run(go) == "http.disconnect"


def test_whoever_finds_no_room_is_told_when_to_come_again_and_leaves_none_taken() -> None:
    room = Room(10)

    async def app(_scope: Any, receive: Callable[[], Awaitable[Any]], _send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"12345"

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(Frame(app, room=room))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.post("/webhooks/plant", content=pieces())

    answer = anyio.run(go)
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_bodies")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.headers["retry-after"], answer.headers["connection"]) == ("5", "close")
    assert room.taken == 0
