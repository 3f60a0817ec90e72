"""What is the least that can be done about a webhook? The bare loop: receive it, check its signature, fetch the record, upsert
it, answer.

Starlette under uvicorn as our API has it, httpx and psycopg with a connection each that is kept, and a commit that waits for
the disk; no ledger, no fence, no limit, no log. What it is sent is lost if it dies. Started with a database's URL and the
source's; says its port on the first line of its output.
"""

import base64
import hmac
import json
import socket
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx
import psycopg
import uvicorn
import xxhash
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.bench.parts.hooked import SECRET

KEY = base64.b64decode(SECRET)
TABLE = """CREATE TABLE IF NOT EXISTS bare_hooks (
    key text PRIMARY KEY, raw json NOT NULL, content_hash uuid NOT NULL, version bigint NOT NULL,
    observed_at timestamptz NOT NULL DEFAULT now())"""
UPSERT = """INSERT INTO bare_hooks AS r (key, raw, content_hash, version) VALUES (%s, %s, %s, %s)
ON CONFLICT (key) DO UPDATE SET raw = excluded.raw, content_hash = excluded.content_hash, version = excluded.version,
       observed_at = now() WHERE r.content_hash IS DISTINCT FROM excluded.content_hash"""


class Loop:
    """One after the other."""

    def __init__(self, database: str, source: str) -> None:
        self._connection = psycopg.connect(database, autocommit=True)
        self._connection.execute(TABLE)
        self._client = httpx.Client(base_url=source, trust_env=False)
        self._lock = threading.Lock()

    def take(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Receive, check, fetch, upsert; False: the signature is another's."""
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.digest(KEY, signed, "sha256")
        if not hmac.compare_digest(headers["webhook-signature"], f"v1,{base64.b64encode(digest).decode()}"):
            return False
        key = str(json.loads(body)["data"]["id"])
        with self._lock:
            raw = self._client.get(f"/work_orders/{key}").content
            found = json.loads(raw)
            version = int(datetime.fromisoformat(found["updated_at"]).timestamp() * 1_000_000)
            self._connection.execute(UPSERT, (key, raw.decode(), xxhash.xxh3_128_hexdigest(raw), version))
        return True


def app(loop: Loop) -> Starlette:
    """One route."""

    async def hook(request: Request) -> Response:
        taken = await run_in_threadpool(loop.take, await request.body(), request.headers)
        return Response(status_code=204 if taken else 403)

    return Starlette(routes=[Route("/hook", hook, methods=["POST"])])


def main(arguments: list[str]) -> None:
    database, source = arguments
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port: Any = listening.getsockname()[1]
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    config = uvicorn.Config(app(Loop(database, source)), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1:])
