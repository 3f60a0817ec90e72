"""A source and its copy, driven at random: whatever happens to either, the copy comes to equal the truth.

What the machine may do is what real systems and real servers do: records change, vanish and come back, several at one
moment, late, and while they are read; answers fail or break; workers die between two statements or lose their runs.
What it checks after every step: the copy holds nothing that never was, and no record goes back to what it was before.
What it checks once everything has settled: the copy is the truth.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from scheduler.embedded.demo.plant.schema import Change

from .crash import Crashing
from .mirror import FeedReader, Mirror
from .source import Ambush, Source

ENTITIES = ("work_orders", "purchase_orders", "stock_levels", "vendors")
ASKABLE = ("work_orders", "purchase_orders", "vendors")
"""Of these a record can be asked for by its key, which tells a list that lies."""
LATEST = 45_000
"""Milliseconds by which a commit may be late: less than the overlap of the streams."""
CLOCKS_AGREE = 10_000
"""Milliseconds by which the source's clock passes what it has stamped: a `Date` header tells it to two seconds only, and who
asks up to now asks for what is older."""
SKEWS = (0, 7_200, -7_200, 200_000, -80_000)
"""Seconds by which the source's clock may be wrong."""

entities = st.sampled_from(ENTITIES)
picks = st.integers(0, 9)
faults = st.sampled_from(
    [
        {"error_rate": 1.0, "error_status": 503},
        {"error_rate": 1.0, "error_status": 500, "error_body": "html"},
        {"truncated_body": True},
        {"malformed_json": True},
    ]
)

lies = st.sampled_from(
    [
        {"empty_list": True},
        {"cut_short": True},
        {"dropped_page": True},
        {"broken_filter": 2},
        {"broken_filter": 3},
    ]
)


