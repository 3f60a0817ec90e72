"""Does the benchmark itself work? A load, a change and an idle run of a few records, beside the bare loop; no target."""

from collections.abc import Iterator

from tests.bench.parts.bare import bare
from tests.bench.parts.line import Line
from tests.bench.parts.servers import own_postgres, own_valkey, source
from tests.bench.parts.world import differences, world

RECORDS, CHANGED = 2_000, 20


def run(full: bool) -> Iterator[Line]:
    del full
    with (
        own_postgres() as postgres,
        own_valkey() as valkey,
        source(RECORDS) as data,
        world(postgres, valkey) as own,
        bare(data.url, own.database_url) as loop,
    ):
        own.add_connections(data.url, streams=["work_orders"], first_due=None, done=False)
        own.start_worker(processes=1, bulk_processes=1)
        note = "the bare loop; so few records say nothing about speed"
        figure = f"smoke: first load of {RECORDS:,}"
        yield Line(figure, own.sync(), loop.sync().seconds, "s", "", None, note)
        data.mutate(CHANGED)
        figure = f"smoke: {CHANGED} of {RECORDS:,} changed"
        yield Line(figure, own.sync(), loop.sync().seconds, "s", "", None, note)
        if found := differences(own, data):
            raise RuntimeError(f"Our copy is not the source: {found}")
