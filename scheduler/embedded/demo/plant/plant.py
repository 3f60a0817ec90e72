"""How does the plant change, and what is left of it when its process dies?

Every change goes through `commit`: planned, written to the journal, then applied. So nobody ever sees a change that the
next process wouldn't remember, and a change that the disk refuses never happened.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random

from scheduler.embedded.demo.plant.forms import DAY
from scheduler.embedded.demo.plant.life import make_new, next_changes
from scheduler.embedded.demo.plant.memory.journal import Header, Journal, Line
from scheduler.embedded.demo.plant.memory.store import Batch, Store
from scheduler.embedded.demo.plant.schema import ENTITIES, Change, Record, iso
from scheduler.embedded.demo.plant.world import Size, build_world

LINE_RECORDS = 500
COMPACT_ABOVE = 3
"""A journal is written anew at the start when it holds this many times the records that the plant has."""


class Plant:
    """`clock` answers milliseconds since 1970; nothing else in here knows the time."""

    def __init__(
        self,
        *,
        seed: int,
        factor: float,
        clock: Callable[[], int],
        epoch: int | None = None,
        state: Path | None = None,
    ) -> None:
        self.store = Store()
        self.seed = seed
        self.step = 0
        self._clock = clock
        self._latest = 0
        self._header = Header(seed, factor)
        self._journal = None if state is None else Journal(state)
        try:
            self._begin(factor, epoch)
        except BaseException:
            self.close()
            raise

    @property
    def latest(self) -> int:
        """The time when it was last asked for."""
        return self._latest

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def now(self) -> int:
        """Never goes back, whatever the machine's clock does; late commits that are due appear."""
        self._latest = max(self._latest, self._clock())
        self.store.settle(self._latest)
        return self._latest

    def commit(self, changes: Sequence[Change], *, late: int = 0, coarse: int = 0, skew: int = 0) -> Batch:
        """Make changes at one moment.

        In milliseconds: `late`: visible only so much later; `coarse`: the stamp is cut to it; `skew`: the clock that
        stamps is ahead by so much. Raises KeyError for a record that isn't there, OSError when the disk refuses; then
        nothing has changed.
        """
        now = self.now()
        stamp = now + skew
        batch = self.store.plan(changes, stamp - stamp % coarse if coarse else stamp)
        self._write(batch, now + late if late else None)
        return batch

    def tick(self, *, hostile: bool = False, late: int = 0, coarse: int = 0, skew: int = 0) -> Batch:
        """Take the next step of life."""
        try:
            changes = next_changes(self.store, self.seed, self.step, self.now() + skew, hostile=hostile)
        except (AttributeError, KeyError, TypeError):
            changes = []  # somebody changed a record by hand into what life can't go on from
        self.step += 1
        return self.commit(changes, late=late, coarse=coarse, skew=skew)

    def make(self, entity: str, fields: Record, *, late: int = 0, coarse: int = 0, skew: int = 0) -> Record:
        """Create one record: what `fields` leave out is made up. Raises LookupError."""
        rng = Random(f"{self.seed}/make/{entity}/{self.store.next_number(entity)}")  # noqa: S311 -- no secret
        full = make_new(entity, self.store, rng, self.now() + skew, 1)[0] | fields
        return self.commit([Change(entity, None, full)], late=late, coarse=coarse, skew=skew)[0][1]

    def bulk(self, entity: str, count: int, days: float = 0) -> Iterator[int]:
        """Create many records, spread over the past `days`; yields how many are there after each part.

        The caller may let others work between two parts. Each part shares one moment, as an import does.
        """
        done = 0
        while done < count:
            part = min(LINE_RECORDS, count - done)
            rng = Random(f"{self.seed}/bulk/{entity}/{self.store.next_number(entity)}")  # noqa: S311 -- no secret
            moment = self.now() - round(days * DAY * (count - done) / count)
            stamps = {"created_at": iso(moment), "updated_at": iso(moment)} if days else {}
            records = make_new(entity, self.store, rng, moment, part)
            self.commit([Change(entity, None, record | stamps) for record in records])
            done += part
            yield done

    def restamp(self, entity: str, count: int, *, oldest: bool = False) -> int:
        """Give many records one and the same `updated_at`: more than any page holds, if `count` says so."""
        self.now()
        if oldest:
            ids = [row[1] for row in self.store.shelves[entity].live[:count]]
        else:
            alive = (record["id"] for record in self.store.heads(entity) if record["deleted_at"] is None)
            ids = list(islice(alive, count))
        heads = (self.store.head(entity, record_id) for record_id in ids)
        alive_still = [head["id"] for head in heads if head is not None and head["deleted_at"] is None]
        return len(self.commit([Change(entity, record_id, {}) for record_id in alive_still]))

    def _begin(self, factor: float, epoch: int | None) -> None:
        if self._journal is not None and self._journal.path.exists():
            self._replay(self._journal)
            return
        world = build_world(self.seed, Size.by_factor(factor), self._clock() if epoch is None else epoch)
        self.store.apply([(entity, record) for entity, records in world.items() for record in records])
        if self._journal is not None:
            self._journal.create(self._header, self._snapshot())

    def _replay(self, journal: Journal) -> None:
        written = 0
        for line in journal.read(self._header):
            self.store.apply([(entity, record) for entity, record in line.batch], line.visible_at)
            self.step = line.step
            written += len(line.batch)
        self.now()
        if written > COMPACT_ABOVE * self.store.size() and not self.store.pending:
            journal.create(self._header, self._snapshot())

    def _snapshot(self) -> Iterator[Line]:
        rows = ((name, record) for name in ENTITIES for record in self.store.everything(name))
        while part := list(islice(rows, LINE_RECORDS)):
            yield Line(self.step, None, part)

    def _write(self, batch: Batch, visible_at: int | None) -> None:
        if self._journal is not None:
            self._journal.append(Line(self.step, visible_at, batch))
        self.store.apply(batch, visible_at)
