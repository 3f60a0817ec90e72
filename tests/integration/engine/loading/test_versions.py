"""What a record was is kept when it changes: in the same transaction, for every way in which it may change."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from psycopg.rows import DictRow
from servers.rows.ledger import LEASE, NEXT, Ledger, many, record

from worker.connectors.contract import Gone, Page, Record
from worker.engine.keep.versions import Versions
from worker.engine.loading.load import Loader, Observed
from worker.errors import LostLease
from worker.runs.claim import Run

pytestmark = pytest.mark.integration

SECOND = timedelta(seconds=1)


def load(ledger: Ledger, run: Run, *records: Record, late: int = 0, gone: Sequence[str] = ()) -> None:
    loader = Loader(ledger.database, run, lease=LEASE, extras=[Versions()])
    page = Page(list(records), gone=[Gone(key, "sweep") for key in gone])
    loader.load_pages([Observed(page, run.now() + late * SECOND)], NEXT)


def versions(ledger: Ledger, key: str = "7") -> list[DictRow]:
    return list(
        ledger.database.all(
            "SELECT *, raw::text AS text FROM record_versions WHERE stream_id = %(s)s AND key = %(k)s ORDER BY valid_to",
            {"s": ledger.stream, "k": key},
        )
    )


def texts(ledger: Ledger, key: str = "7") -> list[str]:
    return [row["text"] for row in versions(ledger, key)]


def test_a_change_keeps_what_was_there_with_who_brought_it_and_who_ended_it(ledger: Ledger) -> None:
    first = ledger.claimed()
    load(ledger, first, record("7", '{"a":1}', version=1))
    assert versions(ledger) == []
    load(ledger, first, record("7", '{"a":2}', version=2))
    (kept,) = versions(ledger)
    assert (kept["text"], kept["version"], kept["cause_id"], kept["ended_by"]) == (
        '{"a":1}',
        1,
        first.id,
        first.id,
    )
    assert kept["valid_from"] <= kept["valid_to"]


def test_states_follow_each_other_without_a_gap(ledger: Ledger) -> None:
    run = ledger.claimed()
    for n in range(4):
        load(ledger, run, record("7", f'{{"a":{n}}}', version=n))
    rows = versions(ledger)
    assert texts(ledger) == ['{"a":0}', '{"a":1}', '{"a":2}']
    assert [row["valid_to"] for row in rows[:-1]] == [row["valid_from"] for row in rows[1:]]


def test_what_was_there_before_versions_were_kept_is_what_the_first_change_finds(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("7", '{"a":1}', version=1))
    ledger.load(run, record("7", '{"a":2}', version=2))
    assert versions(ledger) == []
    load(ledger, run, record("7", '{"a":3}', version=3))
    assert texts(ledger) == ['{"a":2}']


def test_what_is_unchanged_or_refused_leaves_no_version(ledger: Ledger) -> None:
    run = ledger.claimed()
    load(ledger, run, record("7", '{"a":2}', version=2), record("8", "{}"))
    load(ledger, run, record("7", '{"a":2}', version=2), record("8", "{}"), late=1)
    load(ledger, run, record("7", '{"a":1}', version=1), late=1)
    assert versions(ledger) == versions(ledger, "8") == []


def test_what_is_taken_for_changed_and_is_not_leaves_no_version(ledger: Ledger) -> None:
    """A loader that has stopped sifting hands over the whole page."""
    run = ledger.claimed()
    loader = Loader(ledger.database, run, lease=LEASE, extras=[Versions()])
    for n in range(2):
        loader.load_pages([Observed(Page(many(f'{{"a":{n}}}')), run.now() + n * SECOND)], NEXT)
    assert len(texts(ledger, "m000")) == 1
    loader.load_pages([Observed(Page(many('{"a":1}')), run.now() + 2 * SECOND)], NEXT)
    assert len(texts(ledger, "m000")) == 1


@pytest.mark.parametrize("how", ["flag", "gone"])
def test_a_delete_keeps_what_is_deleted_and_a_return_keeps_the_tombstone(ledger: Ledger, how: str) -> None:
    run = ledger.claimed()
    load(ledger, run, record("7", '{"a":1}', version=1))
    if how == "flag":
        load(ledger, run, record("7", '{"a":1,"gone":1}', version=2, deleted=True))
    else:
        load(ledger, run, gone=["7"], late=1)
    load(ledger, run, record("7", '{"a":3}', version=3), late=2)
    alive, dead = versions(ledger)
    assert (alive["text"], alive["deleted_at"], alive["delete_reason"]) == ('{"a":1}', None, None)
    assert (dead["change_kind"], dead["deleted_at"] is not None) == ("deleted", True)
    assert dead["delete_reason"] == ("flag" if how == "flag" else "sweep")


def test_the_exact_bytes_go_with_their_version(ledger: Ledger) -> None:
    run = ledger.claimed()
    odd = record("7", '{"a":"x"}', version=1)
    odd.exact = b'{"a":"\\u0000"}'
    load(ledger, run, odd)
    load(ledger, run, record("7", '{"a":2}', version=2))
    assert [bytes(row["exact"]) for row in versions(ledger)] == [odd.exact]


def test_a_page_that_is_refused_leaves_no_version(ledger: Ledger) -> None:
    run = ledger.claimed()
    load(ledger, run, record("7", '{"a":1}', version=1))
    ledger.database.run("UPDATE runs SET claim_no = claim_no + 1 WHERE id = %(id)s", {"id": run.id})
    with pytest.raises(LostLease):
        load(ledger, run, record("7", '{"a":2}', version=2))
    assert versions(ledger) == []


def test_what_is_copied_is_locked_until_it_is_written(ledger: Ledger) -> None:
    """Else a state that another run brings in between would be in no version and in no copy."""
    run = ledger.claimed()
    load(ledger, run, record("7", '{"a":1}', version=1))
    look = "SELECT key FROM records WHERE stream_id = %(s)s FOR NO KEY UPDATE SKIP LOCKED"
    with ledger.database.transaction() as connection:
        Versions().before(connection, run, ["7"])
        assert ledger.database.all(look, {"s": ledger.stream}) == []
    assert len(ledger.database.all(look, {"s": ledger.stream})) == 1


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("{}", '{"keep_versions": 60}', True),
        ('{"keep_versions": 60}', '{"keep_versions": 90}', True),
        ('{"keep_versions": 60}', "{}", False),
        ('{"keep_versions": 60}', '{"keep_versions": 0}', False),
    ],
)
def test_since_when_versions_are_kept_is_noted_and_forgotten(
    ledger: Ledger, before: str, after: str, kept: bool
) -> None:
    def switch(options: str) -> Any:
        row = ledger.database.one(
            "UPDATE streams SET options = %(o)s WHERE id = %(s)s RETURNING versions_since",
            {"o": options, "s": ledger.stream},
        )
        assert row is not None
        return row["versions_since"]

    first, second = switch(before), switch(after)
    assert (second is not None) is kept
    assert first in {None, second} or not kept
