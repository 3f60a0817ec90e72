"""What tests of comparisons ask of a copy, and plant in it."""

from typing import Any

from psycopg.rows import DictRow
from servers.systems.bench import Bench

from worker.engine.perform import carry_out


def verify(bench: Bench, stream: int, **scope: Any) -> DictRow:
    """What the comparison says."""
    run = bench.request(stream, "verify", **scope)
    carry_out(bench.services, run)
    outcome = bench.outcome(run)
    assert outcome["state"] == "succeeded", outcome
    row = bench.services.database.one("SELECT * FROM verifications WHERE run_id = %(run)s", {"run": run})
    assert row is not None
    return row


def counts(row: DictRow) -> tuple[int, int, int]:
    return row["missing"], row["extra"], row["different"]


def of_stream(bench: Bench, stream: int) -> DictRow:
    row = bench.services.database.one("SELECT * FROM streams WHERE id = %(s)s", {"s": stream})
    assert row is not None
    return row


def set_aside(bench: Bench, stream: int, raw: bytes, key: str = "7") -> None:
    bench.services.database.run(
        "INSERT INTO quarantine (stream_id, content_hash, key, code, reason, raw, run_id, page, last_seen_at)"
        " VALUES (%(s)s, gen_random_uuid(), %(key)s, 'bad_cursor', 'It was no time.', %(raw)s, gen_random_uuid(), 3,"
        " now() - interval '1 day')",
        {"s": stream, "raw": raw, "key": key},
    )
