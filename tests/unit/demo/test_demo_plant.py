"""The plant's life is decided by its seed, and its journal brings back all of it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from scheduler.embedded.demo.plant.memory.journal import JournalError
from scheduler.embedded.demo.plant.plant import Plant
from scheduler.embedded.demo.plant.schema import ENTITIES, Change, parse_iso

EPOCH = parse_iso("2026-03-01T12:00:00.000Z")


class Clock:
    """A second goes by with every look."""

    def __init__(self, now: int = EPOCH) -> None:
        self.now = now

    def __call__(self) -> int:
        self.now += 1000
        return self.now


Maker = Callable[..., Plant]


@pytest.fixture
def make() -> Iterator[Maker]:
    made: list[Plant] = []

    def maker(state: Path | None = None, *, seed: int = 7, clock: Clock | None = None) -> Plant:
        plant = Plant(seed=seed, factor=0.1, clock=clock or Clock(), epoch=EPOCH, state=state)
        made.append(plant)
        return plant

    yield maker
    for plant in made:
        plant.close()


def truth(plant: Plant) -> dict[str, list[tuple[int, object, bytes]]]:
    plant.now()
    return {name: list(plant.store.shelves[name].everything) for name in ENTITIES}


def ticks(plant: Plant, count: int) -> None:
    for _ in range(count):
        plant.tick()


def test_the_same_seed_and_clock_live_the_same_life(make: Maker) -> None:
    first, second, other = make(), make(), make(seed=8)
    for plant in (first, second, other):
        ticks(plant, 300)
    assert truth(first) == truth(second)
    assert truth(first) != truth(other)


def test_life_opens_moves_closes_and_deletes(make: Maker) -> None:
    plant = make()
    before = {row[1] for row in plant.store.shelves["work_orders"].everything}
    ticks(plant, 500)
    records = [r for name in ENTITIES for r in plant.store.heads(name) if parse_iso(r["updated_at"]) > EPOCH]
    states = {r.get("status") for r in records}
    assert {"open", "assigned", "in_progress", "completed", "approved", "received"} <= states
    assert any(r["deleted_at"] for r in records)
    assert any("quantity_on_hand" in r for r in records)
    assert {row[1] for row in plant.store.shelves["work_orders"].everything} > before


def test_every_change_moves_updated_at_forward(make: Maker) -> None:
    plant = make()
    last = 0
    for _ in range(200):
        for _, record in plant.tick():
            assert parse_iso(record["updated_at"]) >= last
            last = parse_iso(record["updated_at"])


def test_a_clock_that_goes_back_does_not_take_the_stamps_with_it(make: Maker) -> None:
    clock = Clock()
    plant = make(clock=clock)
    ahead = plant.make("sites", {})
    clock.now -= 3_600_000
    after = plant.make("sites", {})
    assert after["updated_at"] >= ahead["updated_at"]


def test_a_journal_brings_back_everything(make: Maker, tmp_path: Path) -> None:
    state, clock = tmp_path / "plant", Clock()
    plant = make(state, clock=clock)
    ticks(plant, 200)
    plant.commit([Change("work_orders", 3, {"title": "Ünï \x00 🔧"})])
    list(plant.bulk("parts", 700))
    plant.restamp("stock_levels", 60)
    told = truth(plant)
    plant.close()

    again = make(state, clock=Clock(clock.now))
    assert truth(again) == told
    assert again.step == 200


def test_a_life_with_restarts_is_the_life_without(make: Maker, tmp_path: Path) -> None:
    whole, clock = make(clock=Clock()), Clock()
    ticks(whole, 120)
    for _ in range(4):
        plant = make(tmp_path / "plant", clock=clock)
        ticks(plant, 30)
        plant.close()
    ids = {name: [row[1] for row in rows] for name, rows in truth(plant).items()}
    assert ids == {name: [row[1] for row in rows] for name, rows in truth(whole).items()}


def test_a_line_that_was_cut_off_is_dropped_and_the_next_one_is_whole(make: Maker, tmp_path: Path) -> None:
    state = tmp_path / "plant"
    plant = make(state)
    ticks(plant, 20)
    told = truth(plant)
    plant.close()
    whole = state.read_bytes()
    state.write_bytes(whole + b'[21,null,[["work_orders",{"id":3')

    again = make(state)
    assert truth(again) == told
    assert state.read_bytes() == whole
    again.tick()
    told = truth(again)
    again.close()
    assert truth(make(state)) == told


def test_a_late_commit_is_still_late_after_a_restart(make: Maker, tmp_path: Path) -> None:
    state, clock = tmp_path / "plant", Clock()
    plant = make(state, clock=clock)
    plant.commit([Change("sites", "SITE-01", {"name": "Later"})], late=600_000)
    plant.close()

    again = make(state, clock=clock)
    name = b'"name":"Later"'
    assert name not in again.store.shelves["sites"].items["SITE-01"].raw
    clock.now += 600_000
    again.now()
    assert name in again.store.shelves["sites"].items["SITE-01"].raw


def test_a_long_journal_is_written_anew_and_says_the_same(make: Maker, tmp_path: Path) -> None:
    state = tmp_path / "plant"
    plant = make(state)
    for _ in range(60):
        plant.restamp("work_orders", 200)
    told, size = truth(plant), state.stat().st_size
    plant.close()
    again = make(state)
    assert truth(again) == told
    assert state.stat().st_size < size / 3
    ticks(again, 3)
    told = truth(again)
    again.close()
    assert truth(make(state)) == told


def test_two_processes_can_not_share_a_journal(make: Maker, tmp_path: Path) -> None:
    make(tmp_path / "plant")
    with pytest.raises(JournalError, match="in use"):
        make(tmp_path / "plant")


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"seed":7}\n', b"\xff\xfe\n"])
def test_a_file_of_somebody_else_is_refused_and_left_alone(
    make: Maker, tmp_path: Path, content: bytes
) -> None:
    state = tmp_path / "plant"
    state.write_bytes(content)
    with pytest.raises(JournalError, match="not a state file"):
        make(state)
    assert state.read_bytes() == content


def test_a_journal_of_another_seed_is_refused_with_both(make: Maker, tmp_path: Path) -> None:
    make(tmp_path / "plant").close()
    with pytest.raises(JournalError, match=r"seed 7.*seed 8"):
        make(tmp_path / "plant", seed=8)


def test_a_damaged_line_in_the_middle_is_named(make: Maker, tmp_path: Path) -> None:
    state = tmp_path / "plant"
    plant = make(state)
    ticks(plant, 3)
    plant.close()
    lines = state.read_bytes().splitlines(keepends=True)
    state.write_bytes(b"".join([*lines[:2], b"[oops]\n", *lines[2:]]))
    with pytest.raises(JournalError, match=":3 is damaged"):
        make(state)


def test_a_change_that_the_disk_refuses_never_happened(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "plant"
    plant = make(state)
    told, whole = truth(plant), state.read_bytes()
    writes = iter([10])

    def full_disk(descriptor: int, data: bytes) -> int:
        for room in writes:
            return os_write(descriptor, data[:room])
        raise OSError(28, "No space left on device")

    os_write = os.write
    monkeypatch.setattr("scheduler.embedded.demo.plant.memory.journal.os.write", full_disk)
    with pytest.raises(OSError, match="No space"):
        plant.make("sites", {})
    monkeypatch.undo()
    assert truth(plant) == told
    assert state.read_bytes() == whole
    plant.make("sites", {})


def test_bulk_makes_so_many_records_with_their_own_ids_over_the_days_asked_for(make: Maker) -> None:
    plant = make()
    before = len(plant.store.shelves["work_orders"].items)
    parts = list(plant.bulk("work_orders", 1200, days=30))
    assert parts == [500, 1000, 1200]
    assert len(plant.store.shelves["work_orders"].items) == before + 1200
    moments = {row[0] for row in plant.store.shelves["work_orders"].everything}
    assert min(moments) < plant.now() - 29 * 86_400_000 < max(moments)


def test_restamped_records_share_one_time(make: Maker) -> None:
    plant = make()
    assert plant.restamp("work_orders", 250) == 250
    last = plant.store.shelves["work_orders"].live[-250:]
    assert len({row[0] for row in last}) == 1


def test_life_goes_on_beside_a_record_that_somebody_spoilt(make: Maker) -> None:
    plant = make()
    everything = [
        record["id"] for record in plant.store.heads("stock_levels") if record["deleted_at"] is None
    ]
    plant.commit([Change("stock_levels", stock, {"quantity_on_hand": "many"}) for stock in everything])
    ticks(plant, 100)
    assert plant.step == 100


def test_nothing_can_be_made_that_would_refer_to_nothing(make: Maker) -> None:
    plant = make()
    for entity in ("assets", "vendors"):
        alive = [record["id"] for record in plant.store.heads(entity) if record["deleted_at"] is None]
        plant.commit([Change(entity, record_id, {}, "delete") for record_id in alive])
    with pytest.raises(LookupError):
        plant.make("work_orders", {})
    ticks(plant, 50)


def test_picking_is_fair_to_deleted_records_only_by_leaving_them_out(make: Maker) -> None:
    plant = make()
    ids = [record["id"] for record in plant.store.heads("sites")]
    plant.commit([Change("sites", ids[0], {}, "delete")])
    rng = Random(1)
    picked = {plant.store.pick("sites", rng)["id"] for _ in range(50)}  # type: ignore[index]
    assert picked == set(ids[1:])
