"""Deletes that come without their record, re-reads that count whatever their version, and what is written beside a page."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from servers.rows.ledger import LEASE, NEXT, Ledger, many, record

from worker.connectors.contract import Gone, Page, Record
from worker.db.database import Database
from worker.engine.loading.load import Loader, Observed
from worker.runs.claim import Run

pytestmark = pytest.mark.integration


def bury(ledger: Ledger, run: Run, *gone: Gone, records: Sequence[Record] = (), after: float = 1.0) -> Any:
    page = Page(list(records), gone=list(gone))
    at = run.now() + timedelta(seconds=after)
    return Loader(ledger.database, run, lease=LEASE).load_pages([Observed(page, at)], NEXT)


def test_a_delete_without_its_record_leaves_a_tombstone_with_its_evidence_and_last_content(
    ledger: Ledger,
) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1", '{"a":1}'), record("2"))
    before = ledger.rows()["1"]
    loaded = bury(ledger, run, Gone("1", "tombstone"), Gone("unknown", "tombstone"))
    row = ledger.rows()["1"]
    assert (loaded.deleted, loaded.written) == (1, ["1"])
    assert (row["change_kind"], row["delete_reason"], row["text"]) == ("deleted", "tombstone", '{"a":1}')
    assert row["deleted_at"] is not None
    assert row["change_seq"] > before["change_seq"]
    assert ledger.rows()["2"]["deleted_at"] is None


def test_nothing_is_buried_that_was_seen_later(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1"), at=run.now() + timedelta(seconds=60))
    assert bury(ledger, run, Gone("1", "delta"), after=30).deleted == 0
    assert ledger.rows()["1"]["deleted_at"] is None


def test_a_delete_that_is_said_twice_changes_nothing_the_second_time(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1"))
    bury(ledger, run, Gone("1", "delta"))
    first = ledger.rows()["1"]["change_seq"]
    assert bury(ledger, run, Gone("1", "delta"), after=2).deleted == 0
    assert ledger.rows()["1"]["change_seq"] == first


def test_what_was_buried_comes_back_when_it_is_seen_again(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1"))
    bury(ledger, run, Gone("1", "not_found"))
    ledger.load(run, record("1"), at=run.now() + timedelta(seconds=5))
    row = ledger.rows()["1"]
    assert (row["deleted_at"], row["delete_reason"], row["change_kind"]) == (None, None, "created")


@pytest.mark.parametrize("count", [1, 60])
def test_a_record_that_says_itself_that_it_is_gone_has_that_for_its_reason(
    ledger: Ledger, count: int
) -> None:
    run = ledger.claimed()
    ledger.load(run, *(record(str(n), deleted=True) for n in range(count)))
    assert {row["delete_reason"] for row in ledger.rows().values()} == {"flag"}


@pytest.mark.parametrize("few", [True, False])
def test_a_re_read_counts_whatever_its_version_but_never_over_what_was_seen_later(
    ledger: Ledger, few: bool
) -> None:
    run = ledger.claimed()
    rest = [] if few else many("{}", version=1)
    ledger.load(run, record("1", '{"n":2}', version=2), *rest)
    later = Loader(ledger.database, run, lease=LEASE, authoritative=True)
    older = record("1", '{"n":1}', version=1)
    page = Page([older, *(many('{"x":0}', version=0) if not few else [])])
    later.load(page, NEXT, run.now() - timedelta(seconds=30))
    assert ledger.rows()["1"]["text"] == '{"n":2}'
    later.load(page, NEXT, run.now() + timedelta(seconds=30))
    assert ledger.rows()["1"]["text"] == '{"n":1}'


def test_bytes_that_postgres_cannot_read_are_kept_beside_a_readable_copy(ledger: Ledger) -> None:
    run = ledger.claimed()
    odd = Record("1", b'{"a":"?"}', b"0" * 16, exact=b'{"a":"\\u0000"}')
    Loader(ledger.database, run, lease=LEASE).load_pages([Observed(Page([odd, *many()]), run.now())], NEXT)
    assert bytes(ledger.rows()["1"]["exact"]) == b'{"a":"\\u0000"}'
    assert ledger.rows()["m001"]["exact"] is None


class Beside:
    """Notes what it was asked, and what its transaction had written by then."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, list[str], int]] = []

    def before(self, connection: Any, run: Run, keys: Sequence[str]) -> None:
        self.seen.append(("before", sorted(keys), _written(connection)))

    def after(self, connection: Any, run: Run, keys: Sequence[str]) -> None:
        self.seen.append(("after", sorted(keys), _written(connection)))


def _written(connection: Any) -> int:
    found = connection.execute(
        "SELECT count(*) AS n FROM records WHERE change_xid = pg_current_xact_id_if_assigned()"
    )
    return int(found.fetchone()["n"])


def test_what_is_written_beside_a_page_is_written_in_its_transaction(
    ledger: Ledger, database: Database
) -> None:
    run, beside = ledger.claimed(), Beside()
    ledger.load(run, record("2"))
    loader = Loader(database, run, lease=LEASE, extras=[beside])
    page = Page([record("1"), record("2")], gone=[Gone("3", "delta")])
    loader.load_pages([Observed(page, run.now())], NEXT)
    assert beside.seen == [("before", ["1", "3"], 0), ("after", ["1", "3"], 1)]  # "2" is unchanged
