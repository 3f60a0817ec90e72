"""What does one record of each entity look like?

Pure: a random generator, the ids that it may refer to and a time go in, a record without its three stamps comes out.
The world is built from these at the start, and life makes new records with them later.
"""

from collections.abc import Sequence
from random import Random

from scheduler.embedded.demo.plant import words
from scheduler.embedded.demo.plant.schema import Record, RecordId, day, iso

DAY = 86_400_000
HOUR = 3_600_000

OPEN_STATES = ("open", "assigned", "in_progress", "on_hold")


def site(rng: Random, number: int) -> Record:
    name, city, country, timezone = words.SITES[(number - 1) % len(words.SITES)]
    lap = (number - 1) // len(words.SITES)
    return {
        "code": f"{country}{number:02d}",
        "name": name if lap == 0 else f"{name} {lap + 1}",
        "address": {
            "street": f"{rng.randint(1, 240)} Mill Lane",
            "city": city,
            "postal_code": f"{rng.randint(10000, 99999)}",
            "country": country,
        },
        "timezone": timezone,
        "active": True,
    }


def vendor(rng: Random, number: int) -> Record:
    name = f"{rng.choice(words.VENDOR_FIRST)} {rng.choice(words.VENDOR_LAST)}"
    return {
        "vendor_code": f"V{number:04d}",
        "name": name,
        "contact": {
            "email": f"orders@vendor{number}.example",
            "phone": f"+49 30 {rng.randint(100000, 999999)}",
        },
        "payment_terms_days": rng.choice((14, 30, 60)),
        "currency": rng.choice(("EUR", "EUR", "USD", "GBP")),
        "rating": rng.choice((None, 1, 2, 3, 4, 5)),
        "active": rng.random() < 0.95,
    }


def part(rng: Random, number: int, vendors: Sequence[RecordId]) -> Record:
    name, category = rng.choice(words.PARTS)
    return {
        "part_number": f"{category[:3].upper()}-{number:05d}",
        "name": f"{name} {rng.randint(1, 99)}x{rng.randint(1, 99)}",
        "description": rng.choice(words.NOTES),
        "category": category,
        "unit": rng.choice(words.UNITS),
        "barcode": f"{rng.randrange(10**12):012d}",
        "unit_cost": cents(rng, 50, 90_000),
        "currency": "EUR",
        "preferred_vendor_id": rng.choice(vendors),
        "lead_time_days": rng.randint(1, 60),
    }


def asset(
    rng: Random, number: int, sites: Sequence[RecordId], assets: Sequence[RecordId], now: int
) -> Record:
    name, maker, model = rng.choice(words.ASSETS)
    return {
        "asset_tag": f"A-{number:05d}",
        "name": f"{name} {number}",
        "site_id": rng.choice(sites),
        "parent_id": rng.choice(assets) if assets and rng.random() < 0.3 else None,
        "category": name,
        "manufacturer": maker,
        "model": f"{model}-{rng.randint(100, 999)}",
        "serial_number": f"{rng.randrange(16**8):08X}",
        "status": rng.choice(("running", "running", "running", "standby", "down")),
        "criticality": rng.choice(("A", "B", "C")),
        "installed_on": day(now - rng.randint(200, 6000) * DAY),
        "meter": {"unit": "h", "reading": round(rng.uniform(0, 60_000), 1)},
        "custom_fields": {"cost_centre": f"{rng.randint(4000, 4999)}", "hot_work": rng.random() < 0.1},
    }


def stock_level(rng: Random, part_id: RecordId, site_id: RecordId, now: int) -> Record:
    return {
        "part_id": part_id,
        "site_id": site_id,
        "bin": f"{rng.choice('ABCDEF')}-{rng.randint(1, 40):02d}-{rng.randint(1, 6)}",
        "quantity_on_hand": rng.randint(0, 250),
        "quantity_reserved": rng.randint(0, 5),
        "reorder_point": rng.choice((None, 5, 10, 25)),
        "last_counted_at": iso(now - rng.randrange(300 * DAY)),
    }


def work_order(rng: Random, number: int, assets: Sequence[Record], opened: int) -> Record:
    """A work order as it is opened."""
    target = rng.choice(assets)
    return {
        "number": f"WO-{number:06d}",
        "title": f"{target['name']} {rng.choice(words.FAULTS)}",
        "description": rng.choice(words.NOTES),
        "type": rng.choice(("corrective", "corrective", "preventive", "inspection")),
        "priority": rng.choice(("low", "medium", "medium", "high", "urgent")),
        "status": "open",
        "site_id": target["site_id"],
        "asset_id": target["id"],
        "requested_by": rng.choice(words.PEOPLE),
        "assigned_to": None,
        "due_date": day(opened + rng.randint(1, 30) * DAY),
        "started_at": None,
        "completed_at": None,
        "labor_hours": 0.0,
        "parts_used": [],
        "cost_total": 0.0,
    }


def purchase_order(
    rng: Random, number: int, vendors: Sequence[RecordId], sites: Sequence[RecordId], parts: Sequence[Record]
) -> Record:
    """A draft with one to eight lines."""
    lines = [_order_line(rng, place, rng.choice(parts)) for place in range(1, rng.randint(2, 9))]
    return {
        "number": f"PO-{number:06d}",
        "vendor_id": rng.choice(vendors),
        "site_id": rng.choice(sites),
        "status": "draft",
        "buyer": rng.choice(words.PEOPLE),
        "currency": "EUR",
        "total_amount": round(sum(line["amount"] for line in lines), 2),
        "approved_at": None,
        "approved_by": None,
        "received_at": None,
        "lines": lines,
    }


def cents(rng: Random, low: int, high: int) -> float:
    return rng.randint(low, high) / 100


def _order_line(rng: Random, place: int, wanted: Record) -> Record:
    quantity = rng.randint(1, 40)
    return {
        "line_no": place,
        "part_id": wanted["id"],
        "description": wanted["name"],
        "quantity": quantity,
        "quantity_received": 0,
        "unit_price": wanted["unit_cost"],
        "amount": round(quantity * wanted["unit_cost"], 2),
    }
