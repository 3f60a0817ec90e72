"""What the copy held at a time, and what a run changed, is told as it was; what can't be told is refused with the reason."""

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg.rows import DictRow
from servers.rows.ledger import LEASE, NEXT, Ledger, record

from scheduler.keeping.versions import (
    RecordChange,
    changes_of_run,
    keys_of_run,
    known_since,
    records_as_of,
    stream_of_run,
)
from worker.connectors.contract import Gone, Page, Record
from worker.db.database import Database
from worker.engine.keep.versions import Versions
from worker.engine.loading.load import Loader, Observed
from worker.errors import InvalidInput
from worker.runs.claim import Run
from worker.runs.finish import finish_run
from worker.runs.states import State

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
State_ = dict[str, str]


def stream_of(ledger: Ledger) -> DictRow:
    row = ledger.database.one("SELECT * FROM streams WHERE id = %(s)s", {"s": ledger.stream})
    assert row is not None
    return row


def switch_on(ledger: Ledger, keep: float = 90 * 86400.0) -> None:
    ledger.database.run(
        "UPDATE streams SET options = %(o)s WHERE id = %(s)s",
        {"o": json.dumps({"keep_versions": keep}), "s": ledger.stream},
    )


def now(database: Database) -> datetime:
    row = database.one("SELECT clock_timestamp() AS now")
    assert row is not None
    found: datetime = row["now"]
    return found


def load(ledger: Ledger, run: Run, *records: Record, gone: tuple[str, ...] = ()) -> None:
    loader = Loader(ledger.database, run, lease=LEASE, extras=[Versions()], authoritative=True)
    page = Page(list(records), gone=[Gone(key, "sweep") for key in gone])
    loader.load_pages([Observed(page, run.now())], NEXT)


def end(ledger: Ledger, run: Run) -> None:
    finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED)


def held(ledger: Ledger, at: datetime, *, deleted: bool = False) -> State_:
    rows = records_as_of(ledger.database, stream_of(ledger), at, deleted=deleted, limit=None)
    return {row["key"]: row["raw"] for row in rows}


def present(ledger: Ledger) -> State_:
    return {key: row["text"] for key, row in ledger.rows().items() if row["deleted_at"] is None}


