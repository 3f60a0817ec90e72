"""What is the newest version of each record, and which version can be seen yet?

The heads are what the plant itself knows; the shelves are what callers see. They differ only while a commit is late:
its records carry the time at which they were changed and appear later. All of it is used from one thread.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from random import Random

import msgspec

from scheduler.embedded.demo.plant.memory.shelf import Item, Shelf
from scheduler.embedded.demo.plant.schema import ENTITIES, Change, Record, RecordId, iso, parse_iso

Batch = list[tuple[str, Record]]
"""Whole records, with the names of their entities, that became so at one moment."""

STAMPS = ("created_at", "updated_at", "deleted_at")
PURGED = "purged_at"
"""In a batch, the record that carries it as a last field is gone from then on."""
TRIES = 40

encode = msgspec.json.Encoder().encode


class Store:
    """Serves as life's `View` too."""

    def __init__(self) -> None:
        self.shelves = {name: Shelf() for name in ENTITIES}
        self._heads: dict[str, dict[RecordId, Record]] = {name: {} for name in ENTITIES}
        self._graves: dict[str, dict[RecordId, Record]] = {name: {} for name in ENTITIES}
        self._ids: dict[str, list[RecordId]] = {name: [] for name in ENTITIES}
        self._numbers = dict.fromkeys(ENTITIES, 0)
        self._late: list[tuple[int, int, Batch]] = []
        self._late_until: dict[tuple[str, RecordId], int] = {}
        self._sequence = 0
        self.on_show: Callable[[Batch], None] = lambda _: None
        """Called with what can be seen from now on."""

    # What is there

    def head(self, entity: str, record_id: RecordId) -> Record | None:
        return self._heads[entity].get(record_id)

    def heads(self, entity: str) -> Iterable[Record]:
        """In the order in which they were first made."""
        heads = self._heads[entity]
        return (heads[record_id] for record_id in self._ids[entity] if record_id in heads)

    def grave(self, entity: str, record_id: RecordId) -> Record | None:
        """A purged record as it was last, with the time of its end."""
        return self._graves[entity].get(record_id)

    def everything(self, entity: str) -> Iterable[Record]:
        """Heads and graves: all that a store must be told to become like this one."""
        heads, graves = self._heads[entity], self._graves[entity]
        return (heads.get(record_id) or graves[record_id] for record_id in self._ids[entity])

    @property
    def pending(self) -> int:
        """How many commits are still to appear."""
        return len(self._late)

    def size(self) -> int:
        return sum(len(ids) for ids in self._ids.values())

    def next_number(self, entity: str) -> int:
        return self._numbers[entity] + 1

    def pick(
        self, entity: str, rng: Random, wanted: Callable[[Record], bool] = lambda _: True
    ) -> Record | None:
        ids = self._ids[entity]
        for _ in range(TRIES if ids else 0):
            record = self._heads[entity].get(rng.choice(ids))
            if record is not None and record["deleted_at"] is None and wanted(record):
                return record
        return None

    def pick_gone(self, entity: str, rng: Random) -> RecordId | None:
        """The id of a record that could be restored."""
        gone = [record["id"] for record in self._heads[entity].values() if record["deleted_at"] is not None]
        gone += self._graves[entity]
        return rng.choice(gone) if gone else None

    def sample(self, entity: str, rng: Random, count: int) -> list[Record]:
        found = (self.pick(entity, rng) for _ in range(count))
        return list({record["id"]: record for record in found if record is not None}.values())

    # What becomes of it

    def plan(self, changes: Sequence[Change], moment: int) -> Batch:
        """The records that these changes make, stamped. Nothing is changed yet.

        Raises KeyError for a record that isn't there (any more).
        """
        made: dict[tuple[str, RecordId], Record] = {}
        numbers = dict(self._numbers)
        for change in changes:
            if change.id is None:
                numbers[change.entity] += 1
                record_id = ENTITIES[change.entity].id_of(numbers[change.entity])
                made[change.entity, record_id] = _created(record_id, change, moment)
                continue
            key = (change.entity, change.id)
            before = made.get(key) or self._heads[change.entity].get(change.id)
            made[key] = self._become(before, change, moment)
        return [(entity, record) for (entity, _), record in made.items()]

    def apply(self, batch: Batch, visible_at: int | None = None) -> None:
        """Take a batch in; with `visible_at` it shows only when `settle` is called at that time or later.

        A batch that changes a record whose last change hasn't appeared waits for that one: versions appear in order.
        """
        waits = [self._late_until[key] for key in _keys(batch) if key in self._late_until]
        if waits or visible_at is not None:
            visible_at = max([visible_at or 0, *waits])
        for entity, record in batch:
            self._take(entity, record)
        if visible_at is None:
            self._show(batch)
            return
        self._sequence += 1
        heapq.heappush(self._late, (visible_at, self._sequence, batch))
        self._late_until |= dict.fromkeys(_keys(batch), visible_at)

    def settle(self, now: int) -> None:
        """Let appear what is due."""
        while self._late and self._late[0][0] <= now:
            visible_at, _, batch = heapq.heappop(self._late)
            self._show(batch)
            for key in _keys(batch):
                if self._late_until.get(key) == visible_at:
                    del self._late_until[key]

    def _take(self, entity: str, record: Record) -> None:
        record_id, heads, graves = record["id"], self._heads[entity], self._graves[entity]
        if record_id not in heads and record_id not in graves:
            self._ids[entity].append(record_id)
            number = ENTITIES[entity].number_of(record_id)
            self._numbers[entity] = max(self._numbers[entity], number)
        stays, leaves = (graves, heads) if PURGED in record else (heads, graves)
        stays[record_id] = record
        leaves.pop(record_id, None)

    def _become(self, before: Record | None, change: Change, moment: int) -> Record:
        if change.kind == "restore" and change.id is not None:
            gone = before if before is not None else self.grave(change.entity, change.id)
            before = gone if gone is None or PURGED in gone or gone["deleted_at"] is not None else None
        elif before is not None and (
            PURGED in before or (before["deleted_at"] is not None and change.kind != "purge")
        ):
            before = None
        if before is None:
            raise KeyError(change.id)
        return _changed(before, change, moment)

    def _show(self, batch: Batch) -> None:
        new: dict[str, list[tuple[RecordId, Item]]] = {}
        for entity, record in batch:
            if PURGED in record:
                self.shelves[entity].purge(record["id"], parse_iso(record[PURGED]))
                continue
            item = Item(parse_iso(record["updated_at"]), encode(record), record["deleted_at"] is not None)
            if len(batch) > 20 and record["id"] not in self.shelves[entity].items:
                new.setdefault(entity, []).append((record["id"], item))
            else:
                self.shelves[entity].put(record["id"], item)
        for entity, pairs in new.items():
            self.shelves[entity].put_new(pairs)
        self.on_show(batch)


def _created(record_id: RecordId, change: Change, moment: int) -> Record:
    fields = {name: value for name, value in change.fields.items() if name not in {"id", *STAMPS}}
    now = iso(moment)
    stamps = {"created_at": now, "updated_at": now, "deleted_at": None}
    given = {name: change.fields[name] for name in STAMPS[:2] if name in change.fields}
    return {"id": record_id, **fields, **stamps, **given}


def _changed(before: Record, change: Change, moment: int) -> Record:
    if change.kind == "purge":
        return {**before, PURGED: iso(moment)}
    stamp = change.fields.get("updated_at", iso(moment))
    after = {**before, **change.fields, "updated_at": stamp}
    if change.kind != "change":
        after["deleted_at"] = stamp if change.kind == "delete" else None
    # The stamps stay last, also behind a field that is new.
    left_out = {*STAMPS, PURGED, *change.without}
    return {**{k: v for k, v in after.items() if k not in left_out}, **{k: after[k] for k in STAMPS}}


def _keys(batch: Batch) -> list[tuple[str, RecordId]]:
    return [(entity, record["id"]) for entity, record in batch]
