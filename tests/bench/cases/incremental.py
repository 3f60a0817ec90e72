"""What does an incremental sync take when 1 % of 200,000 records changed?

Both have loaded everything before and are warm: our worker process, and the bare loop in its own. Turn by turn, each after
changes of its own at the source. In the end our copy is compared with the source, byte for byte, and the bare loop's counts.
"""

from collections.abc import Iterator

from tests.bench.parts.bare import bare
from tests.bench.parts.line import Line, compared
from tests.bench.parts.servers import checkpoint, own_postgres, own_valkey, source
from tests.bench.parts.world import differences, world

RECORDS, SHORT = 200_000, 50_000
ROUNDS, SHORT_ROUNDS = 9, 5
NOTE = "the bare loop, warm; seconds of ours by the ledger, from the request of the run to its end"


def run(full: bool) -> Iterator[Line]:
    records = RECORDS if full else SHORT
    ours, theirs = [], []
    with (
        own_postgres() as postgres,
        own_valkey() as valkey,
        source(records) as data,
        world(postgres, valkey) as own,
        bare(data.url, own.database_url) as loop,
    ):
        own.add_connections(data.url, streams=["work_orders"], first_due=None, done=False)
        own.start_worker()
        own.sync()
        loop.sync()
        for number in range(ROUNDS if full else SHORT_ROUNDS):
            data.mutate(records // 100)
            checkpoint(own.database_url)
            if number % 2:
                ours.append(own.sync())
            found = loop.sync()
            theirs.append(found.seconds)
            if not number % 2:
                ours.append(own.sync())
            if found.written != records // 100:
                raise RuntimeError(f"The bare loop wrote {found.written:,} records.")
        if wrong := differences(own, data):
            raise RuntimeError(f"Our copy is not the source: {wrong}")
    yield compared(
        f"incremental: 1 % of {records:,} changed",
        ours,
        theirs,
        "s",
        target="<= 1.5 x",
        holds=lambda ratio: ratio <= 1.5,
        note=NOTE,
    )
