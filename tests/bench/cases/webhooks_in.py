"""How many webhooks does one API take in, how long do they wait for their answer, and is any lost that was answered?

One `headrace serve` as users start it, on the machine that Postgres and the sender are on, too. Each webhook is signed
(Standard Webhooks), is another event, and names one of a thousand records of one of fifty connections. The bare loop
proves it, inserts a row and commits. Turn by turn, at the same rate; all that was answered with 2xx is looked for afterwards.
"""

import base64
import hmac
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from uuid import uuid4

import httpx

from tests.bench.parts.line import Line
from tests.bench.parts.servers import ROOT, own_postgres, own_valkey
from tests.bench.parts.storm import Storm, storm
from tests.bench.parts.world import World, world

RATE = 1000
"""A second."""
CONNECTIONS, RECORDS = 50, 1000
SECRET = base64.b64encode(b"k" * 32).decode()
MOST_MS = 100.0
"""For 99 of 100 answers."""
WEBHOOKS = {
    "verify": {"standard": {"secret": "webhook_secret"}},
    "id": {"header": "webhook-id"},
    "type": "type",
    "at": "timestamp",
    "events": [{"type": "work_order.*", "stream": "work_orders", "key": "data.id"}],
}
Lost = Callable[[Storm], int]


def run(full: bool) -> Iterator[Line]:
    rounds, seconds = (3, 60) if full else (1, 10)
    ours: list[Storm] = []
    bare: list[Storm] = []
    lost = theirs = 0
    with (
        own_postgres() as postgres,
        own_valkey() as valkey,
        world(postgres, valkey) as own,
        _serving(own) as (port, names),
        _bare(own) as bare_port,
    ):
        for at in (port, bare_port):
            storm(at, partial(request, names), rate=RATE // 2, seconds=3)
        for _ in range(rounds):
            ours.append(storm(port, partial(request, names), rate=RATE, seconds=seconds))
            lost += _lost(own, "events WHERE event_key", ours[-1])
            bare.append(storm(bare_port, partial(request, names), rate=RATE, seconds=seconds))
            theirs += _lost(own, "bare_events WHERE event_key", bare[-1])
    yield _waits("a webhook's answer, the middle", ours, bare, 50, seconds)
    yield _waits("a webhook's answer, 99 of 100", ours, bare, 99, seconds, most=MOST_MS)
    yield Line("webhooks answered with 2xx and lost", lost, theirs, "", "0", lost == 0)
    others, bad = (sum(each.others for each in found) for found in (ours, bare))
    yield Line("webhooks not taken", others, bad, "", "0", others == 0, f"of {rounds * seconds * RATE:,}")


def request(names: list[str], number: int) -> tuple[str, bytes]:
    """A webhook as the wire has it."""
    name, moment = f"msg_{uuid4().hex}", str(int(time.time()))
    told = {
        "type": "work_order.updated",
        "timestamp": "2026-01-01T00:00:00Z",
        "data": {"id": number % RECORDS},
    }
    body = json.dumps(told).encode()
    digest = hmac.digest(base64.b64decode(SECRET), f"{name}.{moment}.".encode() + body, "sha256")
    head = (
        f"POST /webhooks/{names[number % len(names)]} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"user-agent: bench\r\nwebhook-id: {name}\r\nwebhook-timestamp: {moment}\r\n"
        f"webhook-signature: v1,{base64.b64encode(digest).decode()}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return name, head.encode() + body


def _waits(
    figure: str,
    ours: list[Storm],
    bare: list[Storm],
    percent: int,
    seconds: int,
    *,
    most: float | None = None,
) -> Line:
    mine, theirs = (tuple(each.p(percent) for each in found) for found in (ours, bare))
    met = None if most is None else median(mine) <= most
    target = "" if most is None else f"<= {most:.0f} ms"
    words = f"{RATE:,} a second for {seconds} s; baseline: prove, insert, commit"
    return Line(figure, median(mine), median(theirs), "ms", target, met, words, mine, theirs)


def _lost(own: World, place: str, found: Storm) -> int:
    row = own.one(f"SELECT count(*) AS n FROM {place} = ANY (%(keys)s)", keys=list(found.taken))
    return len(found.taken) - int(row["n"])


@contextmanager
def _serving(own: World) -> Iterator[tuple[int, list[str]]]:
    """An API, and the connections whose webhooks it takes."""
    secrets = {"webhook_secret": {"required": False, "description": "What signs its webhooks."}}
    own.add_system("hooked", secrets=secrets, webhooks=WEBHOOKS)
    own.add_connections(
        "http://127.0.0.1:1", system="hooked", count=CONNECTIONS, streams=["work_orders"], first_due=None
    )
    (secret := own.home / "webhook-secret").write_text(f"whsec_{SECRET}")
    own.database.run(
        "UPDATE connections SET secrets = jsonb_build_object('webhook_secret', %(secret)s::text)",
        {"secret": f"file://{secret}"},
    )
    own.start("api", "serve", port=(port := _free_port()))
    own.wait(lambda: _answers(port), 30, what="API")
    names = own.database.all("SELECT name FROM connections WHERE system = 'hooked' ORDER BY id")
    yield port, [row["name"] for row in names]


@contextmanager
def _bare(own: World) -> Iterator[int]:
    program = [sys.executable, "-m", "tests.bench.parts.hook_insert", own.database_url, SECRET, "3"]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
