"""How does a work order or a purchase order go on from where it stands?

Pure: each function answers the fields that change. The world uses them to age its first records, life to move them on.
"""

from random import Random

from scheduler.embedded.demo.plant import words
from scheduler.embedded.demo.plant.forms import cents
from scheduler.embedded.demo.plant.schema import Record, iso


def advance_work_order(rng: Random, order: Record, now: int) -> Record:
    """One step of an open order towards its end: open, assigned, in progress (with rests on hold), completed."""
    status = order["status"]
    if status == "open":
        return {"status": "assigned", "assigned_to": rng.choice(words.PEOPLE)}
    if status == "assigned":
        return {"status": "in_progress", "started_at": iso(now)}
    if status == "on_hold":
        return {"status": "in_progress"}
    if rng.random() < 0.15:
        return {"status": "on_hold"}
    return {"labor_hours": round(order["labor_hours"] + rng.randint(1, 16) / 4, 2)}


def close_work_order(rng: Random, order: Record, stock: Record | None, now: int) -> Record:
    """Finish it, or now and then cancel it. `stock` is where its parts came from."""
    if order["started_at"] is None or rng.random() < 0.05:
        return {"status": "cancelled"}
    used = [] if stock is None else [_used(rng, stock)]
    return {
        "status": "completed",
        "completed_at": iso(now),
        "labor_hours": round(order["labor_hours"] + 0.5, 2),
        "parts_used": used,
        "cost_total": round(order["labor_hours"] * 48 + sum(u["quantity"] * u["unit_cost"] for u in used), 2),
    }


def advance_purchase_order(rng: Random, order: Record, now: int) -> Record | None:
    """One step of an order: draft, submitted, approved, received in one or two parts, closed. None: it is at its end."""
    match order["status"]:
        case "draft":
            return {"status": "submitted"}
        case "submitted":
            return {"status": "approved", "approved_at": iso(now), "approved_by": rng.choice(words.PEOPLE)}
        case "approved" | "partially_received":
            return _receive(rng, order, now)
        case "received":
            return {"status": "closed"}
        case _:
            return None


def _receive(rng: Random, order: Record, now: int) -> Record:
    whole = order["status"] == "partially_received" or rng.random() < 0.6
    lines = [
        {**line, "quantity_received": line["quantity"] if whole else line["quantity"] // 2}
        for line in order["lines"]
    ]
    if whole:
        return {"status": "received", "received_at": iso(now), "lines": lines}
    return {"status": "partially_received", "lines": lines}


def _used(rng: Random, stock: Record) -> Record:
    return {"part_id": stock["part_id"], "quantity": rng.randint(1, 3), "unit_cost": cents(rng, 50, 20_000)}
