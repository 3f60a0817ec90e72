"""How fast is a page read, beside a bare msgspec decode of the same bytes in the same run?

The bare decode slices the page and takes key and time of each record, which nothing that keeps raw bytes can do without.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from tests.bench.parts.line import Line
from worker.connectors.reading.reader import Reader
from worker.connectors.reading.shape import DeletedMark, Shape, TimeField

RECORDS = 500
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


def run(full: bool) -> Iterator[Line]:
    body = page(RECORDS)
    decode_page, decode = msgspec.json.Decoder(BarePage).decode, msgspec.json.Decoder(BareRecord).decode

    def bare(body: bytes) -> list[bytes]:
        return [(decode(raw), bytes(raw))[1] for raw in decode_page(body).data]

    reader = Reader(SHAPE, ("next_cursor",))
    if [record.raw for record in reader.read(body).records] != bare(body):
        raise RuntimeError("The reader doesn't hand out the records as they came.")
    ours, limit = (rate(read, body, RECORDS, 200 if full else 60) for read in (reader.read, bare))
    yield Line(
        f"read a page of {RECORDS}", ours, limit, "records/s", "", None, "bare msgspec: slices, key and time"
    )
