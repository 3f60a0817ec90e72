"""How long does a first load take from a source that answers after 50 ms?

Where a page names the next one, requests can't overlap: as fast as the bare loop that fetches ahead is all there is to
reach. Where pages have offsets or numbers, they are asked for side by side, and the bare loop asks one by one. Real runs in
a worker as users start it, turn by turn with the bare loop; each copy is compared with the source, byte for byte.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.bench.parts.bare import bare
from tests.bench.parts.line import Line, compared
from tests.bench.parts.servers import Source, own_postgres, own_valkey, source
from tests.bench.parts.synced import SyncProcess
from tests.bench.parts.world import World, differences, world

LATENCY_MS = 50.0
RECORDS = 20_000
"""40 pages."""
ROUNDS, SHORT_ROUNDS = 5, 2
CHAINED, SIDE_BY_SIDE = ("work_orders", "by_link"), ("by_offset", "by_page")
WORDS = {
    "work_orders": "a cursor",
    "by_link": "a next link",
    "by_offset": "offsets",
    "by_page": "page numbers",
}


@dataclass
class Taken:
    """Seconds of each contender's loads."""

    ours: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in WORDS})
    ahead: list[float] = field(default_factory=list)
    serial: list[float] = field(default_factory=list)


def run(full: bool) -> Iterator[Line]:
    taken = Taken()
    with own_postgres() as postgres, own_valkey() as valkey, source(RECORDS, LATENCY_MS) as data:
        for _ in range(ROUNDS if full else SHORT_ROUNDS):
            with world(postgres, valkey) as own:
                _round(own, data, taken)
    for name in CHAINED:
        yield compared(
            _figure(name),
            taken.ours[name],
            taken.ahead,
            "s",
            target="<= 1.1 x",
            holds=lambda ratio: ratio <= 1.1,
            note="the bare loop, which fetches ahead",
        )
    for name in SIDE_BY_SIDE:
        yield compared(
            _figure(name),
            taken.ours[name],
            taken.serial,
            "s",
            target="<= 1/5",
            holds=lambda ratio: ratio <= 0.2,
            note="the bare loop, one page after the other",
        )


def _figure(name: str) -> str:
    return f"first load of {RECORDS:,} records at {LATENCY_MS:.0f} ms a page, {WORDS[name]}"


def _round(own: World, data: Source, taken: Taken) -> None:
    own.start_worker()
    with ExitStack() as stack:
        loops = {
            serial: stack.enter_context(
                bare(data.url, own.database_url, table=f"rows_{serial}".lower(), serial=serial)
            )
            for serial in (False, True)
        }
        taken.ahead.append(_bare(loops[False]))
        taken.serial.append(_bare(loops[True]))
    for name in WORDS:
        own.add_connections(data.url, streams=[name], first_due=None, done=False)
        taken.ours[name].append(own.sync(name))
        if found := differences(own, data, name):
            raise RuntimeError(f"Our copy of {name} is not the source: {found}")


def _bare(loop: SyncProcess) -> float:
    synced = loop.sync()
    if synced.written != RECORDS:
        raise RuntimeError(f"The bare loop wrote {synced.written:,} records.")
    return synced.seconds
