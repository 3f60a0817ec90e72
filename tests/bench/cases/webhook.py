"""How long does it take from a webhook to the row in the copy?

A webhook names a record, which is fetched from a source on this machine and upserted. Ours is sent, signed, to an API and is
done by a worker, both as users start them; the bare loop receives, checks the signature, fetches and upserts in one process,
and answers afterwards. Turn by turn, one after the other and then so many a second; both are watched by the same eye, which
looks for the row until it is there.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

import httpx
import psycopg

from tests.bench.parts.hooked import serve_hooked, signed
from tests.bench.parts.line import Line
from tests.bench.parts.servers import ROOT, Source, own_postgres, own_valkey, source
from tests.bench.parts.world import World, world

RATE = 20
"""A second, of which each concerns another record."""
PATIENCE = 30.0
_pause = threading.Event()
Tell = Callable[[int], None]


@dataclass
class Contender:
    """Who is told, and where its rows are."""

    tell: Tell
    query: str
    taken: list[float]


def run(full: bool) -> Iterator[Line]:
    rounds, each = (6, 60) if full else (2, 30)
    with (
        own_postgres() as postgres,
        own_valkey() as valkey,
        source(1000) as data,
        world(postgres, valkey) as own,
        _ours(own, data) as ours,
        _bare(own, data) as bare,
    ):
        number = 1
        for contender in (ours, bare):
            _one_by_one(own, contender, range(900, 920))
            contender.taken.clear()
        for _ in range(rounds):
            for contender in (ours, bare):
                _one_by_one(own, contender, range(number, number + each))
            number += each
        steady = [_steady(own, contender, full=full) for contender in (ours, bare)]
        yield _line("from a webhook to its row, the middle", ours.taken, bare.taken, median, "<= 2 x", 2.0)
        yield _worst("from a webhook to its row, 99 of 100", ours.taken, bare.taken)
        yield _worst(f"the same at {RATE} webhooks a second", *steady)


def _line(
    figure: str,
    mine: Sequence[float],
    theirs: Sequence[float],
    of: Callable[[Sequence[float]], float],
    target: str,
    most: float,
) -> Line:
    a, b = of(mine) * 1000, of(theirs) * 1000
    return Line(figure, a, b, "ms", target, a <= most * b, "baseline: receive, check, fetch, upsert")


def _worst(figure: str, mine: Sequence[float], theirs: Sequence[float]) -> Line:
    a, b = (quantiles(each, n=100)[98] * 1000 for each in (mine, theirs))
    return Line(figure, a, b, "ms", "<= 2 s", a <= 2000, "baseline: receive, check, fetch, upsert")


def _one_by_one(own: World, contender: Contender, numbers: Sequence[int]) -> None:
    with psycopg.connect(own.database_url, autocommit=True) as eye:
        for number in numbers:
            contender.taken.append(_taken(eye, contender, number))


def _taken(eye: "psycopg.Connection[tuple[object, ...]]", contender: Contender, number: int) -> float:
    """Seconds until the row is there, and newer than the webhook."""
    since, began = int(time.time() * 1_000_000), time.perf_counter()
    contender.tell(number)
    while True:
        row = eye.execute(contender.query, (str(number), since)).fetchone()
        if row is not None:
            return time.perf_counter() - began
        if time.perf_counter() - began > PATIENCE:
            raise RuntimeError(f"The row of webhook {number} is not there.")
        _pause.wait(0.0005)


def _steady(own: World, contender: Contender, *, full: bool) -> list[float]:
    """So many a second, whether those before are there or not."""
    found: list[float] = []

    def one(number: int) -> None:
        with psycopg.connect(own.database_url, autocommit=True) as eye:
            found.append(_taken(eye, contender, number))

    threads = []
    for number in range(RATE * (15 if full else 3)):
        threads.append(threading.Thread(target=one, args=(number,)))
        threads[-1].start()
        _pause.wait(1 / RATE)
    for thread in threads:
        thread.join()
    return found


@contextmanager
def _ours(own: World, data: Source) -> Iterator[Contender]:
    port, names = serve_hooked(own, data.url)
    own.start_worker()
    own.start_beat()
    stream = own.one("SELECT id, bucket FROM streams WHERE name = 'work_orders'")
    place = f"bucket = {stream['bucket']} AND stream_id = {stream['id']}"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

        def tell(number: int) -> None:
            _, headers, body = signed(number)
            client.post(f"/webhooks/{names[0]}", content=body, headers=headers).raise_for_status()

        yield Contender(tell, f"SELECT 1 FROM records WHERE {place} AND key = %s AND version >= %s", [])


@contextmanager
def _bare(own: World, data: Source) -> Iterator[Contender]:
    program = [sys.executable, "-m", "tests.bench.parts.hook_loop", own.database_url, data.url]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)

        def tell(number: int) -> None:
            _, headers, body = signed(number)
            client.post("/hook", content=body, headers=headers).raise_for_status()

        yield Contender(tell, "SELECT 1 FROM bare_hooks WHERE key = %s AND version >= %s", [])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
