"""What does the demo plant hold on its first day?

Pure: the same seed, size and day give the same records, byte for byte. All references lead to live records.
"""

from dataclasses import dataclass
from random import Random

from scheduler.embedded.demo.plant import forms
from scheduler.embedded.demo.plant.schema import ENTITIES, Record, iso
from scheduler.embedded.demo.plant.stages import advance_purchase_order, advance_work_order, close_work_order

World = dict[str, list[Record]]

HISTORY = 120 * forms.DAY
"""How far work orders reach back: further than the history that Headrace fetches without being asked."""


@dataclass(frozen=True, slots=True)
class Size:
    sites: int
    vendors: int
    parts: int
    assets: int
    stock_levels: int
    work_orders: int
    purchase_orders: int

    @classmethod
    def by_factor(cls, factor: float) -> "Size":
        def of(number: int) -> int:
            return max(2, round(number * factor))

        return cls(
            sites=max(2, min(20, round(3 * factor))),
            vendors=of(50),
            parts=of(500),
            assets=of(200),
            stock_levels=of(1000),
            work_orders=of(3000),
            purchase_orders=of(300),
        )


def build_world(seed: int, size: Size, epoch: int) -> World:
    """All records as they stand at `epoch` (milliseconds)."""
    builder = _Builder(Random(seed), epoch)  # noqa: S311 -- a plant to play with, no secret
    builder.fixed_things(size)
    builder.stock(size.stock_levels)
    builder.work_orders(size.work_orders)
    builder.purchase_orders(size.purchase_orders)
    return builder.world


class _Builder:
    def __init__(self, rng: Random, epoch: int) -> None:
        self.rng = rng
        self.epoch = epoch
        self.world: World = {name: [] for name in ENTITIES}

    def fixed_things(self, size: Size) -> None:
        """What was there before the work began: years old, touched now and then."""
        rng, world = self.rng, self.world
        for number in range(1, size.sites + 1):
            self._add("sites", number, forms.site(rng, number), *self._ages(2000))
        for number in range(1, size.vendors + 1):
            self._add("vendors", number, forms.vendor(rng, number), *self._ages(1500))
        vendors = [v["id"] for v in world["vendors"]]
        for number in range(1, size.parts + 1):
            self._add("parts", number, forms.part(rng, number, vendors), *self._ages(1000))
        sites = [s["id"] for s in world["sites"]]
        for number in range(1, size.assets + 1):
            above = [a["id"] for a in world["assets"]]
            self._add("assets", number, forms.asset(rng, number, sites, above, self.epoch), *self._ages(1500))

    def stock(self, count: int) -> None:
        """Where parts lie: each pair of part and site once, as long as there are pairs enough."""
        parts, sites = self.world["parts"], self.world["sites"]
        pairs = [(p["id"], s["id"]) for p in parts for s in sites]
        for number, (part, site) in enumerate(self.rng.sample(pairs, min(count, len(pairs))), start=1):
            level = forms.stock_level(self.rng, part, site, self.epoch)
            self._add("stock_levels", number, level, *self._ages(400), gone=self.rng.random() < 0.01)

    def work_orders(self, count: int) -> None:
        """Opened evenly over the history; the older ones are mostly closed."""
        rng = self.rng
        opened = sorted(self.epoch - rng.randrange(HISTORY) for _ in range(count))
        for number, created in enumerate(opened, start=1):
            order = forms.work_order(rng, number, self.world["assets"], created)
            now = created
            steps = rng.randint(0, 5)
            for _ in range(steps):
                now = min(self.epoch, now + rng.randrange(forms.HOUR, 2 * forms.DAY))
                order |= advance_work_order(rng, order, now)
            if rng.random() < 0.9 * min(1.0, (self.epoch - created) / (10 * forms.DAY)):
                now = min(self.epoch, now + rng.randrange(forms.DAY))
                order |= close_work_order(rng, order, rng.choice(self.world["stock_levels"]), now)
            self._add("work_orders", number, order, created, now, gone=rng.random() < 0.01)

    def purchase_orders(self, count: int) -> None:
        rng, world = self.rng, self.world
        vendors, sites = [v["id"] for v in world["vendors"]], [s["id"] for s in world["sites"]]
        drafted = sorted(self.epoch - rng.randrange(HISTORY) for _ in range(count))
        for number, created in enumerate(drafted, start=1):
            order = forms.purchase_order(rng, number, vendors, sites, world["parts"])
            now = created
            for _ in range(rng.randint(0, 6)):
                now = min(self.epoch, now + rng.randrange(forms.HOUR, 6 * forms.DAY))
                order |= advance_purchase_order(rng, order, now) or {}
            self._add("purchase_orders", number, order, created, now, gone=rng.random() < 0.01)

    def _ages(self, days: int) -> tuple[int, int]:
        """When it was made and last changed, in the past `days`."""
        created = self.epoch - self.rng.randrange(days * forms.DAY)
        return created, created + self.rng.randrange(self.epoch - created + 1)

    def _add(
        self, entity: str, number: int, fields: Record, created: int, updated: int, *, gone: bool = False
    ) -> None:
        self.world[entity].append(
            {
                "id": ENTITIES[entity].id_of(number),
                **fields,
                "created_at": iso(created),
                "updated_at": iso(updated),
                "deleted_at": iso(updated) if gone else None,
            }
        )
