"""Fields that appear, vanish and change their type: noted beside a load, kept in Postgres, never fatal."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg.rows import DictRow
from servers.rows.ledger import Ledger, record

from worker.connectors.contract import Page
from worker.engine.watching.drift import KEEP_COUNTS, Fields, kinds_of, note_fields
from worker.errors import Transient
from worker.runs.claim import Run

pytestmark = pytest.mark.integration


def page(*records: dict[str, Any]) -> Page:
    return Page([record(str(number), json.dumps(each)) for number, each in enumerate(records)])


@pytest.fixture
def run(ledger: Ledger) -> Run:
    """A run of a stream whose history is in."""
    return dataclasses.replace(ledger.claimed(), history_done_at=datetime(2026, 11, 1, tzinfo=UTC))


@pytest.fixture
def learned(ledger: Ledger, run: Run) -> Run:
    note_fields(
        ledger.database,
        dataclasses.replace(run, history_done_at=None),
        page({"id": 1, "title": "a", "lines": [{"sku": "x"}]}),
    )
    return run


def fields(ledger: Ledger) -> dict[str, DictRow]:
    rows = ledger.database.all("SELECT * FROM stream_fields WHERE stream_id = %(s)s", {"s": ledger.stream})
    return {".".join(row["path"]): row for row in rows}


def later(ledger: Ledger, run: Run, *pages: Page) -> None:
    """Another process looks, hours later: its counts are due to be kept."""
    now = [0.0]
    known = {tuple(row["path"]): kinds_of(row["types"]) for row in fields(ledger).values()}
    process = Fields(known, clock=lambda: now[0])
    for number, each in enumerate(pages, 1):
        if number == len(pages):
            now[0] = KEEP_COUNTS
        process.look(ledger.database, run, each)


def test_while_the_history_comes_in_everything_is_learned_and_nothing_is_news(
    ledger: Ledger, learned: Run
) -> None:
    assert {name: row["state"] for name, row in fields(ledger).items()} == {
        "id": "known", "title": "known", "lines": "known", "lines.*.sku": "known",
    }  # fmt: skip
    assert fields(ledger)["title"]["example"] == "text of 1"


def test_the_first_records_of_a_stream_whose_history_was_empty_are_no_news(ledger: Ledger, run: Run) -> None:
    note_fields(ledger.database, run, page({"id": 1, "title": "a"}))
    assert {row["state"] for row in fields(ledger).values()} == {"known"}
    note_fields(ledger.database, run, page({"id": 1, "title": "a", "priority": 3}))
    assert fields(ledger)["priority"]["state"] == "new"


def test_a_field_that_appears_is_noted_as_new(ledger: Ledger, learned: Run) -> None:
    note_fields(ledger.database, learned, page({"id": 1, "title": "a", "priority": 3}))
    found = fields(ledger)
    assert (found["priority"]["state"], found["priority"]["types"]) == ("new", ["integer"])
    assert found["title"]["state"] == "known"


def test_a_field_of_another_type_is_noted_as_retyped_with_what_it_was(ledger: Ledger, learned: Run) -> None:
    note_fields(ledger.database, learned, page({"id": "one", "title": "a"}))
    found = fields(ledger)["id"]
    assert (found["state"], found["types"], found["was"]) == ("retyped", ["integer", "text"], ["integer"])


@pytest.mark.parametrize("value", [1.5, None])
def test_a_fraction_or_nothing_where_whole_numbers_were_is_no_other_type(
    ledger: Ledger, learned: Run, value: Any
) -> None:
    note_fields(ledger.database, learned, page({"id": value, "title": "a"}))
    found = fields(ledger)["id"]
    assert found["state"] == "known"
    assert len(found["types"]) == 2


def test_what_is_known_asks_postgres_nothing(
    ledger: Ledger, learned: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("Postgres was asked")

    monkeypatch.setattr(type(ledger.database), "transaction", refuse)
    monkeypatch.setattr(type(ledger.database), "all", refuse)
    for _ in range(3):
        note_fields(ledger.database, learned, page({"id": 2, "title": "b", "lines": [{"sku": "y"}]}))


def test_a_field_that_is_missed_in_many_records_for_a_day_has_vanished(ledger: Ledger, learned: Run) -> None:
    without = page(*({"id": number} for number in range(8)))
    later(ledger, learned, *[without] * 90)
    assert fields(ledger)["title"]["state"] == "known"  # missed often enough, and not for a day
    ledger.database.run("UPDATE stream_fields SET last_seen_at = last_seen_at - interval '2 days'")
    later(ledger, learned, without, without)
    found = fields(ledger)
    assert (found["title"]["state"], found["id"]["state"]) == ("vanished", "known")


def test_few_records_without_a_field_say_nothing(ledger: Ledger, learned: Run) -> None:
    ledger.database.run("UPDATE stream_fields SET last_seen_at = last_seen_at - interval '2 days'")
    later(ledger, learned, page({"id": 1}), page({"id": 1}))
    assert fields(ledger)["title"]["state"] == "known"


def test_a_field_that_is_seldom_there_has_not_vanished_when_it_is_missed_as_often_as_ever(
    ledger: Ledger, learned: Run
) -> None:
    ledger.database.run("UPDATE stream_fields SET gap = 500, last_seen_at = last_seen_at - interval '2 days'")
    later(ledger, learned, *[page(*({"id": number} for number in range(8)))] * 90)
    assert fields(ledger)["title"]["state"] == "known"


def test_a_field_of_an_object_that_is_not_there_is_not_missed(ledger: Ledger, learned: Run) -> None:
    without = page(*({"id": number, "title": "a"} for number in range(8)))
    later(ledger, learned, *[without] * 90)
    found = fields(ledger)
    assert found["lines"]["missed"] > 200
    assert found["lines.*.sku"]["missed"] == 0


def test_a_vanished_field_that_comes_back_is_known_again(ledger: Ledger, learned: Run) -> None:
    ledger.database.run("UPDATE stream_fields SET state = 'vanished', missed = 400")
    later(ledger, learned, page({"id": 1, "title": "back"}), page({"id": 1, "title": "back"}))
    found = fields(ledger)["title"]
    assert (found["state"], found["missed"]) == ("known", 0)
    assert found["gap"] == 400


def test_names_that_postgres_cannot_hold_are_kept_readable(ledger: Ledger, learned: Run) -> None:
    note_fields(ledger.database, learned, page({"id": 1, "bad\0name": 1, "long" * 1000: 1}))
    assert {name[:12] for name in fields(ledger)} >= {"bad\ufffdname", "longlonglong"}


def test_what_cannot_be_noted_stops_nothing_and_is_noted_with_the_next_page(
    ledger: Ledger, learned: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise Transient("database_unavailable", "Postgres can't be used now.")

    brought = page({"id": 1, "title": "a", "priority": 3})
    with monkeypatch.context() as patched:
        patched.setattr(type(ledger.database), "transaction", away)
        note_fields(ledger.database, learned, brought)
    assert "priority" not in fields(ledger)
    note_fields(ledger.database, learned, brought)
    assert fields(ledger)["priority"]["state"] == "new"