def test_at_every_moment_of_a_stormy_life_the_copy_is_told_as_it_was(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that were there before, and ones that come, change, go and come back."""
    monkeypatch.setattr("scheduler.keeping.versions.PAGE", 2)
    dice = random.Random(7)
    first = ledger.claimed()
    load(ledger, first, *(record(f"k{n}", f'{{"n":{n}}}') for n in range(3)))
    ledger.database.run("DELETE FROM record_versions")
    end(ledger, first)
    switch_on(ledger)
    moments = [(now(ledger.database), present(ledger))]
    run = ledger.claimed()
    for turn in range(25):
        keys = [f"k{n}" for n in range(6) if dice.random() < 0.4]
        gone = tuple(key for key in keys if dice.random() < 0.3)
        load(ledger, run, *(record(key, f'{{"turn":{turn}}}') for key in keys if key not in gone), gone=gone)
        moments.append((now(ledger.database), present(ledger)))
    assert len({json.dumps(state) for _, state in moments}) > 15
    for at, state in moments:
        assert held(ledger, at) == state
    assert set(held(ledger, moments[-1][0], deleted=True)) >= set(moments[-1][1])


def test_a_record_that_was_seen_again_unchanged_was_there_all_the_time(ledger: Ledger) -> None:
    """A later look at the same content moves its version and the time of the look, and is no change."""
    switch_on(ledger)
    run = ledger.claimed()
    load(ledger, run, record("a", '{"x":1}', version=1), record("b", '{"x":1}', version=1))
    then = now(ledger.database)
    load(ledger, run, record("a", '{"x":1}', version=5), record("b", '{"x":1}', version=5))
    load(ledger, run, record("b", '{"x":2}', version=6), record("later", "{}"))
    ledger.database.run("UPDATE records SET observed_at = observed_at + interval '1 second'")
    assert held(ledger, then) == {"a": '{"x":1}', "b": '{"x":1}'}


def test_a_key_that_was_forgotten_and_comes_anew_was_not_there_in_between(ledger: Ledger) -> None:
    switch_on(ledger)
    run = ledger.claimed()
    load(ledger, run, record("a", '{"x":1}'))
    load(ledger, run, gone=("a",))
    ledger.database.run("DELETE FROM records WHERE key = 'a'")
    between = now(ledger.database)
    end(ledger, run)
    second = ledger.claimed()
    load(ledger, second, record("a", '{"x":2}'))
    end(ledger, second)
    assert changed(ledger, second) == {"a": ("created", [("x", None, "2")], False)}
    load(ledger, ledger.claimed(), record("a", '{"x":3}'))
    assert held(ledger, between) == {}


def test_pages_of_the_past_are_cut_where_they_were_asked_to_be(ledger: Ledger) -> None:
    switch_on(ledger)
    run = ledger.claimed()
    load(ledger, run, *(record(f"k{n}", f'{{"n":{n}}}') for n in range(5)))
    then = now(ledger.database)
    load(ledger, run, record("k1", '{"n":"new"}'), gone=("k3",))
    rows = list(records_as_of(ledger.database, stream_of(ledger), then, deleted=False, limit=4))
    assert [row["key"] for row in rows] == ["k0", "k1", "k2", "k3"]
    assert rows[1]["raw"] == '{"n":1}'


def refusal(ledger: Ledger, at: datetime) -> str:
    with pytest.raises(InvalidInput) as refused:
        held(ledger, at)
    return refused.value.code


def test_what_cant_be_told_is_refused(ledger: Ledger) -> None:
    database = ledger.database
    assert refusal(ledger, now(database)) == "no_versions"
    before = now(database)
    switch_on(ledger)
    since = known_since(database, stream_of(ledger))
    assert since is not None
    assert refusal(ledger, before) == "beyond_versions"
    assert held(ledger, since) == {}
    assert refusal(ledger, now(database) + DAY) == "in_the_future"


def test_beyond_the_time_for_which_versions_are_kept_nothing_is_told(ledger: Ledger) -> None:
    switch_on(ledger, keep=86400.0)
    ledger.database.run("UPDATE streams SET versions_since = now() - interval '10 days'")
    since = known_since(ledger.database, stream_of(ledger))
    assert since is not None
    assert abs(now(ledger.database) - DAY - since) < timedelta(minutes=1)


def test_a_run_that_began_before_versions_were_kept_blinds_us_until_its_end(ledger: Ledger) -> None:
    run = ledger.claimed()
    switch_on(ledger)
    then = now(ledger.database)
    assert refusal(ledger, then) == "versions_begin_later"
    end(ledger, run)
    assert refusal(ledger, then) == "beyond_versions"
    assert held(ledger, now(ledger.database)) == {}


def changed(ledger: Ledger, run: Run) -> dict[str, Any]:
    found = changes_of_run(ledger.database, stream_of(ledger), run.id, limit=100)
    return {
        change.key: (
            change.kind,
            [(field.path, field.before, field.after) for field in change.fields],
            change.superseded,
        )
        for change in found
    }


def test_what_a_run_changed_is_told_field_by_field_even_after_later_changes(ledger: Ledger) -> None:
    switch_on(ledger)
    first = ledger.claimed()
    load(
        ledger, first, record("a", '{"x":1,"y":{"z":"old"}}'), record("b", '{"x":1}'), record("c", '{"x":1}')
    )
    end(ledger, first)
    second = ledger.claimed()
    load(ledger, second, record("a", '{"x":1,"y":{"z":"new"}}'), record("d", '{"x":4}'), gone=("b",))
    end(ledger, second)
    third = ledger.claimed()
    load(ledger, third, record("a", '{"x":2,"y":{"z":"new"}}'), record("b", '{"x":9}'))
    end(ledger, third)
    assert changed(ledger, second) == {
        "a": ("updated", [("y.z", '"old"', '"new"')], True),
        "b": ("deleted", [], True),
        "d": ("created", [("x", None, "4")], False),
    }
    assert changed(ledger, third) == {
        "a": ("updated", [("x", "1", "2")], False),
        "b": ("created", [("x", None, "9")], False),
    }
    assert keys_of_run(ledger.database, stream_of(ledger), second.id, limit=10) == ["a", "b", "d"]
    row = stream_of_run(ledger.database, second.id)
    assert row is not None
    assert (row["id"], row["name"]) == (ledger.stream, "work_orders")


def last(found: list[RecordChange]) -> tuple[str, datetime | None]:
    return (found[-1].key, found[-1].superseded_at) if found else ("", None)


def test_what_a_run_changed_twice_is_told_twice_also_in_pages_of_one(ledger: Ledger) -> None:
    switch_on(ledger)
    first = ledger.claimed()
    load(ledger, first, record("a", '{"x":1}'))
    end(ledger, first)
    second = ledger.claimed()
    for x in (2, 3):
        load(ledger, second, record("a", f'{{"x":{x}}}'))
    load(ledger, second, record("b", '{"x":9}'))
    found = []
    while page := changes_of_run(ledger.database, stream_of(ledger), second.id, limit=1, after=last(found)):
        found += page
    fields = [(field.before, field.after) for change in found for field in change.fields]
    assert fields == [("1", "2"), ("2", "3"), (None, "9")]
    assert [change.superseded for change in found] == [True, False, False]


def test_without_versions_the_records_are_told_whose_last_change_it_was(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("a", '{"x":1}'), record("b", '{"x":1}'))
    end(ledger, run)
    other = ledger.claimed()
    ledger.load(other, record("b", '{"x":2}'), at=other.now())
    assert set(changed(ledger, run)) == {"a"}
    assert changed(ledger, other) == {"b": ("updated", [], False)}
