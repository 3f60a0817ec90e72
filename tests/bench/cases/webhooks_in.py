"""How many webhooks does one API take in, how long do they wait for their answer, and is any lost that was answered?

One `headrace serve` as users start it, on the machine that Postgres and the sender are on, too. Each webhook is signed
(Standard Webhooks), is another event, and names one of a thousand records of one of fifty connections. The bare loop
proves it, inserts a row and commits. Turn by turn, at the same rate; all that was answered with 2xx is looked for afterwards.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median

from tests.bench.parts.hooked import SECRET, serve_hooked, signed
from tests.bench.parts.line import Line
from tests.bench.parts.servers import ROOT, own_postgres, own_valkey
from tests.bench.parts.storm import Storm, storm
from tests.bench.parts.world import World, world

RATE = 1000
"""A second."""
TOO_MANY = 4000
"""A second: more than one process takes, so what it answers in a second is what it can."""
CONNECTIONS = 50
MOST_MS = 100.0
"""For 99 of 100 answers."""
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
        _bare(own) as bare_port,
    ):
        port, names = serve_hooked(own, "http://127.0.0.1:1", connections=CONNECTIONS)
        for at in (port, bare_port):
            storm(at, partial(request, names), rate=RATE // 2, seconds=3)
        for _ in range(rounds):
            ours.append(storm(port, partial(request, names), rate=RATE, seconds=seconds))
            lost += _lost(own, "events WHERE event_key", ours[-1])
            bare.append(storm(bare_port, partial(request, names), rate=RATE, seconds=seconds))
            theirs += _lost(own, "bare_events WHERE event_key", bare[-1])
        most = [storm(at, partial(request, names), rate=TOO_MANY, seconds=3) for at in (port, bare_port)]
        lost += _lost(own, "events WHERE event_key", most[0])
    yield _waits("a webhook's answer, the middle", ours, bare, 50, seconds)
    yield _waits("a webhook's answer, 99 of 100", ours, bare, 99, seconds, most=MOST_MS)
    yield Line("webhooks answered with 2xx and lost", lost, theirs, "", "0", lost == 0)
    others, bad = (sum(each.others for each in found) for found in (ours, bare))
    yield Line("webhooks not taken", others, bad, "", "0", others == 0, f"of {rounds * seconds * RATE:,}")
    rate, bare_rate = (len(each.waits) / each.seconds for each in most)
    yield Line(
        "webhooks taken in, as fast as it goes",
        rate,
        bare_rate,
        "/s",
        "",
        None,
        f"{TOO_MANY:,} a second for 3 s are sent",
    )


def request(names: list[str], number: int) -> tuple[str, bytes]:
    """A webhook as the wire has it."""
    name, headers, body = signed(number)
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    head = (
        f"POST /webhooks/{names[number % len(names)]} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench\r\n{lines}"
        f"content-length: {len(body)}\r\n\r\n"
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
