"""A system that isn't asked by HTTP: it holds what is true before each request, and what goes by is noted."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import pytest

from scheduler.connectors.check import Call, Carried, Table
from worker.connectors.contract import Request, Response, Source
from worker.errors import NeedsOperator, Transient
from worker.http.carrier import Carrier, Errand
from worker.http.wire.deadline import Deadline
from worker.http.wire.exchange import Moments


@dataclass
class Shelf:
    """A carrier that answers with what lies on a shelf."""

    things: list[str] = field(default_factory=list)

    def place(self, source: Source) -> str:
        del source
        return "the shelf"

    def exchange(self, errand: Errand) -> Response:
        if "locked" in self.things:
            raise NeedsOperator("locked", "It is locked.")
        return Response(200, {}, ",".join(self.things).encode(), errand.request.url)

    def close(self) -> None:
        """Nothing is open."""


class Shelves(Carried):
    system = "shelves"
    transport = "sql"
    tables: ClassVar[Mapping[str, Table]] = {"things": Table()}
    broken: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.shelf = Shelf()
        self.settled = 0

    def settings(self) -> Mapping[str, Any]:
        return {}

    def carrier(self) -> Carrier:
        return self.shelf

    def settle(self) -> None:
        self.settled += 1
        if self.broken:
            raise LookupError("no such shelf")
        self.shelf.things = [self.key_of("things", row) for row in self.rows("things")]

    @contextmanager
    def suffering(self, trouble: str) -> Iterator[None]:
        self.shelf.things.append(trouble)
        try:
            yield
        finally:
            self.shelf.things.remove(trouble)


def asks(double: Carried) -> bytes:
    (carrier,) = double.carriers().values()
    errand = Errand(
        connection_id=1,
        source=cast("Source", None),
        request=Request("SELECT", "things"),
        secrets={},
        deadline=Deadline.of(60, 30),
        most=1000,
        moments=cast("Moments", None),
        log_in=nullcontext,
        network={},
    )
    return carrier.exchange(errand).body


def test_the_system_holds_what_is_true_and_is_written_only_where_that_changed() -> None:
    double = Shelves()
    double.create("things", 2)
    assert [asks(double), asks(double)] == [b"1,2", b"1,2"]
    double.delete("things", "1")
    assert asks(double) == b"2"
    assert double.settled == 2
    assert [each.call.words for each in double.asked()] == ["SELECT things"] * 3


def test_who_lies_in_wait_changes_it_before_it_is_asked() -> None:
    double = Shelves()

    def more(call: Call) -> None:
        del call
        double.create("things")

    double.ambush = more
    assert [asks(double), asks(double)] == [b"1", b"1,2"]


def test_a_trouble_lasts_for_one_request_and_is_noted_by_its_name() -> None:
    double = Shelves()
    double.create("things")
    asks(double)
    double.trouble("locked")
    with pytest.raises(NeedsOperator):
        asks(double)
    assert asks(double) == b"1"
    assert [each.kind for each in double.log] == ["data", "locked", "data"]


def test_where_it_can_not_be_written_the_double_is_told() -> None:
    double = type("Broken", (Shelves,), {"broken": True, "__module__": __name__})()
    double.create("things")
    with pytest.raises(
        Transient, match=r"your double failed in settle\(\): LookupError: no such shelf \(test_carried.py:"
    ):
        asks(double)
    assert not double.log
    assert [each.method for each in double.faults] == ["settle"]
