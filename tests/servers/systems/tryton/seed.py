"""What is in the ERP before a test begins? A small company, made through the ERP's own interface.

Counts are such that every stream fills several pages of a few dozen. Records of one call are of one transaction and have
one create_date, to the microsecond: that is how ties come about in a real ERP.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from servers.systems.tryton.client import TrytonClient

PARTIES = 300
PRODUCTS = 240
LOCATIONS = 45
PURCHASES = 60
_PRODUCTS_A_CALL = 60
"""On SQLite a call with 100 products or more ends in 503 `parser stack overflow`, however often it is tried."""
_FIRST_DAY = date(2026, 1, 5)


def seed(erp: TrytonClient) -> None:
    """Fill an empty ERP."""
    _company(erp)
    parties = _parties(erp)
    _products(erp)
    _locations(erp)
    _purchases(erp, parties)


def _company(erp: TrytonClient) -> None:
    rate = {"date": date(2020, 1, 1), "rate": Decimal(1)}
    euro = {
        "name": "Euro",
        "symbol": "€",
        "code": "EUR",
        "numeric_code": "978",
        "rounding": Decimal("0.01"),
        "digits": 2,
        "rates": [("create", [rate])],
    }
    currency = erp.create("currency.currency", [euro])[0]
    plant = erp.create("party.party", [{"name": "Plant Ghent"}])[0]
    company = erp.create("company.company", [{"party": plant, "currency": currency}])[0]
    erp.edit("res.user", [erp.user_id], {"companies": [("add", [company])], "company": company})
    use_preferences(erp)


def use_preferences(erp: TrytonClient) -> None:
    """Work in the user's company from here on, as the ERP's own client does after a login."""
    erp.context = {}
    erp.context = erp.call("model.res.user.get_preferences", True)


def _parties(erp: TrytonClient) -> list[int]:
    def party(number: int) -> dict[str, Any]:
        street = f"Dock {number}\nGate {number % 7}"
        address = {"city": ("Ghent", "Łódź", "Besançon", "東京")[number % 4], "street_unstructured": street}
        return {"name": f"Vendor {number:04d}", "addresses": [("create", [address])]}

    made: list[int] = []
    for numbers in _by(PARTIES, 100):
        made += erp.create("party.party", [party(number) for number in numbers])
    return made


def _products(erp: TrytonClient) -> None:
    units = {row["symbol"]: row["id"] for row in erp.rows("product.uom", [], ["symbol"])}

    def template(number: int) -> dict[str, Any]:
        variants = [{"suffix_code": suffix} for suffix in ("A", "B")[: 1 + (number % 5 == 0)]]
        return {
            "name": f"Bearing {number:04d}",
            "type": "service" if number % 11 == 0 else "goods",
            "default_uom": units["m" if number % 9 == 0 else "u"],
            "code": f"P-{number:04d}",
            "products": [("create", variants)],
        }

    for numbers in _by(PRODUCTS, _PRODUCTS_A_CALL):
        erp.create("product.template", [template(number) for number in numbers])


def _locations(erp: TrytonClient) -> None:
    warehouse = erp.rows("stock.location", [["type", "=", "warehouse"]], ["storage_location"])[0]
    shelves = [
        {
            "name": f"Shelf {n:02d}",
            "code": f"S{n:02d}",
            "type": "storage",
            "parent": warehouse["storage_location"],
        }
        for n in range(LOCATIONS)
    ]
    erp.create("stock.location", shelves)


def _purchases(erp: TrytonClient, parties: list[int]) -> None:
    for number in range(PURCHASES):
        order_purchase(erp, parties[number], reference=f"PO-{number:04d}", lines=1 + number % 4)
    drafts = erp.ids("purchase.purchase")
    erp.press("purchase.purchase", "quote", drafts[: PURCHASES // 3])
    erp.press("purchase.purchase", "confirm", drafts[: PURCHASES // 6])


def order_purchase(erp: TrytonClient, party: int, *, reference: str, lines: int = 2) -> int:
    """A draft purchase with lines; its id."""
    unit = erp.ids("product.uom", [["symbol", "=", "u"]])[0]
    company = erp.rows("company.company", [], ["currency"])[0]
    rows = [
        {
            "type": "line",
            "description": f"Item {line}",
            "quantity": line + 1,
            "unit": unit,
            "unit_price": Decimal("12.5000") + line,
        }
        for line in range(lines)
    ]
    purchase = {
        "party": party,
        "invoice_address": erp.ids("party.address", [["party", "=", party]])[0],
        "warehouse": erp.ids("stock.location", [["type", "=", "warehouse"]])[0],
        "currency": company["currency"],
        "company": company["id"],
        "purchase_date": _FIRST_DAY,
        "reference": reference,
        "lines": [("create", rows)],
    }
    return erp.create("purchase.purchase", [purchase])[0]


def _by(total: int, size: int) -> Iterator[range]:
    for start in range(0, total, size):
        yield range(start, min(start + size, total))
