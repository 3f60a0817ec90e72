"""The same for servers that are nobody's model: a real ERP and a real OData service, changed by their own clients."""

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from servers.systems.cap import CapService
from servers.systems.tryton.client import read_json
from servers.systems.tryton.server import TrytonServer

from .crash import Crashing
from .machine import differences
from .mirror import FeedReader, Mirror

picks = st.integers(0, 9)
_numbers = count(1)


class Table(Protocol):
    """One table of a server, of which a test may change whatever it likes."""

    stream: str

    def truth(self) -> Mapping[str, Any]:
        """All that is there, by key."""
        ...

    def create(self, several: int) -> None:
        """So many at one moment, as far as the server can."""
        ...

    def edit(self, keys: Iterable[str], text: str) -> None:
        """At one moment, as far as the server can."""
        ...

    def delete(self, key: str) -> None: ...

    def restore(self, key: str) -> bool:
        """Bring a deleted record back; False: this server never does."""
        ...

    def read(self, raw: str) -> Any:
        """What the copy holds, as `truth` has it."""
        ...


class Assets:
    """Of the CAP service. Its keys are its clients', so a record can come back."""

    stream = "assets"

    def __init__(self, cap: CapService) -> None:
        self._cap = cap

    def truth(self) -> Mapping[str, Any]:
        return {row["ID"]: row for row in self._cap.rows("Assets")}

    def create(self, several: int) -> None:
        self._cap.create("Assets", [_asset(f"A-{next(_numbers):05d}") for _ in range(several)])

    def edit(self, keys: Iterable[str], text: str) -> None:
        for key in keys:
            self._cap.edit("Assets", key, {"name": text})

    def delete(self, key: str) -> None:
        self._cap.delete("Assets", key)

    def restore(self, key: str) -> bool:
        self._cap.create("Assets", [_asset(key)])
        return True

    def read(self, raw: str) -> Any:
        return json.loads(raw)


class Categories:
    """Of Tryton. What is changed in one transaction bears one time; an id is never used again."""

    stream = "categories"

    def __init__(self, tryton: TrytonServer) -> None:
        self._erp = tryton.erp

    def truth(self) -> Mapping[str, Any]:
        fields = ["id", "name", "parent", "active", "create_date", "write_date"]
        return {str(row["id"]): row for row in self._erp.rows("party.category", [], fields)}

    def create(self, several: int) -> None:
        self._erp.create("party.category", [{"name": f"Category {next(_numbers)}"} for _ in range(several)])

    def edit(self, keys: Iterable[str], text: str) -> None:
        for key in keys:  # names are unique, archived or not
            self._erp.edit("party.category", [int(key)], {"name": f"{text} of {key}"})
        self._erp.edit("party.category", [int(key) for key in keys], {"active": True})

    def delete(self, key: str) -> None:
        self._erp.delete("party.category", [int(key)])

    def restore(self, key: str) -> bool:
        del key
        return False

    def read(self, raw: str) -> Any:
        return read_json(raw.encode())


class RealTruth(RuleBasedStateMachine):
    """Bound to a table, a mirror and what connects them by `real_machine_for`."""

    table: Table
    mirror: Mirror
    crashing: Crashing
    connect: Callable[[], None]

    def __init__(self) -> None:
        super().__init__()
        self.gone: list[str] = []

    @initialize()
    def begin(self) -> None:
        for key in self.table.truth():
            self.table.delete(key)
        self.table.create(6)
        type(self).connect()
        self.reader = FeedReader(self.mirror)

    @rule(pick=picks, several=st.integers(1, 5))
    def edit(self, pick: int, several: int) -> None:
        if keys := sorted(self.table.truth()):
            start = pick % len(keys)
            self.table.edit(keys[start : start + several], f"Edit {next(_numbers)}")

    @rule(several=st.integers(1, 5))
    def create(self, several: int) -> None:
        self.table.create(several)

    @rule(pick=picks)
    def take_away(self, pick: int) -> None:
        """All but one: a list that is empty all at once is believed by a person alone."""
        if len(keys := sorted(self.table.truth())) > 1:
            self.table.delete(keys[pick % len(keys)])
            self.gone.append(keys[pick % len(keys)])

    @rule()
    def bring_back(self) -> None:
        if self.gone and self.table.restore(self.gone[-1]):
            self.gone.pop()

    @rule(track=st.sampled_from(["live", "live", "sweep"]))
    def work(self, track: str) -> None:
        self.mirror.do(self.table.stream, track=track)

    @rule()
    def carry_on(self) -> None:
        for run in self.mirror.open_runs()[:1]:
            self.mirror.carry_out(run)

    @rule(pick=picks)
    def read_one_again(self, pick: int) -> None:
        if known := [*sorted(self.table.truth()), *self.gone]:
            self.mirror.do(self.table.stream, track="records", scope={"ids": [known[pick % len(known)]]})

    @rule(statement=st.integers(1, 16), after=st.booleans(), track=st.sampled_from(["live", "sweep"]))
    def die_between_two_statements(self, statement: int, *, after: bool, track: str) -> None:
        run = self.mirror.request(self.table.stream, track=track)
        with self.crashing.armed(statement, after=after):
            self.mirror.carry_out(run)

    @rule()
    def settle(self) -> None:
        self.mirror.finish()
        for track in ("live", "sweep", "sweep", "live"):
            self.mirror.do(self.table.stream, track=track)
            self.mirror.finish()
        rows = self.mirror.rows(self.table.stream)
        copy = {key: self.table.read(row["raw"]) for key, row in rows.items() if row["deleted_at"] is None}
        wrong = differences(copy, self.table.truth())
        assert not wrong, wrong
        self.reader.catch_up()
        anew = FeedReader(self.mirror)
        anew.catch_up()
        held = self.mirror.copy(self.table.stream)
        assert anew.of(self.table.stream) == self.reader.of(self.table.stream) == held

    def teardown(self) -> None:
        if self.mirror.streams:
            self.settle()


def real_machine_for(
    table: Table, mirror: Mirror, crashing: Crashing, connect: Callable[[], None]
) -> type[RealTruth]:
    bound = {"table": table, "mirror": mirror, "crashing": crashing, "connect": staticmethod(connect)}
    return type("BoundRealTruth", (RealTruth,), bound)


def _asset(key: str) -> dict[str, Any]:
    return {"ID": key, "name": f"Pump {next(_numbers)}", "status": "active"}
