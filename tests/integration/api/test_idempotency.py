"""A POST with an Idempotency-Key does its work once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scheduler.access.principal import Principal, Scope
from scheduler.access.repeats.keys import KEEP_DAYS, Keys, prune_keys
from scheduler.access.tokens import make_token
from scheduler.api.around.idempotency import Idempotency, keep_no_answer
from scheduler.api.frame import Frame
from worker.db.database import Database

KEY = {"Idempotency-Key": "order-17"}
Do = Callable[[Request], Awaitable[Response]]


class Door:
    """One route behind the keys, and how often it did its work."""

    def __init__(self, database: Database, *, lease: float = 30.0) -> None:
        self.database = database
        self.done = 0
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.answer: Do = self._made
        routes = [Route(path, self._do, methods=["GET", "POST"]) for path in ("/v1/things", "/v1/others")]
        inner = Idempotency(Starlette(routes=routes), keys=Keys(database, lease=lease))

        async def known(scope: Any, receive: Any, send: Any) -> None:
            token = UUID(dict(scope["headers"])[b"token"].decode())
            scope["state"]["principal"] = Principal(token, "somebody", "live", frozenset({Scope.SYNC}))
            await inner(scope, receive, send)

        self._app = Frame(known)

    async def _do(self, request: Request) -> Response:
        await request.body()
        self.done += 1
        return await self.answer(request)

    async def _made(self, request: Request) -> Response:
        text = (await request.body()).decode()
        return JSONResponse({"number": self.done, "text": text}, 201, {"Location": f"/v1/things/{self.done}"})

    async def ask(
        self, path: str = "/v1/things", *, token: int = 1, method: str = "POST", **more: Any
    ) -> httpx.Response:
        headers = {**more.pop("headers", KEY), "token": str(UUID(int=token))}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app), base_url="http://api"
        ) as client:
            return await client.request(method, path, headers=headers, **more)


def test_the_same_request_is_answered_the_same_and_done_once(database: Database) -> None:
    door = Door(database)

    async def twice() -> list[httpx.Response]:
        return [await door.ask(content=b"x") for _ in range(2)]

    first, second = asyncio.run(twice())
    assert door.done == 1
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first.headers["location"] == second.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/things", {"content": b"y"}),
        ("/v1/others", {"content": b"x"}),
        ("/v1/things?a=1", {"content": b"x"}),
    ],
)
def test_another_request_with_that_key_is_an_error(database: Database, path: str, more: Any) -> None:
    door = Door(database)

    async def both() -> httpx.Response:
        await door.ask(content=b"x")
        return await door.ask(path, **more)

    answer = asyncio.run(both())
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert door.done == 1


def test_each_token_has_keys_of_its_own(database: Database) -> None:
    door = Door(database)

    async def both() -> None:
        await door.ask(content=b"x")
        await door.ask(content=b"y", token=2)

    asyncio.run(both())
    assert door.done == 2


def test_while_it_is_worked_on_the_same_request_waits_outside(database: Database) -> None:
    door = Door(database)

    async def slowly(request: Request) -> Response:
        door.began.set()
        await door.go_on.wait()
        return await door._made(request)

    async def both() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        door.answer = slowly
        first = asyncio.create_task(door.ask(content=b"x"))
        await door.began.wait()
        meanwhile = await door.ask(content=b"x")
        door.go_on.set()
        return await first, meanwhile, await door.ask(content=b"x")

    first, meanwhile, after = asyncio.run(both())
    assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "idempotency_in_flight")
    assert 1 <= int(meanwhile.headers["retry-after"]) <= 5
    assert after.content == first.content
    assert door.done == 1


def test_many_at_once_do_it_once(database: Database) -> None:
    door = Door(database)

    async def all_at_once() -> list[httpx.Response]:
        return await asyncio.gather(*(door.ask(content=b"x") for _ in range(12)))

    answers = asyncio.run(all_at_once())
    assert door.done == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1


def test_whoever_died_over_it_leaves_the_key_to_the_same_request_after_a_while(database: Database) -> None:
    door = Door(database)

    async def again() -> tuple[httpx.Response, httpx.Response]:
        await door.ask(content=b"x")
        database.run("UPDATE idempotency_keys SET done_at = NULL, body = NULL, lease_until = now()")
        other = await door.ask(content=b"y")
        return other, await door.ask(content=b"x")

    other, answer = asyncio.run(again())
    assert other.status_code == 422, "the dead request may have done its work: the key stays with it"
    assert answer.status_code == 201
    assert door.done == 2


def test_whoever_was_taken_for_dead_can_not_answer_for_its_successor(database: Database) -> None:
    keys = Keys(database, lease=0.0)
    first = keys.claim(UUID(int=1), "k", b"r")
    second = keys.claim(UUID(int=1), "k", b"r")
    assert (first.number, second.number) == (1, 2)  # type: ignore[union-attr]
    keys.release(first)  # type: ignore[arg-type]
    row = database.one("SELECT claim_no, done_at FROM idempotency_keys")
    assert row == {"claim_no": 2, "done_at": None}


def test_a_lease_is_renewed_for_as_long_as_the_work_takes(database: Database) -> None:
    door = Door(database, lease=0.3)

    async def slowly(request: Request) -> Response:
        door.began.set()
        await door.go_on.wait()
        return await door._made(request)

    async def both() -> httpx.Response:
        door.answer = slowly
        first = asyncio.create_task(door.ask(content=b"x"))
        await door.began.wait()
        began = database.one("SELECT lease_until FROM idempotency_keys")
        for _ in range(500):
            if database.one("SELECT lease_until FROM idempotency_keys") != began:
                break
            await asyncio.sleep(0.02)
        meanwhile = await door.ask(content=b"x")
        door.go_on.set()
        await first
        return meanwhile

    assert asyncio.run(both()).status_code == 409
    assert door.done == 1


@pytest.mark.parametrize("status", [400, 403, 409, 422, 429, 500, 503])
def test_of_what_was_refused_the_key_may_be_tried_again_with_what_was_wrong_put_right(
    database: Database, status: int
) -> None:
    door = Door(database)

    async def refuse(_request: Request) -> Response:
        return JSONResponse({}, status)

    async def both() -> httpx.Response:
        door.answer = refuse
        await door.ask(content=b"wrong")
        door.answer = door._made
        return await door.ask(content=b"right")

    assert asyncio.run(both()).status_code == 201


def test_after_a_crash_of_the_route_the_key_is_free(database: Database) -> None:
    door = Door(database)

    async def crash(_request: Request) -> Response:
        raise RuntimeError("gone")

    async def both() -> list[int]:
        door.answer = crash
        first = await door.ask(content=b"x")
        door.answer = door._made
        return [first.status_code, (await door.ask(content=b"x")).status_code]

    assert asyncio.run(both()) == [500, 201]


@pytest.mark.parametrize("how", ["said", "a token", "a cookie"])
def test_an_answer_with_a_secret_is_kept_nowhere(database: Database, how: str) -> None:
    door, token = Door(database), make_token("live")

    async def secret(request: Request) -> Response:
        if how == "said":
            keep_no_answer(request)
            return JSONResponse({"url": "https://example.com/hunter2"}, 201, {"Location": "/v1/things/1"})
        if how == "a token":
            return JSONResponse({"token": token}, 201, {"Location": "/v1/things/1"})
        return JSONResponse({}, 201, {"Set-Cookie": "session=hunter2", "Location": "/v1/things/1"})

    async def twice() -> list[httpx.Response]:
        door.answer = secret
        return [await door.ask(content=b"x") for _ in range(2)]

    first, second = asyncio.run(twice())
    kept = str(database.all("SELECT * FROM idempotency_keys"))
    assert "hunter2" not in kept
    assert token not in kept
    assert first.status_code == 201
    assert (second.status_code, second.json()["code"]) == (409, "answer_shown_once")
    assert second.headers["location"] == "/v1/things/1"
    assert door.done == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ä".encode().decode("latin-1")])
def test_what_can_be_no_key_is_refused(database: Database, key: str) -> None:
    door = Door(database)
    answer = asyncio.run(door.ask(headers={"Idempotency-Key": key.encode("latin-1")}))
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_idempotency_key")
    assert door.done == 0


@pytest.mark.parametrize(("method", "headers"), [("GET", KEY), ("POST", {})])
def test_without_a_key_and_for_what_changes_nothing_all_is_as_ever(
    database: Database, method: str, headers: Any
) -> None:
    door = Door(database)

    async def twice() -> None:
        for _ in range(2):
            await door.ask(method=method, headers=headers)

    asyncio.run(twice())
    assert door.done == 2
    assert database.all("SELECT FROM idempotency_keys") == []


def test_keys_are_forgotten_after_a_week(database: Database) -> None:
    door = Door(database)

    async def old() -> None:
        await door.ask(content=b"x")
        database.run("UPDATE idempotency_keys SET created_at = now() - interval '7 days 1 second'")
        await door.ask(content=b"y")

    asyncio.run(old())
    assert door.done == 2, "one that is older than a week is as good as gone"
    database.run("UPDATE idempotency_keys SET created_at = now() - interval '7 days 1 second'")
    assert prune_keys(database, KEEP_DAYS, 10) == 1