class Truth(RuleBasedStateMachine):
    """Bound to a source and a mirror by `machine_for`."""

    source: Source
    mirror: Mirror
    crashing: Crashing
    token_file: Path

    def __init__(self) -> None:
        super().__init__()
        self.edits = 0
        self.shown: dict[tuple[str, str], int] = {}
        """Which of a record's versions the copy held last."""
        self.from_backups: set[str] = set()
        """Where versions went back, and no reader by time or by version can know."""

    @initialize(
        skew=st.sampled_from(SKEWS),
        seed=st.integers(1, 3),
        few=st.sampled_from([0, 2, 48]),
        versions=st.booleans(),
    )
    def begin(self, skew: int, seed: int, few: int, *, versions: bool) -> None:
        row = self.mirror.services.database.one("SELECT extract(epoch FROM now())::bigint AS now")
        assert row is not None
        self.source.begin(seed=seed, factor=0.003, epoch=(row["now"] + skew) * 1000)
        for entity in ENTITIES[1:]:
            self.source.on_loop(lambda system, entity=entity: list(system.plant.bulk(entity, 6, days=40)))
        self.mirror.connect({"token": self.token_file.as_uri()}, base_url=self.source.base_url)
        self.mirror.load_as(few=few, versions=versions)
        self.reader = FeedReader(self.mirror)

    # What happens at the source

    @rule(entity=entities, pick=picks, times=st.integers(1, 3))
    def edit(self, entity: str, pick: int, times: int) -> None:
        for _ in range(times):
            self._change(entity, pick)

    @rule(entity=entities, pick=picks, late=st.integers(1, LATEST))
    def edit_late(self, entity: str, pick: int, late: int) -> None:
        self._change(entity, pick, late=late)

    @rule(entity=entities, late=st.sampled_from([0, 0, 1_000, LATEST]))
    def create(self, entity: str, late: int) -> None:
        if late:
            self.source.fault(late_commit_seconds=late / 1000, count=1)
        self.source.create(entity)

    @rule(entity=entities, pick=picks, kind=st.sampled_from(["delete", "purge"]))
    def take_away(self, entity: str, pick: int, kind: str) -> None:
        self._take_away(entity, pick, kind)

    @rule(entity=entities, pick=picks)
    def bring_back(self, entity: str, pick: int) -> None:
        if gone := self.source.ids(entity, gone=True):
            self.source.commit(Change(entity, gone[pick % len(gone)], {}, "restore"))

    @rule(entity=st.sampled_from(ASKABLE[1:]), pick=picks)
    def bring_back_as_from_a_backup(self, entity: str, pick: int) -> None:
        """With a time of change at which it was another record."""
        if gone := self.source.ids(entity, gone=True):
            chosen = gone[pick % len(gone)]
            stamp = self.source.anything(entity, chosen)["created_at"]
            self.source.commit(Change(entity, chosen, {"updated_at": stamp}, "restore"))
            self.from_backups.add(entity)

    @rule(entity=entities, count=st.integers(2, 9))
    def restamp(self, entity: str, count: int) -> None:
        self.source.restamp(entity, count)

    @rule(milliseconds=st.sampled_from([1, 1, 999, 1_000, 30_000, 70_000, 3_600_000]))
    def time_goes_by(self, milliseconds: int) -> None:
        self.source.advance(milliseconds)

    # What the engine does, and what is done to it meanwhile

    @rule(entity=entities)
    def poll(self, entity: str) -> None:
        self._work(lambda: self.mirror.do(entity))

    @rule()
    def carry_on(self) -> None:
        self._work(self._carry_on)

    @rule(entity=entities)
    def sweep(self, entity: str) -> None:
        self._work(lambda: self.mirror.do(entity, track="sweep"))

    @rule(entity=entities, pick=picks)
    def read_one_again(self, entity: str, pick: int) -> None:
        """As a webhook has it done: also a record that is gone, and one that the copy doesn't know."""
        if known := [*self.source.ids(entity), *self.source.ids(entity, gone=True)]:
            scope = {"ids": [str(known[pick % len(known)])]}
            self._work(lambda: self.mirror.do(entity, track="records", scope=scope))

    @rule(entity=entities)
    def read_all_again(self, entity: str) -> None:
        self._work(lambda: self.mirror.do(entity, track="records"))

    @rule(entity=entities)
    def compare_and_mend(self, entity: str) -> None:
        self._work(lambda: self.mirror.do(entity, track="verify", scope={"repair": True}))

    @rule()
    def follow(self) -> None:
        self.reader.read()

    @rule(
        entity=entities,
        fault=faults,
        count=st.integers(1, 3),
        track=st.sampled_from(["live", "sweep", "records"]),
    )
    def poll_a_source_that_fails(self, entity: str, fault: dict[str, Any], count: int, track: str) -> None:
        self.source.fault(**fault, count=count, entity=entity)
        self._work(lambda: self.mirror.do(entity, track=track))
        self.source.clear_faults()

    @rule(entity=st.sampled_from(ASKABLE), lie=lies, count=st.integers(1, 3))
    def sweep_a_source_that_lies(self, entity: str, lie: dict[str, Any], count: int) -> None:
        self.source.fault(**lie, count=count, entity=entity)
        self._work(lambda: self.mirror.do(entity, track="sweep"))
        self.source.clear_faults()

    @rule(
        entity=entities,
        statement=st.integers(1, 16),
        after=st.booleans(),
        track=st.sampled_from(["live", "live", "sweep", "records"]),
    )
    def die_between_two_statements(self, entity: str, statement: int, *, after: bool, track: str) -> None:
        run = self.mirror.request(entity, track=track)
        with self.crashing.armed(statement, after=after):
            self.mirror.carry_out(run)
        self._look()

    @rule(statement=st.integers(1, 16), after=st.booleans())
    def die_while_carrying_on(self, statement: int, *, after: bool) -> None:
        if runs := self.mirror.open_runs():
            with self.crashing.armed(statement, after=after):
                self.mirror.carry_out(runs[0])
            self._look()

    @rule(entity=entities, track=st.sampled_from(["live", "sweep", "records"]))
    def die_after_the_claim(self, entity: str, track: str) -> None:
        self.mirror.abandon(entity, track=track)

    @rule(
        entity=entities,
        nth=st.integers(1, 4),
        when=st.sampled_from(["before", "after"]),
        pick=picks,
        what=st.sampled_from(["edit", "delete", "purge", "restamp", "create", "restore"]),
        track=st.sampled_from(["live", "live", "sweep", "records"]),
    )
    def change_while_it_is_read(
        self, entity: str, nth: int, when: Any, pick: int, what: str, track: str
    ) -> None:
        self.source.ambushes.append(Ambush(nth, when, lambda: self._meanwhile(entity, pick, what)))
        self._work(lambda: self.mirror.do(entity, track=track))

    @rule(
        entity=entities,
        nth=st.integers(1, 4),
        when=st.sampled_from(["before", "after"]),
        pick=picks,
        track=st.sampled_from(["live", "live", "sweep", "records"]),
    )
    def lose_the_run_to_another(self, entity: str, nth: int, when: Any, pick: int, track: str) -> None:
        """Its worker was taken for dead: another one does its work, and then it wants to go on with what it had read."""

        def overtake() -> None:
            self._change(entity, pick)
            self.mirror.rescue()
            self._carry_on()

        self.source.ambushes.append(Ambush(nth, when, overtake))
        self._work(lambda: self.mirror.do(entity, track=track))

    # How it ends

    @rule()
    def settle(self) -> None:
        """All that is owed is done: then the copy is the truth."""
        self.source.ambushes.clear()
        self.source.clear_faults()
        self.source.settle()
        self.mirror.finish()
        for track in ("live", "sweep", "sweep", "live"):
            self.source.advance(CLOCKS_AGREE)
            for entity in ENTITIES:
                self.mirror.do(entity, track=track)
            self.mirror.finish()
        for entity in sorted(self.from_backups):
            self.mirror.do(entity, track="records")
        self.from_backups.clear()
        self._look()
        for entity in ENTITIES:
            wrong = differences(self.mirror.copy(entity), self.source.truth(entity))
            assert not wrong, f"{entity}: {wrong}"
        self._check_feed()
        self._compare()

    def teardown(self) -> None:
        if self.mirror.streams:
            self.settle()

    # How it is done

    def _change(self, entity: str, pick: int, *, late: int = 0) -> None:
        if ids := self.source.ids(entity):
            self.edits += 1
            change = Change(entity, ids[pick % len(ids)], {"notes": f"edit {self.edits}"})
            self.source.commit(change, late=late)

    def _take_away(self, entity: str, pick: int, kind: Any) -> None:
        if ids := self.source.ids(entity):
            self.source.commit(Change(entity, ids[pick % len(ids)], {}, kind))

    def _meanwhile(self, entity: str, pick: int, what: str) -> None:
        match what:
            case "edit":
                self._change(entity, pick)
            case "create":
                self.source.create(entity)
            case "restamp":
                self.source.restamp(entity, pick + 1)
            case "restore":
                self.bring_back(entity, pick)
            case kind:
                self._take_away(entity, pick, kind)

    def _carry_on(self) -> None:
        if runs := self.mirror.open_runs():
            self.mirror.carry_out(runs[0])

    def _work(self, work: Callable[[], None]) -> None:
        work()
        self.source.ambushes.clear()
        self._look()

    def _look(self) -> None:
        """The copy holds what was, and nothing older than what it held before."""
        for entity in ENTITIES:
            for key, row in self.mirror.rows(entity).items():
                held = None if row["deleted_at"] is not None else json.loads(row["raw"])
                versions = self.source.versions[entity, key]
                places = [place for place, version in enumerate(versions) if version == held]
                assert places, f"{entity} {key} never was {held}"
                before = self.shown.get((entity, key), 0)
                assert places[-1] >= before, f"{entity} {key} went back from {versions[before]} to {held}"
                self.shown[entity, key] = places[-1]

    def _check_feed(self) -> None:
        """Read from its beginning, the feed gives what the copy holds; and so it does to who has read it all along."""
        self.reader.catch_up()
        anew = FeedReader(self.mirror)
        anew.catch_up()
        for entity in ENTITIES:
            copy = self.mirror.copy(entity)
            assert not (wrong := differences(anew.of(entity), copy)), f"replayed, {entity}: {wrong}"
            assert not (wrong := differences(self.reader.of(entity), copy)), f"followed, {entity}: {wrong}"

    def _compare(self) -> None:
        """What Headrace itself says of a copy that equals the truth: that it differs nowhere."""
        for entity in ENTITIES:
            self.mirror.do(entity, track="verify")
            drift = self.mirror.drift(entity)
            assert drift == 0, f"{entity}: {drift} differences, by {self.mirror.ended(entity)[-1]}"


def differences(copy: Mapping[str, Any], truth: Mapping[str, Any]) -> list[str]:
    """What a person would want to know first."""
    wrong = [f"missing {key}: {truth[key]}" for key in truth.keys() - copy.keys()]
    wrong += [f"too many {key}: {copy[key]}" for key in copy.keys() - truth.keys()]
    both = [key for key in truth.keys() & copy.keys() if truth[key] != copy[key]]
    return wrong + [f"stale {key}: {copy[key]} for {truth[key]}" for key in both]


def machine_for(source: Source, mirror: Mirror, crashing: Crashing, token_file: Path) -> type[Truth]:
    bound = {"source": source, "mirror": mirror, "crashing": crashing, "token_file": token_file}
    return type("BoundTruth", (Truth,), bound)
