"""How fast is a page read, beside a bare msgspec decode of the same bytes in the same run?

    python tests/bench/reader.py [RECORDS] [ROUNDS]

Prints records per second of both, and their ratio. The bare decode slices the page and takes key and time of each
record, which nothing that keeps raw bytes can do without.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime

import msgspec

from worker.connectors.reading.reader import Reader
from worker.connectors.reading.shape import DeletedMark, Shape, TimeField

UPDATED = TimeField((("updated_at",),))
SHAPE = Shape(
    records=("data",),
    key=(("id",),),
    cursor=UPDATED,
    updated_at=UPDATED,
    version=("updated_at",),
    deleted=DeletedMark(("deleted_at",)),
)


class BareRecord(msgspec.Struct, gc=False):
    id: int
    updated_at: datetime


class BarePage(msgspec.Struct):
    data: list[msgspec.Raw]


def page(count: int) -> bytes:
    """About 1 kB a record, like a work order."""
    records = [
        {
            "id": number,
            "number": f"WO-{number:06}",
            "title": "Replace the bearing of conveyor drive " + "x" * 120,
            "description": "It is loud. " * 40,
            "status": "open",
            "lines": [{"part_id": line, "quantity": line * 2, "note": "as needed"} for line in range(4)],
            "created_at": "2026-01-01T08:00:00Z",
            "updated_at": f"2026-01-{number % 28 + 1:02}T08:00:00.{number % 1_000_000:06}Z",
            "deleted_at": None,
        }
        for number in range(count)
    ]
    return json.dumps({"data": records, "next_cursor": "abc", "total": count}).encode()


def rate(read: Callable[[bytes], object], body: bytes, count: int, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        read(body)
        best = min(best, time.perf_counter() - start)
    return count / best


def main() -> None:
    count, rounds = (int(text) for text in (*sys.argv[1:3], "500", "200")[:2])
    body = page(count)
    decode_page, decode = msgspec.json.Decoder(BarePage).decode, msgspec.json.Decoder(BareRecord).decode

    def bare(body: bytes) -> object:
        return [(decode(raw), bytes(raw)) for raw in decode_page(body).data]

    ours = rate(Reader(SHAPE, ("next_cursor",)).read, body, count, rounds)
    limit = rate(bare, body, count, rounds)
    size = len(body) / count
    sys.stdout.write(
        f"{count} records of {size:.0f} bytes: {ours:,.0f}/s, bare msgspec {limit:,.0f}/s, {limit / ours:.2f} times\n"
    )


if __name__ == "__main__":
    main()
