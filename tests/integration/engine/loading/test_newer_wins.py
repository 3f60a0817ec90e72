"""An older version never overwrites a newer one: also where the newer one had the same content as what was held."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from servers.rows.ledger import LEASE, NEXT, Ledger, record

from worker.connectors.contract import Page, Record
from worker.engine.loading.load import Loader
from worker.engine.loading.sift import FEW
from worker.runs.claim import Run
from worker.runs.states import Lane

pytestmark = pytest.mark.integration

X, Y = '{"state": "open"}', '{"state": "shut"}'
Load = Callable[..., Any]


def fillers(count: int) -> list[Record]:
    return [record(f"filler{number:03}", "{}", version=1) for number in range(count)]


@pytest.fixture(params=["few", "many"])
def others(request: pytest.FixtureRequest) -> list[Record]:
    """Beside these a record is loaded: beside none, in one statement; or among so many that they are sifted first."""
    return fillers(FEW + 1) if request.param == "many" else []


@pytest.fixture
def load(ledger: Ledger, others: list[Record]) -> Load:
    """Load a record alone, or among others."""

    def loaded(run: Run, *records: Record, at: datetime | None = None) -> Any:
        return ledger.load(run, *records, *others, at=at)

    return loaded


def test_a_late_page_between_two_equal_contents_does_not_win(ledger: Ledger, load: Load) -> None:
    run = ledger.claimed()
    load(run, record("k", X, version=1))
    before = ledger.rows()["k"]
    again = load(run, record("k", X, version=3))
    after = ledger.rows()["k"]
    assert (again.created, again.updated, again.refused) == (0, 0, 0)
    assert (after["version"], after["text"]) == (3, X)
    assert (after["xid"], after["change_seq"]) == (before["xid"], before["change_seq"]), (
        "no change, no place in the feed"
    )
    assert load(run, record("k", Y, version=2)).refused == 1
    assert ledger.rows()["k"]["text"] == X


def test_a_version_moves_on_and_never_back(ledger: Ledger, load: Load) -> None:
    run = ledger.claimed()
    load(run, record("k", X, version=5))
    load(run, record("k", X, version=4))
    assert ledger.rows()["k"]["version"] == 5
    load(run, record("k", X))
    assert ledger.rows()["k"]["version"] == 5


def test_what_counts_whatever_its_version_replaces_a_newer_one_and_never_a_later_look(
    ledger: Ledger, load: Load, others: list[Record]
) -> None:
    run = ledger.claimed()
    seen = run.now()
    load(run, record("k", X, version=5), at=seen)
    again = Loader(ledger.database, run, lease=LEASE, authoritative=True)
    page = Page([record("k", Y, version=3), *others])
    assert again.load(page, NEXT, seen - timedelta(seconds=1)).refused == 1
    assert ledger.rows()["k"]["text"] == X
    assert again.load(page, NEXT, seen + timedelta(seconds=1)).updated == 1
    assert ledger.rows()["k"]["text"] == Y


def test_a_version_is_learnt_where_none_was_held(ledger: Ledger, load: Load) -> None:
    run = ledger.claimed()
    load(run, record("k", X))
    load(run, record("k", X, version=4))
    assert ledger.rows()["k"]["version"] == 4


def test_without_versions_a_later_look_counts_while_another_run_is_at_work(
    ledger: Ledger, load: Load
) -> None:
    """A, then B asked for, then A asked for and stored, and only then B comes: A it was, and A it stays."""
    live, other = ledger.claimed(), ledger.claimed(track="history", lane=Lane.BACKFILL)
    start = live.now()
    load(live, record("k", X), at=start)
    load(live, record("k", X), at=start + timedelta(seconds=2))
    assert load(other, record("k", Y), at=start + timedelta(seconds=1)).refused == 1
    assert ledger.rows()["k"]["text"] == X


def test_what_is_unchanged_is_not_written_where_nobody_else_is_at_work(ledger: Ledger, load: Load) -> None:
    run = ledger.claimed()
    start = run.now()
    load(run, record("k", X), at=start)
    load(run, record("k", X), at=start + timedelta(seconds=2))
    assert ledger.rows()["k"]["observed_at"] == start


def test_a_tombstone_is_not_moved_on_by_the_living(ledger: Ledger, load: Load) -> None:
    run = ledger.claimed()
    load(run, record("k", X, version=1, deleted=True))
    load(run, record("k", X, version=3))
    row = ledger.rows()["k"]
    assert (row["version"], row["deleted_at"], row["change_kind"]) == (3, None, "created")


def test_the_time_of_change_moves_on_with_the_version(ledger: Ledger, load: Load) -> None:
    run = ledger.claimed()
    load(run, record("k", X, version=1))
    later = record("k", X, version=2)
    later.updated_at = datetime.fromisoformat("2026-11-02T00:00:00+00:00")
    load(run, later)
    assert ledger.rows()["k"]["source_updated_at"] == later.updated_at


def test_a_record_with_exact_bytes_keeps_them_alone_and_among_many(ledger: Ledger, load: Load) -> None:
    run = ledger.claimed()
    odd = record("k", X, version=1)
    odd.exact = b'{"state": "\\u0000"}'
    load(run, odd)
    assert bytes(ledger.rows()["k"]["exact"]) == odd.exact
    changed = record("k", Y, version=2)
    changed.exact = b'{"state": "\\ud800"}'
    load(run, changed)
    assert bytes(ledger.rows()["k"]["exact"]) == changed.exact
    load(run, record("k", X, version=3))
    assert ledger.rows()["k"]["exact"] is None
