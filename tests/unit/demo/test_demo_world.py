"""The demo plant is the same for the same seed, and its records refer to each other rightly."""

from random import Random

import pytest

from scheduler.embedded.demo.plant.memory.store import encode
from scheduler.embedded.demo.plant.schema import ENTITIES, iso, parse_iso
from scheduler.embedded.demo.plant.world import HISTORY, Size, World, build_world

EPOCH = parse_iso("2026-03-01T12:00:00.000Z")
REFERENCES = {
    "site_id": "sites",
    "asset_id": "assets",
    "parent_id": "assets",
    "vendor_id": "vendors",
    "preferred_vendor_id": "vendors",
    "part_id": "parts",
}


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(7, Size.by_factor(1), EPOCH)


def test_the_same_seed_and_moment_give_the_same_bytes(world: World) -> None:
    assert encode(build_world(7, Size.by_factor(1), EPOCH)) == encode(world)


def test_another_seed_or_moment_gives_another_plant(world: World) -> None:
    small = Size.by_factor(0.1)
    first = encode(build_world(7, small, EPOCH))
    assert encode(build_world(8, small, EPOCH)) != first
    assert encode(build_world(7, small, EPOCH + 1)) != first


def test_the_plant_has_the_size_of_a_small_maintenance_department(world: World) -> None:
    assert {name: len(records) for name, records in world.items()} == {
        "sites": 3,
        "vendors": 50,
        "parts": 500,
        "assets": 200,
        "stock_levels": 1000,
        "work_orders": 3000,
        "purchase_orders": 300,
    }


@pytest.mark.parametrize("factor", [0.0, 0.01, 0.3, 2.0])
def test_any_size_makes_a_plant(factor: float) -> None:
    made = build_world(1, Size.by_factor(factor), EPOCH)
    assert all(made[name] for name in ENTITIES)


def test_every_reference_leads_to_a_live_record(world: World) -> None:
    live = {name: {r["id"] for r in records if r["deleted_at"] is None} for name, records in world.items()}
    checked = 0
    for records in world.values():
        for record in records:
            for holder in (record, *record.get("lines", ()), *record.get("parts_used", ())):
                for field in REFERENCES.keys() & holder.keys():
                    if holder[field] is not None:
                        assert holder[field] in live[REFERENCES[field]], (field, holder)
                        checked += 1
    assert checked > 10_000


def test_times_lie_in_the_past_and_in_order(world: World) -> None:
    for records in world.values():
        for record in records:
            assert parse_iso(record["created_at"]) <= parse_iso(record["updated_at"]) <= EPOCH
    opened = [parse_iso(order["created_at"]) for order in world["work_orders"]]
    assert min(opened) >= EPOCH - HISTORY


def test_work_orders_are_in_all_states_and_some_records_are_deleted(world: World) -> None:
    states = {order["status"] for order in world["work_orders"]}
    assert states == {"open", "assigned", "in_progress", "on_hold", "completed", "cancelled"}
    assert (
        sum(
            order["status"] in {"open", "assigned", "in_progress", "on_hold"}
            for order in world["work_orders"]
        )
        > 100
    )
    assert 5 < sum(order["deleted_at"] is not None for order in world["work_orders"]) < 100


def test_lines_of_a_purchase_order_add_up_to_its_total(world: World) -> None:
    for order in world["purchase_orders"]:
        assert order["total_amount"] == pytest.approx(sum(line["amount"] for line in order["lines"]))
        assert [line["line_no"] for line in order["lines"]] == list(range(1, len(order["lines"]) + 1))


def test_a_time_is_written_with_three_digits_and_read_back_to_the_millisecond() -> None:
    rng = Random(3)
    for moment in [0, 1, 999, 1000, *(rng.randrange(4 * 10**12) for _ in range(2000))]:
        assert len(iso(moment)) == 24
        assert parse_iso(iso(moment)) == moment


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        parse_iso("2026-03-01T12:00:00")
