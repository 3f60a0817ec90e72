"""What is the least that can be done to take a webhook in? The bare loop: prove it, insert a row, commit, answer.

Starlette under uvicorn as our API has it, and a few connections to Postgres that are kept; a commit for each webhook. No
duplicate is noticed, no run is asked for, nothing is logged. Started with a database's URL, the secret and how many
connections; says its port on the first line of its output.
"""

import asyncio
import base64
import hmac
import json
import socket
import sys
from typing import Any

import psycopg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TABLE = """CREATE TABLE IF NOT EXISTS bare_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_key text NOT NULL, key text NOT NULL, body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now())"""
INSERT = "INSERT INTO bare_events (event_key, key, body) VALUES (%s, %s, %s)"


class Taker:
    """One row, one commit, one answer."""

    def __init__(self, database: str, secret: bytes, connections: int) -> None:
        self._database = database
        self._secret = secret
        self._many = connections
        self._free: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
        self._opening = asyncio.Lock()

    async def take(self, request: Request) -> Response:
        body, named = await request.body(), request.headers
        signed = f"{named['webhook-id']}.{named['webhook-timestamp']}.".encode() + body
        right = b"v1," + base64.b64encode(hmac.digest(self._secret, signed, "sha256"))
        if not hmac.compare_digest(right, named["webhook-signature"].encode()):
            return Response(status_code=403)
        await self._open()
        connection = await self._free.get()
        try:
            await connection.execute(INSERT, (named["webhook-id"], str(json.loads(body)["data"]["id"]), body))
        finally:
            self._free.put_nowait(connection)
        return Response(status_code=204)

    async def _open(self) -> None:
        async with self._opening:
            while self._many:
                self._many -= 1
                self._free.put_nowait(await psycopg.AsyncConnection.connect(self._database, autocommit=True))


def main(arguments: list[str]) -> None:
    database, secret, connections = arguments
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLE)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    taker = Taker(database, base64.b64decode(secret), int(connections))
    app = Starlette(routes=[Route("/webhooks/{name}", taker.take, methods=["POST"])])
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1:])
