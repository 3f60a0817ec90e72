"""How do other tools do on the same source and the same Postgres? First loads of 200,000 records, and 1 % changed.

Every tool runs warm in its process, imports behind it, as our worker does; Singer alone is started for each sync, because
that is how it is run. Every copy is counted in the end, ours is compared byte for byte.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.bench import peers
from tests.bench.parts.line import Line, compared
from tests.bench.parts.servers import Source, checkpoint, fresh_database, own_postgres, own_valkey, source
from tests.bench.parts.synced import sync_process
from tests.bench.parts.world import differences, world

FULL_ONLY = True
RECORDS, CHANGED = 200_000, 2_000
FAST_LOADS, ROUNDS = 3, 5
PROGRAMS = Path(__file__).parents[1] / "peers" / "programs"


@dataclass(frozen=True)
class Contender:
    """Who takes part: the targets that ours shall reach against it, and how its process is started."""

    name: str
    first_load: float = 0.0
    incremental: float = 0.0
    program: Callable[[str, str], list[str | Path]] | None = None
    loads: int = 1
    loaded: list[float] = field(default_factory=list)
    synced: list[float] = field(default_factory=list)


def contenders() -> list[Contender]:
    """Ours first."""

    def singer(mode: str) -> Callable[[str, str], list[str | Path]]:
        tap, target = peers.python("tap"), peers.python("target")
        return lambda url, home: [sys.executable, PROGRAMS / "singer_sync.py", mode, tap, target, url, home]

    def dlt(mode: str) -> Callable[[str, str], list[str | Path]]:
        return lambda url, home: [peers.python("dlt"), PROGRAMS / "dlt_sync.py", mode, url, home]

    def airbyte(url: str, home: str) -> list[str | Path]:
        return [peers.python("airbyte"), PROGRAMS / "airbyte_sync.py", url, home]

    return [
        Contender("ours", loads=FAST_LOADS),
        Contender("dlt, fastest", 1.6, 3.0, dlt("fastest"), loads=FAST_LOADS),
        Contender("dlt, default", 12.0, program=dlt("default")),
        Contender("Singer, default", 12.0, program=singer("default")),
        Contender("Singer, COPY", program=singer("copy")),
        Contender("PyAirbyte", 20.0, program=airbyte),
    ]


def run(full: bool) -> Iterator[Line]:
    del full
    with own_postgres() as postgres, own_valkey() as valkey, source(RECORDS) as data:
        taking_part = contenders()
        for number in range(FAST_LOADS):
            with ExitStack() as stack:
                last = number == FAST_LOADS - 1
                syncs = {}
                for each in taking_part:
                    if each.loads > 1 or last:
                        sync, check = _open(stack, each, postgres, valkey, data)
                        checkpoint(postgres)
                        each.loaded.append(sync())
                        check()
                        syncs[each.name] = sync, check
                if last:
                    yield from _first_loads(taking_part)
                    _incremental(taking_part, syncs, data, postgres)
                    yield from _incrementals(taking_part)


def _open(
    stack: ExitStack, each: Contender, postgres: str, valkey: str, data: Source
) -> tuple[Callable[[], float], Callable[[], None]]:
    """A contender that has synced nothing yet: how it syncs, and how its copy is checked."""
    if each.program is None:
        own = stack.enter_context(world(postgres, valkey))
        own.add_connections(data.url, streams=["work_orders"], first_due=None, done=False)
        own.start_worker()

        def check_ours() -> None:
            if found := differences(own, data):
                raise RuntimeError(f"Our copy is not the source: {found}")

        return own.sync, check_ours
    url = stack.enter_context(fresh_database(postgres, "peer"))
    home = stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-"))
    process = stack.enter_context(sync_process(each.program(data.url, home), url))
    return lambda: process.sync().seconds, lambda: _check(each, url, data)


def _check(each: Contender, url: str, data: Source) -> None:
    stats = data.stats()
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE status = 'changed') FROM peer.work_orders"
        ).fetchone()
    if row != (stats["rows"], stats["changed"]):
        raise RuntimeError(f"The copy of {each.name} is not the source: {row} of {stats}")


def _incremental(
    taking_part: list[Contender],
    syncs: dict[str, tuple[Callable[[], float], Callable[[], None]]],
    data: Source,
    postgres: str,
) -> None:
    """In turns, each on a server that has put away what the one before wrote."""
    for number in range(ROUNDS):
        data.mutate(CHANGED)
        turn = number % len(taking_part)
        for each in taking_part[turn:] + taking_part[:turn]:
            sync, _ = syncs[each.name]
            checkpoint(postgres)
            each.synced.append(sync())
    for _, check in syncs.values():
        check()


def _first_loads(taking_part: list[Contender]) -> Iterator[Line]:
    ours, *others = taking_part
    for each in others:
        yield _faster(f"first load of {RECORDS:,}", each.name, ours.loaded, each.loaded, each.first_load)


def _incrementals(taking_part: list[Contender]) -> Iterator[Line]:
    ours, *others = taking_part
    for each in others:
        figure = f"incremental, {CHANGED:,} of {RECORDS:,} changed"
        yield _faster(figure, each.name, ours.synced, each.synced, each.incremental)


def _faster(figure: str, name: str, ours: list[float], theirs: list[float], times: float) -> Line:
    return compared(
        f"{figure}, against {name}",
        ours,
        theirs,
        "s",
        target=f">= {times:g} x faster" if times else "",
        holds=(lambda ratio: 1 / ratio >= times) if times else None,
        note=f"{name}, warm" if not name.startswith("Singer") else f"{name}, started for each sync",
    )
