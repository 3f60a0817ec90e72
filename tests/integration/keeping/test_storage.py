"""What each stream takes is told: exactly where it is little, from a sample where it is much."""

from types import SimpleNamespace

import pytest
from servers.rows.ledger import LEASE, NEXT, Ledger, record

from scheduler.beat.upkeep.retention import Pruning
from scheduler.keeping.storage import Disk, Room, keep_sample, look_at_room, read_storage
from worker.connectors.contract import Page, Rejected
from worker.engine.keep.versions import Versions
from worker.engine.loading.load import Loader, Observed

pytestmark = pytest.mark.integration


def fill(ledger: Ledger, stream: int, count: int, length: int) -> None:
    ledger.database.run(
        "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, cause_kind, cause_id,"
        " change_kind) SELECT 1, %(s)s, n::text, to_json(repeat(md5(n::text), %(l)s / 32)), gen_random_uuid(), now(), now(),"
        " 'run', gen_random_uuid(), 'created' FROM generate_series(1, %(n)s) n",
        {"s": stream, "n": count, "l": length},
    )


def test_each_stream_is_told_its_rows_and_its_share_of_the_bytes(ledger: Ledger) -> None:
    fill(ledger, ledger.stream, 300, 640)
    fill(ledger, ledger.other, 100, 640)
    first, second = sorted(read_storage(ledger.database), key=lambda each: -each.records.rows)
    assert (first.stream, first.records.rows, first.records.exact) == ("work_orders", 300, True)
    assert (second.stream, second.records.rows) == ("parts", 100)
    assert first.records.bytes == pytest.approx(3 * second.records.bytes, rel=0.1)
    size = ledger.database.one("SELECT pg_total_relation_size('records_01') AS n")
    assert size is not None
    assert first.bytes + second.bytes == pytest.approx(size["n"], rel=0.01)


def test_of_a_large_table_a_sample_is_enough(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.keeping.storage.SAMPLED_BLOCKS", 60)
    fill(ledger, ledger.stream, 6000, 640)
    fill(ledger, ledger.other, 2000, 640)
    found = {each.stream: each.records for each in read_storage(ledger.database)}
    assert not found["parts"].exact
    assert found["work_orders"].rows == pytest.approx(6000, rel=0.6)
    assert sum(each.bytes for each in found.values()) > 5_000_000


def test_versions_and_what_was_set_aside_are_told_apart(ledger: Ledger) -> None:
    run = ledger.claimed()
    loader = Loader(ledger.database, run, lease=LEASE, extras=[Versions()])
    for n in range(3):
        page = Page([record("a", f'{{"n":{n}}}', version=n)], rejected=[Rejected(b"bad", "c", "r")])
        loader.load_pages([Observed(page, run.now())], NEXT)
    found = next(each for each in read_storage(ledger.database) if each.stream == "work_orders")
    assert (found.records.rows, found.versions.rows, found.quarantine.rows) == (1, 2, 1)
    assert min(found.records.bytes, found.versions.bytes, found.quarantine.bytes) > 0


def test_the_disk_of_a_postgres_on_this_machine_is_seen_and_remembered(ledger: Ledger) -> None:
    room = keep_sample(ledger.database)
    assert room.disk is not None
    assert 0 < room.disk.free <= room.disk.total
    assert room.grows is None
    row = ledger.database.one("SELECT * FROM storage_samples")
    assert row is not None
    assert (row["bytes"], row["disk_bytes"]) == (room.bytes, room.disk.total)
    ledger.database.run(
        "INSERT INTO storage_samples SELECT now() - n * interval '1 hour', bytes - n * 1000000 FROM storage_samples,"
        " generate_series(1, 10) n"
    )
    grows = look_at_room(ledger.database).grows
    assert grows is not None
    assert grows > 10_000_000


def test_beat_warns_once_in_a_while_of_a_disk_that_fills(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr("scheduler.beat.upkeep.retention.keep_sample", lambda _: Room(1, Disk(100, 9), None))
    monkeypatch.setattr(
        "scheduler.beat.upkeep.retention.log",
        SimpleNamespace(warning=lambda event, **_: warned.append(event)),
    )
    now = [0.0]
    pruning = Pruning(lambda: now[0])
    services = SimpleNamespace(database=ledger.database)
    for now[0] in (0.0, 3600.0, 7 * 3600.0):
        pruning.watch_room(services)  # type: ignore[arg-type]
    assert warned == ["disk_filling", "disk_filling"]
