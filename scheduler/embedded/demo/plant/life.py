"""What happens next in the demo plant?

Pure: a step's number and the records as they stand give the step's changes; the same seed and the same records give the
same life, also across a restart, because each step has dice of its own. Only leaves are deleted (work orders, purchase
orders, stock levels), so every reference stays good.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol

from scheduler.embedded.demo.plant import forms
from scheduler.embedded.demo.plant.schema import ENTITIES, Change, Record, RecordId
from scheduler.embedded.demo.plant.stages import advance_purchase_order, advance_work_order, close_work_order

LEAVES = ("work_orders", "work_orders", "purchase_orders", "stock_levels")


class View(Protocol):
    """The records as they stand, for reading. Deleted ones are not shown."""

    def pick(self, entity: str, rng: Random, wanted: Callable[[Record], bool] = ...) -> Record | None:
        """One that is wanted, by the dice; None if none was found in a fair number of tries."""
        ...

    def pick_gone(self, entity: str, rng: Random) -> RecordId | None:
        """The id of one that could be restored, if there is any."""
        ...

    def sample(self, entity: str, rng: Random, count: int) -> list[Record]: ...

    def next_number(self, entity: str) -> int: ...


def next_changes(view: View, seed: int, step: int, now: int, *, hostile: bool = False) -> list[Change]:
    """The changes of one step: they belong together and are made at one moment."""
    rng = Random(f"{seed}/{step}")  # noqa: S311 -- a plant to play with, no secret
    happenings = {**HAPPENINGS, **HOSTILE} if hostile else HAPPENINGS
    happening = rng.choices(list(happenings), weights=list(happenings.values()))[0]
    return happening(view, rng, now) or open_work_order(view, rng, now)


def open_work_order(view: View, rng: Random, now: int) -> list[Change]:
    assets = view.sample("assets", rng, 1)
    if not assets:
        return []
    return [Change("work_orders", None, forms.work_order(rng, view.next_number("work_orders"), assets, now))]


def progress_work_order(view: View, rng: Random, now: int) -> list[Change]:
    order = view.pick("work_orders", rng, is_open)
    return [_update("work_orders", order, advance_work_order(rng, order, now))] if order else []


def finish_work_order(view: View, rng: Random, now: int) -> list[Change]:
    """A work order is closed and its parts leave the shelf, in the same moment."""
    order = view.pick("work_orders", rng, is_open)
    if order is None:
        return []
    stock = view.pick("stock_levels", rng, lambda s: s["quantity_on_hand"] > 3)
    closed = close_work_order(rng, order, stock, now)
    changes = [_update("work_orders", order, closed)]
    if stock is not None and closed.get("parts_used"):
        left = stock["quantity_on_hand"] - closed["parts_used"][0]["quantity"]
        changes.append(_update("stock_levels", stock, {"quantity_on_hand": left}))
    return changes


def move_stock(view: View, rng: Random, _now: int) -> list[Change]:
    stock = view.pick("stock_levels", rng)
    if stock is None:
        return []
    quantity = max(0, stock["quantity_on_hand"] + rng.randint(-20, 25))
    return [_update("stock_levels", stock, {"quantity_on_hand": quantity})]


def draft_purchase_order(view: View, rng: Random, _now: int) -> list[Change]:
    vendors, sites = _ids(view.sample("vendors", rng, 3)), _ids(view.sample("sites", rng, 3))
    parts = view.sample("parts", rng, 8)
    if not (vendors and sites and parts):
        return []
    number = view.next_number("purchase_orders")
    return [Change("purchase_orders", None, forms.purchase_order(rng, number, vendors, sites, parts))]


def progress_purchase_order(view: View, rng: Random, now: int) -> list[Change]:
    order = view.pick("purchase_orders", rng, lambda o: o["status"] not in {"closed", "cancelled"})
    fields = advance_purchase_order(rng, order, now) if order else None
    return [_update("purchase_orders", order, fields)] if order and fields else []


def read_meter(view: View, rng: Random, _now: int) -> list[Change]:
    asset = view.pick("assets", rng)
    if asset is None:
        return []
    reading = round(asset["meter"]["reading"] + rng.uniform(0.5, 24), 1)
    return [_update("assets", asset, {"meter": {**asset["meter"], "reading": reading}})]


def delete_something(view: View, rng: Random, _now: int) -> list[Change]:
    entity = rng.choice(LEAVES)
    record = view.pick(entity, rng)
    return [Change(entity, record["id"], {}, "delete")] if record else []


def purge_something(view: View, rng: Random, _now: int) -> list[Change]:
    """It vanishes: no flag says so, and no page shows it again."""
    entity = rng.choice(LEAVES)
    record = view.pick(entity, rng)
    return [Change(entity, record["id"], {}, "purge")] if record else []


def restore_something(view: View, rng: Random, _now: int) -> list[Change]:
    entity = rng.choice(LEAVES)
    record_id = view.pick_gone(entity, rng)
    return [] if record_id is None else [Change(entity, record_id, {}, "restore")]


def drift_custom_field(view: View, rng: Random, _now: int) -> list[Change]:
    """Somebody plays with the form: a field comes, goes, or holds another kind of value from now on."""
    asset = view.pick("assets", rng)
    if asset is None or not isinstance(asset.get("custom_fields"), dict):
        return []
    name = rng.choice(("cost_centre", "hot_work", "inspection_group", "criticality_note"))
    fields = {key: value for key, value in asset["custom_fields"].items() if key != name}
    value = rng.choice(
        (None, rng.randint(1, 9999), f"{rng.randint(1, 9999)}", rng.random() < 0.5, {"since": 2024})
    )
    return [_update("assets", asset, {"custom_fields": fields if value is None else {**fields, name: value}})]


def is_open(order: Record) -> bool:
    return order["status"] in forms.OPEN_STATES


def make_new(entity: str, view: View, rng: Random, now: int, count: int) -> list[Record]:
    """The fields of new records that refer to what is there: for those asked for by hand or in bulk.

    Raises LookupError when the plant has nothing left that they would have to refer to.
    """
    first = view.next_number(entity)
    known = {name: view.sample(name, rng, 8) for name in ENTITIES}
    try:
        return [MAKERS[entity](rng, first + n, known, now) for n in range(count)]
    except IndexError as none_left:
        raise LookupError(f"Nothing is left that a new record of {entity} could refer to.") from none_left


def _update(entity: str, record: Record, fields: Record) -> Change:
    return Change(entity, record["id"], fields)


def _ids(records: list[Record]) -> list[RecordId]:
    return [record["id"] for record in records]


Maker = Callable[[Random, int, Mapping[str, list[Record]], int], Record]

MAKERS: Mapping[str, Maker] = {
    "sites": lambda rng, number, _, __: forms.site(rng, number),
    "vendors": lambda rng, number, _, __: forms.vendor(rng, number),
    "parts": lambda rng, number, known, _: forms.part(rng, number, _ids(known["vendors"])),
    "assets": lambda rng, number, known, now: forms.asset(
        rng, number, _ids(known["sites"]), _ids(known["assets"]), now
    ),
    "stock_levels": lambda rng, _, known, now: forms.stock_level(
        rng, rng.choice(known["parts"])["id"], rng.choice(known["sites"])["id"], now
    ),
    "work_orders": lambda rng, number, known, now: forms.work_order(rng, number, known["assets"], now),
    "purchase_orders": lambda rng, number, known, _: forms.purchase_order(
        rng, number, _ids(known["vendors"]), _ids(known["sites"]), known["parts"]
    ),
}

HAPPENINGS: Mapping[Callable[[View, Random, int], list[Change]], int] = {
    open_work_order: 18,
    progress_work_order: 30,
    finish_work_order: 17,
    move_stock: 15,
    draft_purchase_order: 4,
    progress_purchase_order: 10,
    read_meter: 4,
    delete_something: 2,
}

HOSTILE: Mapping[Callable[[View, Random, int], list[Change]], int] = {
    purge_something: 1,
    restore_something: 1,
    drift_custom_field: 1,
}
"""What a copy finds hard to follow; only where it is asked for."""
