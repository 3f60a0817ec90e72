"""What system does the benchmark sync from? One that is so fast that it is never what is measured.

    GET /work_orders?limit=&cursor=&updated_since=&updated_until=   {"data": […], "total": …, "next_cursor": …, "next": …}
    GET /work_orders?limit=&offset=     the same rows by their place
    GET /work_orders?limit=&page=       the same rows by the number of the page, from 1 on
    GET /work_orders/<id>               one row, which has changed just now, each time
    GET /nothing                        an empty page, always

Both bounds are inclusive, as with most real systems. Any path may begin with `/at/<label>`: a connection's own name in
the log of arrivals, and the account that a rate limit is kept for. It is told what to do on `/control/<verb>`:

    /control/latency?ms=    every answer waits so long
    /control/limit?requests=&per=&headers=   429 with Retry-After beyond so many in a sliding window; 0 ends it
    /control/mutate?count=  change so many rows now          /control/reset    as at the start
    /control/stats          counts                           /control/arrivals when what was asked, and by whom
    /control/content        every row, to compare a copy with

Started by `servers.source`; says its port on the first line of its output.
"""

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl

import httptools
import uvloop

from tests.bench.parts.rows import Rows, normal

MOST = 5000
LINE = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
EMPTY = b'{"data":[],"total":0,"next_cursor":null,"next":null}'


@dataclass
class Limit:
    """So many in any window of `per` seconds, each label for itself."""

    requests: int = 0
    per: float = 1.0
    headers: bool = False
    taken: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def ask(self, label: str, now: float) -> tuple[float, int]:
        """Seconds until it may (0: it may, and is counted), and how many are left."""
        taken = self.taken[label]
        while taken and taken[0] <= now - self.per:
            taken.popleft()
        if len(taken) >= self.requests:
            return taken[0] + self.per - now, 0
        taken.append(now)
        return 0.0, self.requests - len(taken)


class Source:
    """The state of the whole process."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.latency = 0.0
        self.limit = Limit()
        self.arrivals: list[tuple[float, str, str, int]] = []
        self.bytes = 0
        self.records = 0

    def answer(self, label: str, path: str, query: str, host: str) -> list[bytes | memoryview]:
        """The parts of an answer to a client."""
        now = time.time()
        headers = b""
        if self.limit.requests:
            wait, left = self.limit.ask(label, now)
            if self.limit.headers:
                headers = _limit_headers(self.limit, left, wait)
            if wait:
                self.arrivals.append((now, label, path, 429))
                return _whole(
                    429, b'{"error":"too many"}', headers + b"Retry-After: %d\r\n" % (int(wait) + 1)
                )
        if path == "/nothing":
            self.arrivals.append((now, label, path, 200))
            return _whole(200, EMPTY, headers)
        if path.startswith("/work_orders/"):
            self.arrivals.append((now, label, path, 200))
            return _whole(200, self.rows.touched(path.rpartition("/")[2], datetime.now(UTC)), headers)
        if path != "/work_orders":
            return _whole(404, b'{"error":"no such path"}')
        self.arrivals.append((now, label, path, 200))
        try:
            return self._page(dict(parse_qsl(query)), f"http://{host}", label, headers)
        except (ValueError, KeyError):
            return _whole(400, b'{"error":"what is asked for can not be read"}')

    def _page(
        self, asked: Mapping[str, str], origin: str, label: str, headers: bytes
    ) -> list[bytes | memoryview]:
        limit = min(MOST, int(asked.get("limit", "100")))
        since, until = asked.get("updated_since"), asked.get("updated_until")
        first, last = self.rows.within(since and normal(since), until and normal(until))
        begin = first
        if "cursor" in asked:
            begin = max(first, self.rows.after(asked["cursor"]))
        elif "offset" in asked:
            begin = min(last, first + int(asked["offset"]))
        elif "page" in asked:
            begin = min(last, first + limit * (int(asked["page"]) - 1))
        end = min(begin + limit, last)
        data = self.rows.slice(begin, end)
        tail = b'],"total":%d,"next_cursor":null,"next":null}' % (last - first)
        if end < last:
            cursor = self.rows.cursor(end)
            kept = "".join(
                f"&{n}={normal(asked[n])}" for n in ("updated_since", "updated_until") if n in asked
            )
            path = f"{f'/at/{label}' if label else ''}/work_orders"
            link = f"{origin}{path}?limit={limit}&cursor={cursor}{kept}"
            tail = b'],"total":%d,"next_cursor":"%s","next":"%s"}' % (
                last - first,
                cursor.encode(),
                link.encode(),
            )
        size = 9 + len(data) + len(tail)
        self.bytes += size
        self.records += end - begin
        return [LINE % (200, b"OK", size, headers) + b'{"data":[', data, tail]

    def control(self, verb: str, asked: Mapping[str, str]) -> Any:
        """Do as told; what there is to say about it."""
        match verb:
            case "latency":
                self.latency = float(asked["ms"]) / 1000
            case "limit":
                self.limit = Limit(
                    int(asked["requests"]), float(asked.get("per", 1)), asked.get("headers") == "1"
                )
            case "mutate":
                self.rows.mutate(int(asked["count"]), datetime.now(UTC))
            case "reset":
                self.rows.reset()
                self.arrivals, self.bytes, self.records = [], 0, 0
            case "arrivals":
                found, self.arrivals = self.arrivals, ([] if asked.get("clear") == "1" else self.arrivals)
                return found
            case "content":
                return self.rows.content()
        return {
            "rows": len(self.rows),
            "changed": len(self.rows.changed),
            "requests": len(self.arrivals),
            "bytes": self.bytes,
            "records": self.records,
        }


def _whole(status: int, body: bytes, headers: bytes = b"") -> list[bytes | memoryview]:
    words = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 429: b"Too Many Requests"}
    return [LINE % (status, words[status], len(body), headers) + body]


def _limit_headers(limit: Limit, left: int, wait: float) -> bytes:
    reset = int(wait or limit.per) + 1
    return b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %d\r\nX-RateLimit-Reset: %d\r\n" % (
        limit.requests,
        left,
        reset,
    )


class Connection(asyncio.Protocol):
    """One client. Answers leave in the order in which they were asked for, as far as all wait equally long."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._url = b""
        self._host = "127.0.0.1"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"host":
            self._host = value.decode()

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode().partition("?")
        self._url = b""
        label = ""
        if path.startswith("/at/"):
            label, _, rest = path[4:].partition("/")
            path = f"/{rest}"
        if path.startswith("/control/"):
            body = json.dumps(self._source.control(path[9:], dict(parse_qsl(query)))).encode()
            self._write(_whole(200, body))
            return
        answer = self._source.answer(label, path, query, self._host)
        if self._source.latency:
            asyncio.get_running_loop().call_later(self._source.latency, self._write, answer)
        else:
            self._write(answer)

    def _write(self, parts: list[bytes | memoryview]) -> None:
        if not self._transport.is_closing():
            self._transport.writelines(parts)


async def serve(rows: Rows, port: int) -> None:
    """Serve until killed."""
    source = Source(rows)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(source), "127.0.0.1", port, backlog=512
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--records", type=int, default=200_000)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--while-stdin", action="store_true", help="end when whoever started it is gone")
    chosen = options.parse_args()
    if chosen.while_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    uvloop.run(serve(Rows(chosen.records, chosen.seed), chosen.port))


if __name__ == "__main__":
    main()
